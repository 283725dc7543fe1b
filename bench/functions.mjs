/** Measures functions that every task passes through, one by one: see README.md beside this file. */
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Bench } from "tinybench";
import { newIds } from "../dist/base/id.js";
import { prepareTaskDefaults, resolveOpenOptions, resolveTaskOptions } from "../dist/config/resolve.js";
import { lmdbStorage } from "../dist/storage/lmdb/lmdb.js";
import { memoryStorage } from "../dist/storage/memory.js";
import { Durations, nextBatch } from "../dist/supervisor/batching.js";
import { decode, encode, encodePooled } from "../dist/task/codec.js";
import { newLife } from "../dist/task/task.js";
import { jsonLines } from "./report.mjs";
import { ensureDisk, surroundings } from "./surroundings.mjs";
import { smallTask } from "./workload.mjs";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    dir: { type: "string", default: tmpdir() },
    json: { type: "string" },
  },
});
ensureDisk(options.dir);

const limits = { maxBytes: 1_000_000 };
const args = smallTask(1);
const payload = encode(args, "args", limits);
const defaults = prepareTaskDefaults("noop", undefined, resolveOpenOptions({ tasks: [] }));
const { request } = resolveTaskOptions(undefined, defaults, Date.now());
const count = 512;
const waiting = newIds(count)
  .map((id) => ({ id, request, life: newLife(request), args: payload }))
  .map((task) => ({ task, isAwaited: false }));

const durations = new Durations();
for (let i = 0; i < 100; i++) durations.learn("noop", 0.001);

const folder = mkdtempSync(join(options.dir, "omniq-bench-"));
const storages = {
  memory: memoryStorage(),
  lmdb: lmdbStorage({ path: join(folder, "store"), reserveBytes: 0, preflight: "off" }),
};

const bench = new Bench(options.quick ? { time: 1, iterations: 1, warmup: false } : { time: 2_000, warmupTime: 500 });
bench
  .add("encode a small task", () => void encodePooled(args, "args", limits))
  .add("decode a small task", () => void decode(payload))
  .add("resolveTaskOptions, none", () => void resolveTaskOptions(undefined, defaults, 0))
  .add("resolveTaskOptions, three", () => {
    resolveTaskOptions({ priority: "high", maxRetries: 3, tags: ["mail"] }, defaults, 0);
  })
  .add("nextBatch of 512 waiting", () => void nextBatch(waiting, 0, durations));
for (const [name, storage] of Object.entries(storages)) {
  const { epoch } = await storage.open({
    owner: "bench",
    now: Date.now(),
    events: "errors",
    retention: { completedMs: 86_400_000, failedMs: 86_400_000, eventsMs: 86_400_000 },
  });
  bench.add(`${name}: enqueue, claim, settle ${count}`, () => lifeOfTasks(storage, epoch));
}

try {
  await bench.run();
  console.table(bench.table());
  const failed = bench.tasks.find(({ result }) => "error" in result);
  if (failed !== undefined) throw failed.result.error;
  if (options.json !== undefined) appendFileSync(options.json, jsonLines(figures(), surroundings(options.dir)));
} finally {
  for (const storage of Object.values(storages)) await storage.close();
  rmSync(folder, { recursive: true, force: true });
}

function figures() {
  return bench.tasks.map(({ name, result: { throughput } }) => ({
    name,
    unit: "calls/s",
    value: throughput.p50,
    min: throughput.min,
    max: throughput.max,
    runs: throughput.samplesCount,
  }));
}

/** Three commits: tasks are stored, claimed and completed. */
async function lifeOfTasks(storage, epoch) {
  const now = Date.now();
  const tasks = newIds(count).map((id) => ({ id, request, args: payload }));
  await storage.commit([{ type: "enqueue", tasks }]);
  const [claimed] = await storage.commit([{ type: "claim", limit: count, now, owner: "bench" }]);
  const settlements = claimed.tasks.map(({ id, life }) => ({
    id,
    fence: { epoch, attempt: life.attempt },
    end: { to: "completed", result: payload },
  }));
  const [counted] = await storage.commit([{ type: "settle", now, settlements }]);
  if (counted.length !== count || counted.includes(false)) throw new Error("Not every task was completed.");
}
