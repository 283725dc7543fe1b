import type { MessagePort } from "node:worker_threads";
import type { StopMessage } from "./worker-protocol.ts";

/** What a child finds open, besides the usual three. */
export const childFiles = {
  /** From and to the watchdog. It ends when the supervisor does, however that ends. */
  line: 3,
  /** What the main thread says. It waits until that is written, so that nothing of it is lost when it dies. */
  reports: 4,
  /** The slots, see `SlotFile`. */
  slots: 5,
} as const;

/** What the watchdog of a child is told; everything else is for the main thread. */
export type ToWatchdog =
  /** The slot is used for another batch from now on. */
  | { readonly type: "clear"; readonly slot: number }
  | { readonly type: "revoke"; readonly batch: number; readonly slot: number }
  | StopMessage
  | { readonly type: "ping" };

/** What the main thread of a child gives to its watchdog. */
export interface WatchdogData {
  readonly memory: SharedArrayBuffer;
  /** To the main thread: frames as they came, and `ToWorker` messages. */
  readonly port: MessagePort;
}
