/**
 * The raw ceiling: what the same libraries do for the same tasks without an engine around them. A caller sends batches
 * to a thread that stores them, has them run by a pool of threads and stores their outcomes, by hand, in the quickest way
 * known: see ceiling/. Clock and end are those of W3.
 */
import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { packFrames } from "../ceiling/frames.mjs";
import { secondsOf, smallTask, underWay, workload } from "../workload.mjs";

await workload({ tasks: 100_000, batch: 500 }, async ({ folder, tasks, batch }) => {
  const path = join(folder, "ceiling");
  const worker = new Worker(new URL("../ceiling/store.entry.mjs", import.meta.url), { workerData: { path } });
  const waiting = [];
  let onDone;
  let lastKey = 0;
  worker.on("message", ({ type, key }) => {
    if (type === "stored") waiting.shift()();
    else if (key === lastKey) onDone();
  });
  const runAll = async (count, size) => {
    const done = new Promise((resolve) => (onDone = resolve));
    lastKey += count;
    await underWay(8, Math.ceil(count / size), (call) => {
      const from = call * size;
      const values = Array.from({ length: Math.min(size, count - from) }, (_, i) => smallTask(from + i));
      const frames = packFrames(values);
      worker.postMessage(frames, [frames]);
      return new Promise((resolve) => waiting.push(resolve));
    });
    await done;
  };
  await runAll(64, 1);
  const seconds = await secondsOf(() => runAll(tasks, batch));
  worker.postMessage("close");
  await once(worker, "exit");
  return [{ name: "Raw ceiling", unit: "tasks/s", value: tasks / seconds, batch }];
});
