/** Runs in the thread of an async executor. Started by promises.ts, imported by nobody. */
import { AsyncResource } from "node:async_hooks";
import { receiveMessageOnPort, workerData } from "node:worker_threads";
import type { LoopData } from "./promises.ts";
import { Runner } from "./runner.ts";
import { Slot } from "./slots.ts";
import type { ToWorker } from "./worker-protocol.ts";

const { memory, port, ...settings } = { ...(workerData as LoopData) };
// Handlers can read workerData too; what is in it is for us alone.
for (const key of Object.keys(workerData as object)) Reflect.deleteProperty(workerData as object, key);

const runner = new Runner(settings, {
  tell: (message, transfer = []) => port.postMessage(message, transfer),
  slot: (number) => new Slot(memory, number),
  receiveNow() {
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      receive(next.message as ToWorker);
    }
  },
});
// Outside of the task whose handler asks for what was sent.
const receive = AsyncResource.bind((message: ToWorker) => runner.receive(message));
port.on("message", receive);
port.postMessage({ type: "ready" });
