/** W4: on an idle system, one no-op is enqueued and its result awaited, again and again; beside bare puts. */
import { join } from "node:path";
import { open } from "lmdb";
import { openRuntime, percentile, smallTask, warmUp, workload } from "../workload.mjs";

await workload({ tasks: 1_000 }, async (settings) => {
  const half = Math.ceil(settings.tasks / 2);
  const puts = await barePuts(join(settings.folder, "before"), half);
  const omniq = await openRuntime(settings);
  await warmUp(omniq);
  const runs = await timesOf(settings.tasks, (i) => omniq.run("noop", smallTask(i)));
  await omniq.close();
  puts.push(...(await barePuts(join(settings.folder, "after"), half)));

  const p50 = percentile(runs, 0.5);
  const put = percentile(puts, 0.5);
  return [
    { name: "W4 p50", unit: "ms", value: p50 },
    { name: "W4 p99", unit: "ms", value: percentile(runs, 0.99) },
    { name: "W4 bare put p50", unit: "ms", value: put },
    { name: "W4 p50 / bare put p50", unit: "ratio", value: p50 / put },
  ];
});

/** One put, awaited until it is on disk, again and again: in this thread, with the settings that the runtime has. */
async function barePuts(path, count) {
  const options = { path, encoding: "binary", cache: false, overlappingSync: false, safeRestore: true };
  const db = open({ ...options, keyEncoding: "uint32" });
  const value = Buffer.alloc(100, 1);
  await timesOf(64, (i) => db.put(i, value));
  const times = await timesOf(count, (i) => db.put(64 + i, value));
  await db.close();
  return times;
}

/** How long each call takes, in milliseconds. */
async function timesOf(count, call) {
  const times = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await call(i);
    times.push(performance.now() - start);
  }
  return times;
}
