/**
 * How long an urgent task waits while all workers are busy with thousands of others that take 5 ms: from the call until its
 * handler starts. It cannot begin before the first of the running ones has ended, which is 2.5 ms away on average on one
 * worker, and less on more.
 */
import { openRuntime, percentile, warmUp, workload } from "../workload.mjs";

await workload({ tasks: 200, ms: 5 }, async (settings) => {
  const { tasks, ms } = settings;
  const omniq = await openRuntime(settings);
  await warmUp(omniq);
  // Enough to last until the end: each urgent one is preceded by a pause of 20 ms.
  await omniq.enqueueMany(
    "hash",
    Array.from({ length: tasks * 200 }, () => [ms]),
  );
  await omniq.enqueue("hash", [ms]);
  const waits = [];
  for (let i = 0; i < tasks; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const called = performance.timeOrigin + performance.now();
    const handle = await omniq.enqueue("startedAt", [], { priority: "critical" });
    waits.push((await handle.result()) - called);
  }
  const left = await omniq.count({ state: ["ready", "running"] });
  await omniq.close({ drain: 0 });
  if (left === 0) throw new Error("The workers ran out of tasks. Raise their number.");
  return [
    { name: "Urgent wait p50", unit: "ms", value: percentile(waits, 0.5) },
    { name: "Urgent wait p99", unit: "ms", value: percentile(waits, 0.99) },
  ];
});
