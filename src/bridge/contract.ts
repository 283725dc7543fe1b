import type { MessagePort } from "node:worker_threads";
import type { EpochMs } from "../base/clock.ts";
import type { ExecutorSizes, ResolvedOptions } from "../config/resolve.ts";
import type { CatalogueEntry } from "../executor/executor.ts";
import type { ScheduleChanges, ScheduleDraft } from "../schedule/draft.ts";
import type { ScheduleChange, ScheduleId, StoredSchedule } from "../schedule/schedule.ts";
import type { SchedulePage, ScheduleQuery, ScheduleTotals } from "../storage/schedule-storage.ts";
import type {
  Counts,
  EventQuery,
  OnConflict,
  QueueRecord,
  QueueSettings,
  TaskNotes,
  TaskPage,
  TaskQuery,
} from "../storage/storage.ts";
import type { DrainReport, LeasedTask, LeaseEnd, ScheduleKey, StopMode } from "../supervisor/protocol.ts";
import type { SchedulerCourse } from "../supervisor/scheduler-state.ts";
import type { PayloadBatch } from "../task/codec.ts";
import type { StoredEvent } from "../task/event.ts";
import type { TaskState } from "../task/state.ts";
import type { Fence, Payload, StoredTask, TaskError, TaskId, TaskRequest } from "../task/task.ts";
import type { WireError } from "./wire-error.ts";

/*
 * What crosses between the caller's thread and the supervisor's. Calls go over Comlink, one at a time; tasks and
 * outcomes go over a port of their own, in batches, with their payloads in transferred buffers that nobody looks into.
 */

/** What the supervisor's thread is started with. The logger stays with the caller. */
export interface SupervisorData {
  readonly options: Omit<ResolvedOptions, "logger">;
  readonly port: MessagePort;
  readonly hasLogger: boolean;
  /** The memory of a TransactionGate. */
  readonly gate: SharedArrayBuffer;
}

/** What the caller learns when the supervisor is ready. */
export interface Ready {
  readonly epoch: number;
  readonly catalogue: readonly CatalogueEntry[];
  /** Tasks that an earlier opening had started, and that run again. */
  readonly interrupted: number;
}

/** How a call ended: errors travel as data. */
export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: WireError };

/** What the caller may ask about schedules. */
export interface ScheduleCalls {
  schedules(query: ScheduleQuery): Promise<SchedulePage>;
  scheduleHistory(id: ScheduleId, limit: number): Promise<readonly ScheduleChange[]>;
  putSchedules(drafts: readonly ScheduleDraft[]): Promise<readonly ScheduleKey[]>;
  updateSchedule(
    id: ScheduleId,
    changes: ScheduleChanges,
    how: { readonly ifVersion?: number; readonly changelog?: string; readonly reactivate?: boolean },
  ): Promise<StoredSchedule>;
  /** Whether that changed anything. */
  moveSchedule(id: ScheduleId, to: "pause" | "resume" | "cancel"): Promise<boolean>;
  deleteSchedule(id: ScheduleId, cancelQueued: boolean): Promise<boolean>;
  triggerSchedule(
    id: ScheduleId,
    taskId: TaskId,
    how: { readonly args?: Payload; readonly force: boolean },
  ): Promise<TaskId | undefined>;
  emit(event: string, payload: Payload, emission: string): Promise<readonly TaskId[]>;
  /** Whether that changed anything. */
  switchScheduler(to: "start" | "pause" | "resume" | "shutdown"): Promise<boolean>;
  schedulerState(): Promise<SchedulerCourse & { readonly now: EpochMs; readonly totals: ScheduleTotals }>;
}

/** What the caller may ask of the supervisor. */
export interface SupervisorCalls extends ScheduleCalls {
  ready(): Promise<Ready>;
  get(ids: readonly TaskId[]): Promise<(StoredTask | undefined)[]>;
  list(query: TaskQuery): Promise<TaskPage>;
  result(id: TaskId): Promise<Payload | undefined>;
  notes(id: TaskId): Promise<TaskNotes>;
  events(query: EventQuery): Promise<readonly StoredEvent[]>;
  counts(): Promise<Counts>;
  parked(): Promise<ReadonlyMap<string, number>>;
  /** Breakers that are not closed, by task name. */
  breakers(): Promise<ReadonlyMap<string, "open" | "half-open">>;
  queues(): Promise<readonly QueueRecord[]>;
  configureQueue(queue: string, patch: QueueSettings): Promise<QueueRecord>;
  cancel(ids: readonly TaskId[], reason: string, running: StopMode, graceMs: number): Promise<readonly boolean[]>;
  requeue(ids: readonly TaskId[]): Promise<readonly (TaskState | undefined)[]>;
  move(ids: readonly TaskId[], queue: string): Promise<readonly (TaskState | undefined)[]>;
  delete(ids: readonly TaskId[], force: boolean): Promise<readonly boolean[]>;
  purge(query: Omit<TaskQuery, "limit" | "cursor">): Promise<number>;
  lease(
    queues: readonly string[],
    leaseMs: number,
    waitMs: number,
    ack: "manual" | "auto",
    noResult: Payload,
  ): Promise<LeasedTask | undefined>;
  endLease(task: StoredTask, fence: Fence, end: LeaseEnd): Promise<boolean>;
  /** Gives nothing when that takes longer than `waitMs`. */
  drain(waitMs?: number): Promise<DrainReport | undefined>;
  /** Has other numbers of workers from now on. */
  resize(sizes: Required<ExecutorSizes>): Promise<void>;
  /** Loads the task modules anew, in fresh workers. */
  reload(): Promise<readonly CatalogueEntry[]>;
  sweep(): Promise<{ tasks: number; results: number; events: number }>;
  /** Ends everything; what runs has so long to finish. */
  close(drainMs: number): Promise<void>;
}

/** Tasks on their way to be stored. */
export interface TaskBatch {
  readonly ids: readonly TaskId[];
  /** Fewer than tasks: `requestOf` says which is whose; without it, all share the first. */
  readonly requests: readonly TaskRequest[];
  readonly requestOf?: Uint32Array;
  readonly args: PayloadBatch;
  readonly onConflict?: OnConflict;
}

/** From the caller. Those with a `call` are answered with the same number. */
export type CallerMessage =
  | {
      readonly type: "enqueue";
      readonly call: number;
      readonly batch: TaskBatch;
      readonly onFull: "error" | "wait";
      /** Wants to be told how these tasks end. */
      readonly isWatched: boolean;
    }
  | { readonly type: "stage"; readonly call: number; readonly stage: string; readonly batch: TaskBatch }
  | {
      readonly type: "publish";
      readonly call: number;
      readonly stage: string;
      readonly how: "appear" | "drop";
      readonly onFull: "error" | "wait";
    }
  | { readonly type: "wait"; readonly ids: readonly TaskId[] }
  | { readonly type: "stopWaiting"; readonly ids: readonly TaskId[] }
  | { readonly type: "follow"; readonly id: TaskId }
  | { readonly type: "stopFollowing"; readonly id: TaskId }
  | { readonly type: "ping" };

/** From the supervisor. */
export type SupervisorMessage =
  /** `ids` only where they differ from those sent. */
  | { readonly type: "stored"; readonly call: number; readonly ids?: readonly (TaskId | undefined)[] }
  | { readonly type: "refused"; readonly call: number; readonly error: WireError }
  | { readonly type: "outcomes"; readonly outcomes: readonly WireOutcome[]; readonly results: PayloadBatch }
  | { readonly type: "progress"; readonly id: TaskId; readonly progress: Payload }
  | { readonly type: "pong" }
  | { readonly type: "failed"; readonly error: WireError }
  /** A schedule could not be fired. */
  | { readonly type: "scheduleError"; readonly scheduleId: ScheduleId; readonly error: WireError }
  | {
      readonly type: "log";
      readonly level: "debug" | "info" | "warn" | "error";
      readonly fields: object;
      readonly message: string;
    };

/** An outcome without its result; `result` is its number in the batch of results. */
export interface WireOutcome {
  readonly id: TaskId;
  readonly state: TaskState | "unknown";
  readonly attempt: number;
  readonly result?: number;
  readonly reason?: string;
  readonly error?: TaskError;
}
