import type { QueueRecord, QueueSettings } from "./storage.ts";

/** A queue that was never configured. */
export const newQueue = (name: string): QueueRecord => ({ name, isPaused: false });

/** The queue with what is given changed; `null` takes a setting away. */
export const configured = (record: QueueRecord, patch: QueueSettings): QueueRecord =>
  Object.fromEntries(
    Object.entries({ ...record, ...patch }).filter(([, value]) => value !== null),
  ) as unknown as QueueRecord;
