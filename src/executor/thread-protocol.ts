import type { MessagePort } from "node:worker_threads";
import type { WorkerSettings } from "./worker-protocol.ts";

/** What every thread of a pool is given. */
export interface ThreadData extends WorkerSettings {
  /** One `Slot` for each batch in flight. */
  readonly memory: SharedArrayBuffer;
  /** One `Outbox` for each. */
  readonly outboxes: SharedArrayBuffer;
  /** How long a thread is to wait before it can be given anything. */
  readonly pauseMs: Int32Array<SharedArrayBuffer>;
  /** Proves that a greeting is our own and not a message of some handler. */
  readonly token: string;
}

/**
 * The first message of a thread, before any task module is loaded: it hands over the port that everything else goes
 * through, which handlers cannot reach.
 */
export interface Greeting {
  readonly token: string;
  readonly threadId: number;
  readonly port: MessagePort;
}
