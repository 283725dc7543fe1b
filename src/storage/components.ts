import type { EpochMs } from "../base/clock.ts";
import type { StoredEvent } from "../task/event.ts";
import type { Payload, TaskId } from "../task/task.ts";
import type { EventQuery } from "./storage.ts";

/** Results on a storage of their own, apart from their tasks. Written before the task is settled, by task and attempt. */
export interface ResultStorage {
  open(owner: string): Promise<void>;
  /** Resolves when they are kept. The same task and attempt again replaces. */
  put(results: readonly KeptResult[]): Promise<void>;
  get(id: TaskId, attempt: number): Promise<Payload | undefined>;
  /** Forgets at most `limit` of those whose time is over. */
  prune(now: EpochMs, limit: number): Promise<number>;
  close(): Promise<void>;
}

export interface KeptResult {
  readonly id: TaskId;
  readonly attempt: number;
  readonly result: Payload;
  readonly expiresAt: EpochMs;
}

/** Events on a storage of their own. Best effort: a crash may lose the last of them, never a task. */
export interface EventStorage {
  open(owner: string): Promise<void>;
  append(events: readonly StoredEvent[]): Promise<void>;
  query(query: EventQuery): Promise<readonly StoredEvent[]>;
  /** Forgets at most `limit` of those up to a moment. */
  prune(upTo: EpochMs, limit: number): Promise<number>;
  close(): Promise<void>;
}
