import type { EpochMs } from "../base/clock.ts";
import type { TaskError, TaskId } from "./task.ts";

/** Which events are kept: none, those of trouble (`retrying`, `failed`, `expired`, `interrupted`), or all. */
export type EventLevel = "off" | "errors" | "all";

export const taskEventTypes = [
  "enqueued",
  "started",
  "completed",
  "failed",
  "retrying",
  "interrupted",
  "cancelled",
  "expired",
  "requeued",
] as const;

export type TaskEventType = (typeof taskEventTypes)[number];

/** Something that happened to a task, stored in the same transaction. */
export interface TaskEvent {
  /** Rises by one with every event of a store. */
  readonly sequence: number;
  readonly type: TaskEventType;
  readonly at: EpochMs;
  readonly taskId: TaskId;
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  /** Why: a failure's reason, or the reason given to `cancel`. */
  readonly reason?: string;
  readonly error?: TaskError;
}

const trouble: ReadonlySet<TaskEventType> = new Set(["failed", "retrying", "interrupted", "expired"]);

/** Whether an event of `type` is kept at `level`. */
export const isKept = (type: TaskEventType, level: EventLevel): boolean =>
  level === "all" || (level === "errors" && trouble.has(type));
