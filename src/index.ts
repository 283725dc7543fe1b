export { at } from "./schedule/at.ts";
export * from "./base/errors.ts";
export type { Duration } from "./base/duration.ts";
export { DeadLetters } from "./client/dead-letters.ts";
export { Events, type EventFilter } from "./client/events.ts";
export type { Filter } from "./client/filter.ts";
export { TaskHandle, type CancelOptions, type Outcome, type WaitOptions } from "./client/handle.ts";
export type { MapItem, MapOptions } from "./client/map.ts";
export { Omniq, type CloseOptions, type Page } from "./client/omniq.ts";
export { Lease, Queue, Queues, type DequeueOptions, type QueueLimits, type QueueStats } from "./client/queues.ts";
export type { TaskRecord } from "./client/record.ts";
export type { Stats } from "./client/stats.ts";
export type { Logger, OpenOptions } from "./config/open-options.ts";
export type { DrainReport } from "./supervisor/protocol.ts";
export { currentTask, type TaskContext } from "./task/context.ts";
export {
  defineTask,
  task,
  type Args,
  type BackoffOptions,
  type DefineOptions,
  type Handler,
  type Priority,
  type Result,
  type TaskDefinition,
  type TaskOptions,
  type TasksOf,
} from "./task/definition.ts";
export type { LogLevel, LogLine } from "./task/log-line.ts";
export { use, type Middleware } from "./task/middleware.ts";
export { defineResources } from "./task/resources.ts";
export type { StandardSchemaV1 } from "./task/standard-schema.ts";
export type { TaskEvent, TaskEventType } from "./task/event.ts";
export type { TaskState } from "./task/state.ts";
export type { AttemptFailure, Metadata, TaskError, TaskId } from "./task/task.ts";
