/** Runs in a thread of the pool. Started by threads.ts, imported by nobody. */
import { setTimeout } from "node:timers/promises";
import { MessageChannel, parentPort, receiveMessageOnPort, threadId, workerData } from "node:worker_threads";
import { Outbox } from "./outbox.ts";
import { Runner } from "./runner.ts";
import { Slot } from "./slots.ts";
import type { Greeting, ThreadData } from "./thread-protocol.ts";
import type { BatchMessage, ToWorker, ValidateAnswer, ValidateMessage } from "./worker-protocol.ts";

const { memory, outboxes, pauseMs, token, ...settings } = { ...(workerData as ThreadData) };
// Handlers can read workerData too; what is in it is for us alone.
for (const key of Object.keys(workerData as object)) Reflect.deleteProperty(workerData as object, key);

const ms = Atomics.load(pauseMs, 0);
if (ms > 0) await setTimeout(ms);

const { port1: port, port2 } = new MessageChannel();
parentPort?.postMessage({ token, threadId, port: port2 } satisfies Greeting, [port2]);
port.on("message", (message: ToWorker) => runner.receive(message));

const runner = new Runner(settings, {
  tell: (message, transfer = []) => port.postMessage(message, transfer),
  slot: (number) => new Slot(memory, number),
  outbox: (number) => new Outbox(outboxes, number),
  receiveNow() {
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      runner.receive(next.message as ToWorker);
    }
  },
});

export const runBatch = (message: BatchMessage): Promise<void> => runner.runBatch(message);
export const validate = (message: ValidateMessage): Promise<ValidateAnswer> => runner.validate(message);
