import { open, type Database, type RootDatabase, type RootDatabaseOptionsWithPath } from "lmdb";

export type Table = Database<Buffer, Buffer>;

/**
 * The tables of a store. Names that end in "-index" hold keys and references only and can be rebuilt from the others;
 * the values of all others are sealed records.
 */
export interface Tables {
  readonly root: RootDatabase<Buffer, Buffer>;
  /** task key → task. */
  readonly tasks: Table;
  /** task key → outcome; a task with an outcome has ended. */
  readonly outcomes: Table;
  /** claim number → epoch and the keys claimed together. */
  readonly claims: Table;
  /** sequence → event. */
  readonly events: Table;
  /** Counters, queues, lanes, format. */
  readonly meta: Table;
  /** lane, priority, sequence → task key. */
  readonly ready: Table;
  /** moment, kind, lane, sequence → task key. */
  readonly due: Table;
  /** queue, dedupe key → task key. */
  readonly dedupe: Table;
  /** moment → keys of tasks (or of results) to be forgotten then. */
  readonly prune: Table;
  /** name, sequence → task key. */
  readonly parked: Table;
}

/** Opens the environment. One process, one thread, never ended while it is open: see decisions/0003-lmdb.md. */
export function openTables(path: string): Tables {
  const raw = { encoding: "binary", keyEncoding: "binary", cache: false } as const;
  const options: RootDatabaseOptionsWithPath & { safeRestore: boolean; permissionsMode: number } = {
    path,
    ...raw,
    maxDbs: 64,
    // By default a path with a dot in its last part would be taken for a file.
    noSubdir: false,
    // A failed commit must be rejected and invisible, and the newest meta page is trusted only after a sync: a host
    // that lost a disk and kept running must not fool us. noSync, noMetaSync and useWritemap lose or damage data.
    overlappingSync: false,
    safeRestore: true,
    permissionsMode: 0o600,
  };
  const root = open<Buffer, Buffer>(options);
  const table = (name: string): Table => root.openDB<Buffer, Buffer>(name, raw);
  return {
    root,
    tasks: table("tasks"),
    outcomes: table("outcomes"),
    claims: table("claims"),
    events: table("events"),
    meta: table("meta"),
    ready: table("ready-index"),
    due: table("due-index"),
    dedupe: table("dedupe-index"),
    prune: table("prune-index"),
    parked: table("parked-index"),
  };
}
