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
  readonly scheduleId?: undefined;
}

export const scheduleEventTypes = [
  "schedule.created",
  "schedule.updated",
  "schedule.paused",
  "schedule.resumed",
  "schedule.fired",
  "schedule.missed",
  "schedule.skipped",
  "schedule.completed",
  "schedule.cancelled",
  "schedule.expired",
  "schedule.deleted",
  "schedule.error",
] as const;

export type ScheduleEventType = (typeof scheduleEventTypes)[number];

/** Something that happened to a schedule, stored in the same transaction. */
export interface ScheduleEvent {
  readonly sequence: number;
  readonly type: ScheduleEventType;
  readonly at: EpochMs;
  readonly scheduleId: string;
  /** Of the schedule. */
  readonly name: string;
  /** How many slots it is about: those that were fired, missed or skipped. */
  readonly count?: number;
  readonly error?: TaskError;
  // Those of tasks have these.
  readonly taskId?: undefined;
  readonly queue?: undefined;
  readonly attempt?: undefined;
}

export type StoredEvent = TaskEvent | ScheduleEvent;

const trouble: ReadonlySet<StoredEvent["type"]> = new Set([
  "failed",
  "retrying",
  "interrupted",
  "expired",
  "schedule.missed",
  "schedule.skipped",
  "schedule.expired",
  "schedule.error",
]);

/** Whether an event of `type` is kept at `level`. */
export const isKept = (type: StoredEvent["type"], level: EventLevel): boolean =>
  level === "all" || (level === "errors" && trouble.has(type));
