/** Runs in a child process, where it does what a thread of the pool does. Started by child.ts, imported by nobody. */
import { AsyncResource } from "node:async_hooks";
import { writeSync } from "node:fs";
import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads";
import { childFiles, type WatchdogData } from "./child-protocol.ts";
import { frameOf, messageIn } from "./line.ts";
import { Runner, type RunnerHost } from "./runner.ts";
import { PublishedSlot } from "./slot-file.ts";
import { slotBytes } from "./slots.ts";
import type { FromWorker, ToWorker } from "./worker-protocol.ts";

// These are sent to whole groups of processes. What becomes of a child is its supervisor's to say.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

const memory = new SharedArrayBuffer(slotBytes(Number(process.argv[2])));
const { port1: port, port2 } = new MessageChannel();
const workerData: WatchdogData = { memory, port: port2 };
const watchdog = new Worker(new URL("./watchdog.entry.js", import.meta.url), { workerData, transferList: [port2] });
watchdog.unref();
// Without it nothing can be taken back, nobody hears of a stop, and nothing ends the child with its supervisor.
watchdog.once("exit", () => process.kill(process.pid, "SIGKILL"));

function tell(message: FromWorker): void {
  const frame = frameOf(message);
  for (let at = 0; at < frame.length;) at += writeSync(childFiles.reports, frame, at);
}

const host: RunnerHost = {
  isSequential: true,
  tell,
  slot: (number) => new PublishedSlot(memory, number, childFiles.slots),
  receiveNow() {
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      receive(next.message as Uint8Array | ToWorker);
    }
  },
};

let runner: Runner | undefined;
// Outside of the task whose handler asks for what was sent.
const receive = AsyncResource.bind((given: Uint8Array | ToWorker) => {
  const message = given instanceof Uint8Array ? (messageIn(given) as ToWorker) : given;
  if (message.type !== "settings") return runner?.receive(message);
  runner = new Runner(message, host);
  tell({ type: "ready" });
});
port.on("message", receive);
