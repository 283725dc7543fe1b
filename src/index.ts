export { at, type AtOptions, type AtTrigger } from "./schedule/at.ts";
export { cron, type CronOptions, type CronTrigger } from "./schedule/cron.ts";
export { daily, type DailyOptions, type DailyTrigger } from "./schedule/daily.ts";
export { defineSchedule, type DeclareOptions } from "./schedule/define-schedule.ts";
export { every, type EveryOptions, type EveryTrigger } from "./schedule/every.ts";
export { monthly, type MonthlyOptions, type MonthlyTrigger } from "./schedule/monthly.ts";
export { onEvent, type EventTrigger } from "./schedule/on-event.ts";
export type { MissedOptions, ScheduleOptions, ScheduleTemplate, ScheduleUpdate } from "./schedule/schedule-options.ts";
export type { ScheduleId } from "./schedule/schedule.ts";
export { template } from "./schedule/template.ts";
export type { Trigger } from "./schedule/trigger.ts";
export { weekly, type Weekday, type WeeklyOptions, type WeeklyTrigger } from "./schedule/weekly.ts";
export * from "./base/errors.ts";
export type { Bytes } from "./base/bytes.ts";
export type { Duration } from "./base/duration.ts";
export { DeadLetters } from "./client/dead-letters.ts";
export { Events, type EventFilter } from "./client/events.ts";
export type { Filter } from "./client/filter.ts";
export { TaskHandle, type CancelOptions, type Outcome, type WaitOptions } from "./client/handle.ts";
export type { MapItem, MapOptions } from "./client/map.ts";
export { Omniq, type CloseOptions, type Page } from "./client/omniq.ts";
export { Lease, Queue, Queues, type DequeueOptions, type QueueLimits, type QueueStats } from "./client/queues.ts";
export type { TaskRecord } from "./client/record.ts";
export type {
  ScheduleDetails,
  ScheduleHistoryEntry,
  ScheduleRecord,
  ScheduleStatus,
} from "./client/schedule-record.ts";
export { Scheduler, type ScheduleFailure, type SchedulerStats } from "./client/scheduler.ts";
export { Schedules, type ScheduleFilter, type ScheduleHandle, type UpdateScheduleOptions } from "./client/schedules.ts";
export type { Stats } from "./client/stats.ts";
export type { Logger, OpenOptions } from "./config/open-options.ts";
export type { ConfigurePatch } from "./config/resolve.ts";
export type { CustomExecutor, ExecutorFactory, ExecutorSettings } from "./executor/custom.ts";
export type { AttemptReport, Run, RunObserver } from "./executor/executor.ts";
export type { DrainReport } from "./supervisor/protocol.ts";
export type { SchedulerOptions } from "./config/scheduler-options.ts";
export { currentTask, type EventContext, type ScheduleContext, type TaskContext } from "./task/context.ts";
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
export type { ScheduleEvent, ScheduleEventType, StoredEvent, TaskEvent, TaskEventType } from "./task/event.ts";
export type { TaskState } from "./task/state.ts";
export type { AttemptFailure, Metadata, StoredTask, TaskError, TaskId } from "./task/task.ts";
