/**
 * Runs beside the main thread of a child, and goes on while a handler blocks that: receives everything, takes tasks
 * back, sets the flag of a stop, answers pings, and ends the child when the supervisor is no more. Started by
 * child.entry.ts, imported by nobody.
 */
import { Socket } from "node:net";
import { workerData } from "node:worker_threads";
import { childFiles, type ToWatchdog, type WatchdogData } from "./child-protocol.ts";
import { FrameReader, frameOf, messageIn } from "./line.ts";
import { Slot } from "./slots.ts";
import type { FromWorker } from "./worker-protocol.ts";

const { memory, port } = workerData as WatchdogData;
const line = new Socket({ fd: childFiles.line });
// As it is now: a handler in the main thread cannot change it here.
const { rss } = process.memoryUsage;
const answer = (message: FromWorker): boolean => line.write(frameOf(message));

function obey(order: ToWatchdog): void {
  switch (order.type) {
    case "clear":
      return new Slot(memory, order.slot).clear();
    case "revoke":
      return void answer({ type: "revoked", batch: order.batch, taken: new Slot(memory, order.slot).revoke() });
    case "stop": {
      const slot = new Slot(memory, order.slot);
      const taken = slot.revokeFrom(order.index);
      if (taken !== undefined) return void answer({ type: "revoked", batch: order.batch, taken });
      // The message before the flag: who sees the flag finds the reason.
      port.postMessage(order);
      return slot.askStop(order.index);
    }
    case "ping":
      return void answer({ type: "pong", rss: rss() });
  }
}

const reader = new FrameReader((body, address) => {
  if (address === "watchdog") obey(messageIn(body) as ToWatchdog);
  else port.postMessage(body, [body.buffer]);
});
line.on("data", (chunk) => reader.read(chunk));

// process.exit() would end this thread only.
const end = (): boolean => process.kill(process.pid, "SIGKILL");
line.on("end", end).on("error", end).on("close", end);
