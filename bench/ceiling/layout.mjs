import { open } from "lmdb";

/** Where the ceiling keeps its tasks: a record, a place in the order of ready tasks, an outcome. */
export function openLayout(path) {
  const root = open({ path, maxDbs: 3, overlappingSync: false, safeRestore: true });
  const binary = { encoding: "binary", cache: false };
  return {
    records: root.openDB("records", { ...binary, keyEncoding: "uint32" }),
    outcomes: root.openDB("outcomes", { ...binary, keyEncoding: "uint32" }),
    ready: root.openDB("ready", binary),
    close: () => root.close(),
  };
}

const nothing = Buffer.of(0);

/** Two puts. Nobody waits for each: the promise that is given resolves when both are on disk. */
export function putTask({ records, ready }, key, record) {
  void records.put(key, record);
  return ready.put([0, key], nothing);
}

/** One put, one remove; likewise. */
export function putOutcome({ outcomes, ready }, key, outcome) {
  void outcomes.put(key, outcome);
  return ready.remove([0, key]);
}
