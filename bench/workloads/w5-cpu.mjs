/** W5: tasks that keep a core busy. Ideal is the time that the same calls take in one thread, shared among all cores. */
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { hash } from "../tasks.mjs";
import { openRuntime, secondsOf, warmUp, workload } from "../workload.mjs";

await workload({ tasks: 2_000, ms: 5, executor: "thread" }, async (settings) => {
  const { tasks, ms, executor } = settings;
  // Enough calls for a mean; before and after, because machines change their pace.
  const sample = Math.ceil(tasks / 8);
  const worker = new Worker(new URL("../serial.entry.mjs", import.meta.url));
  await serialOnThread(worker, ms, sample);

  const thread = [await serialOnThread(worker, ms, sample)];
  const main = [serial(ms, sample)];
  const isProcess = executor === "process";
  const omniq = await openRuntime(
    settings,
    isProcess ? { executors: { processes: availableParallelism() }, executor } : {},
  );
  await warmUp(omniq);
  const argsList = Array.from({ length: tasks }, () => [ms]);
  const seconds = await secondsOf(async () => {
    await omniq.enqueueMany("hash", argsList);
    await omniq.drain();
  });
  await omniq.close();
  thread.push(await serialOnThread(worker, ms, sample));
  main.push(serial(ms, sample));
  await worker.terminate();

  const mean = (times) => times.reduce((sum, time) => sum + time, 0) / (times.length * sample);
  const efficiency = (serialMs) => (serialMs * tasks) / availableParallelism() / (seconds * 1_000);
  const name = `W5 ${ms} ms${isProcess ? " in processes" : ""}`;
  return [
    { name: `${name} efficiency`, unit: "ratio", value: efficiency(mean(thread)), batch: tasks },
    { name: `${name} efficiency against the main thread`, unit: "ratio", value: efficiency(mean(main)), batch: tasks },
    { name: `${name} call on a worker thread`, unit: "ms", value: mean(thread) },
    { name: `${name} tasks a second`, unit: "tasks/s", value: tasks / seconds, batch: tasks },
  ];
});

async function serialOnThread(worker, ms, count) {
  worker.postMessage({ ms, count });
  const [elapsedMs] = await once(worker, "message");
  return elapsedMs;
}

function serial(ms, count) {
  const start = performance.now();
  for (let i = 0; i < count; i++) hash(ms);
  return performance.now() - start;
}
