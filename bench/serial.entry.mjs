/** Runs in a thread of its own, started by w5-cpu.mjs: tells how long calls take one after the other. */
import { parentPort } from "node:worker_threads";
import { hash } from "./tasks.mjs";

parentPort.on("message", ({ ms, count }) => {
  const start = performance.now();
  for (let i = 0; i < count; i++) hash(ms);
  parentPort.postMessage(performance.now() - start);
});
