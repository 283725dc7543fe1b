import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Omniq } from "omniq";

/**
 * Makes the file that calls it a program: settings come from the command line, figures (`{ name, unit, value, batch? }`)
 * go to standard output as JSON. Without `--folder`, its files lie in a temporary folder that is removed.
 *
 * @param defaults the settings it knows; their types say how they are read.
 */
export async function workload(defaults, measure) {
  const known = { folder: "", events: "errors", ...defaults };
  const { values } = parseArgs({
    options: Object.fromEntries(Object.keys(known).map((key) => [key, { type: "string" }])),
  });
  const settings = { ...known };
  for (const [key, text] of Object.entries(values))
    settings[key] = typeof known[key] === "number" ? Number(text) : text;
  const isOurs = settings.folder === "";
  if (isOurs) settings.folder = mkdtempSync(join(tmpdir(), "omniq-bench-"));
  try {
    process.stdout.write(`${JSON.stringify(await measure(settings))}\n`);
  } finally {
    if (isOurs) rmSync(settings.folder, { recursive: true, force: true });
  }
}

/** Opens a runtime over the folder of the workload. */
export const openRuntime = ({ folder, events }, options) =>
  Omniq.open({
    tasks: new URL("./tasks.mjs", import.meta.url),
    storage: join(folder, "store"),
    events,
    ...options,
  });

/** Options with which nothing runs, or with which it does, whatever was stored. */
export const paused = (isPaused) => ({ queues: { default: { paused: isPaused } } });

/** Workers load their modules with the first task that they get: has that done before the clock starts. */
export const warmUp = (omniq) => Promise.all(Array.from({ length: 64 }, (_, i) => omniq.run("noop", smallTask(i))));

const text = "x".repeat(64);

/** The arguments of a small task. */
export const smallTask = (i) => [i, text];

/** Calls `call` with 0 to `count - 1`, as many at a time as `width`. */
export async function underWay(width, count, call) {
  let next = 0;
  const line = async () => {
    while (next < count) await call(next++);
  };
  await Promise.all(Array.from({ length: width }, line));
}

/** Enqueues `tasks` no-ops in calls of `batch`, `width` of them under way at a time. */
export const enqueueInBulk = (omniq, { tasks, batch }, width) =>
  underWay(width, Math.ceil(tasks / batch), (call) => {
    const from = call * batch;
    const size = Math.min(batch, tasks - from);
    return omniq.enqueueMany(
      "noop",
      Array.from({ length: size }, (_, i) => smallTask(from + i)),
    );
  });

/** How long `run` takes, in seconds. */
export async function secondsOf(run) {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1_000;
}

/** What the process holds, in MB; Linux only. */
export function memory() {
  const status = readFileSync("/proc/self/status", "utf8");
  const megabytes = (field) => (Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)[1]) * 1_024) / 1e6;
  return { private: megabytes("RssAnon"), mapped: megabytes("RssFile") };
}

/** The value below which the share `p` of `values` lies. */
export function percentile(values, p) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))];
}
