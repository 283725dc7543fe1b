import type { Reply } from "../actor/actor.ts";
import type { EpochMs } from "../base/clock.ts";
import type { AttemptNote, AttemptReport, CheckpointValue, Executor } from "../executor/executor.ts";
import type { ScheduleChanges, ScheduleDraft } from "../schedule/draft.ts";
import type { ScheduleId, StoredSchedule } from "../schedule/schedule.ts";
import type { QueueSettings, NewTask, QueueRecord, TaskQuery } from "../storage/storage.ts";
import type { TaskState } from "../task/state.ts";
import type { Fence, Payload, StoredTask, TaskError, TaskId } from "../task/task.ts";

/*
 * Everything the actors say to each other. Commands are imperative, facts are in the past tense; a message with a
 * `reply` is an ask.
 */

/** How a task ended, for those who wait for it. */
export interface TaskOutcome {
  readonly id: TaskId;
  /** `"unknown"`: there is no such task, or it was deleted. */
  readonly state: TaskState | "unknown";
  readonly attempt: number;
  readonly result?: Payload;
  readonly reason?: string;
  readonly error?: TaskError;
}

/** The places where handlers run, by name. */
export interface Executors {
  readonly all: ReadonlyMap<string, Executor>;
  /** Where tasks run that do not say. */
  readonly byDefault: string;
}

/** How many more tasks there is room for, by executor; those without room are left out. */
export type Wanted = ReadonlyMap<string, number>;

/** Who waits: told once about each task it asked for, in batches. */
export interface OutcomeSink {
  deliver(outcomes: readonly TaskOutcome[]): void;
}

/** Who follows the progress of tasks. */
export interface ProgressSink {
  progressed(id: TaskId, progress: Payload): void;
}

/** A task that was taken by hand, to be settled before its lease ends. */
export interface LeasedTask {
  readonly task: StoredTask;
  readonly fence: Fence;
  readonly until: EpochMs;
}

/** What to do about a task that is running: nothing, ask it to stop, or stop it. */
export type StopMode = "no" | "signal" | "terminate";

/** What `drain` did not wait for. */
export interface DrainReport {
  readonly paused: number;
  readonly parked: number;
  readonly scheduled: number;
  readonly blocked: number;
  /** Those that an open breaker keeps from being started. */
  readonly held: number;
}

/** A task that a running attempt wants stored, with its options checked. */
export interface ChildTask {
  readonly parent: { readonly id: TaskId; readonly attempt: number };
  readonly task: NewTask;
  readonly onFull: "error" | "wait";
}

/** To the queue actor. Commands come from the bridge, facts from the dispatcher. */
export type QueueMessage =
  | {
      readonly type: "enqueue";
      readonly tasks: readonly NewTask[];
      readonly onFull: "error" | "wait";
      /** The attempt that asks for them; rejects with CancelledError when it is not the current one of its task. */
      readonly parent?: { readonly id: TaskId; readonly attempt: number };
      /** Told about the ends of these tasks, without having to ask. */
      readonly sink?: OutcomeSink;
      readonly reply: Reply<readonly (TaskId | undefined)[]>;
    }
  | { readonly type: "stage"; readonly stage: string; readonly tasks: readonly NewTask[]; readonly reply: Reply<void> }
  | {
      readonly type: "publish";
      readonly stage: string;
      readonly how: "appear" | "drop";
      readonly onFull: "error" | "wait";
      readonly reply: Reply<void>;
    }
  | { readonly type: "wait"; readonly ids: readonly TaskId[]; readonly sink: OutcomeSink }
  | { readonly type: "stopWaiting"; readonly ids: readonly TaskId[]; readonly sink: OutcomeSink }
  /** Tells of the progress of a task from now on. */
  | { readonly type: "follow"; readonly id: TaskId; readonly sink: ProgressSink }
  | { readonly type: "stopFollowing"; readonly id: TaskId; readonly sink: ProgressSink }
  | {
      readonly type: "cancel";
      readonly ids: readonly TaskId[];
      readonly reason: string;
      readonly running: StopMode;
      readonly graceMs: number;
      readonly reply: Reply<readonly boolean[]>;
    }
  | {
      readonly type: "requeue";
      readonly ids: readonly TaskId[];
      readonly reply: Reply<readonly (TaskState | undefined)[]>;
    }
  | {
      readonly type: "move";
      readonly ids: readonly TaskId[];
      readonly queue: string;
      readonly reply: Reply<readonly (TaskState | undefined)[]>;
    }
  | {
      readonly type: "delete";
      readonly ids: readonly TaskId[];
      readonly force: boolean;
      readonly reply: Reply<readonly boolean[]>;
    }
  | {
      readonly type: "configureQueue";
      readonly queue: string;
      readonly patch: QueueSettings;
      readonly reply: Reply<QueueRecord>;
    }
  /** Deletes what matches and is not running. Replies with how many. */
  | { readonly type: "purge"; readonly query: Omit<TaskQuery, "limit" | "cursor">; readonly reply: Reply<number> }
  | {
      readonly type: "lease";
      readonly queues: readonly string[];
      readonly leaseMs: number;
      readonly waitMs: number;
      /** `auto`: completed in the same transaction. */
      readonly ack: "manual" | "auto";
      /** The encoded result of a task that gives none. */
      readonly noResult: Payload;
      readonly reply: Reply<LeasedTask | undefined>;
    }
  /** Ends, or with `until` prolongs, a lease. Replies whether it was still held. */
  | {
      readonly type: "endLease";
      readonly task: StoredTask;
      readonly fence: Fence;
      readonly end: LeaseEnd;
      readonly reply: Reply<boolean>;
    }
  /** Replies with nothing when that takes longer than `waitMs`; without it, waits for ever. */
  | { readonly type: "drain"; readonly waitMs?: number; readonly reply: Reply<DrainReport | undefined> }
  /** Claims nothing more; what is claimed goes on. Replies when the dispatcher was told of all that is. */
  | { readonly type: "stopClaiming"; readonly reply: Reply<void> }
  /** A life of the dispatcher has begun: it runs these, and has room for so many more. */
  | {
      readonly type: "dispatcherStarted";
      readonly life: symbol;
      readonly running: ReadonlySet<TaskId>;
      readonly wanted: Wanted;
      /** How many there are, by executor. */
      readonly workers: ReadonlyMap<string, number>;
    }
  /** There are more or fewer of them. */
  | { readonly type: "workersChanged"; readonly workers: ReadonlyMap<string, number> }
  /** Somebody else has stored tasks. */
  | { readonly type: "tasksStored"; readonly tasks: readonly NewTask[] }
  /** Names were registered: what was parked for want of them may run. Replies when it is on disk. */
  | { readonly type: "namesChanged"; readonly reply: Reply<void> }
  | { readonly type: "noted"; readonly note: AttemptNote }
  /** An attempt asks for a checkpoint of its task. */
  | {
      readonly type: "recall";
      readonly id: TaskId;
      readonly key: string;
      readonly reply: Reply<Payload | undefined>;
    }
  /** An attempt wants a checkpoint stored. Replies, when it is, whether the attempt is the current one. */
  | { readonly type: "keep"; readonly checkpoint: CheckpointValue; readonly reply: Reply<boolean> }
  | {
      readonly type: "attemptsEnded";
      readonly ended: readonly EndedAttempt[];
      readonly wanted: Wanted;
      /** All workers have work: nobody needs what can be claimed now before the next few attempts have ended. */
      readonly isBusy: boolean;
    };

export type LeaseEnd =
  | { readonly type: "ack"; readonly result: Payload }
  | { readonly type: "nack"; readonly error: TaskError; readonly delayMs?: number }
  | { readonly type: "release" }
  | { readonly type: "extend"; readonly leaseMs: number };

/** A report, with the task it is about. */
export interface EndedAttempt {
  readonly task: StoredTask;
  readonly report: AttemptReport;
  /** It was told to stop because it had taken longer than this. */
  readonly timedOutMs?: number | undefined;
  /** It was told to stop because it had been silent for longer than this. */
  readonly stalledMs?: number | undefined;
}

/** To the dispatcher. */
export type DispatcherMessage =
  /** For one life of the dispatcher: the next one does not know them, and the queue takes them back. */
  | {
      readonly type: "run";
      readonly life: symbol;
      readonly tasks: readonly StoredTask[];
      /** How many of them were asked for, by executor: more important ones come unasked. */
      readonly asked: Wanted;
      /** Those that somebody waits for. */
      readonly awaited: ReadonlySet<TaskId>;
    }
  | {
      readonly type: "stop";
      readonly id: TaskId;
      readonly reason: string;
      readonly mode: StopMode;
      readonly graceMs: number;
    }
  /** Somebody waits for these now. */
  | { readonly type: "hurry"; readonly ids: readonly TaskId[] }
  /** Starts no task of these names, and gives back what it has of them and was not begun; any other may be started. */
  | { readonly type: "hold"; readonly names: ReadonlySet<string> }
  /** Executors have other numbers of workers, or other names can be run. */
  | { readonly type: "executorsChanged" }
  /** Starts nothing more; replies when nothing runs, with what it had not started given back to the queue. */
  | { readonly type: "finish"; readonly reply: Reply<void> };

/** To the sweeper. */
export type SweeperMessage =
  /** Something is to be forgotten then; maybe earlier than it thinks. */
  | { readonly type: "forgetFrom"; readonly at: EpochMs }
  | { readonly type: "sweep"; readonly reply: Reply<{ tasks: number; results: number; events: number }> };

/** What a schedule is known by. */
export interface ScheduleKey {
  readonly id: ScheduleId;
  readonly name: string;
}

/** `"stopped"`: not started yet, or shut down. What passes then is missed; what passes while `"paused"` is skipped. */
export type SchedulerMode = "running" | "paused" | "stopped";

/** To the scheduler. Served one after the other. */
export type SchedulerMessage =
  /** Stores schedules, all or none up to 5,000; more in parts, when all have been checked. */
  | {
      readonly type: "putSchedules";
      readonly drafts: readonly ScheduleDraft[];
      readonly reply: Reply<readonly ScheduleKey[]>;
    }
  /** Stores what the task modules declare, or changes it to that; deletes what was declared before of their tasks. */
  | {
      readonly type: "declareSchedules";
      readonly drafts: readonly ScheduleDraft[];
      /** The names of tasks that the modules define: of others, nothing is known. */
      readonly tasks: readonly string[];
      readonly reply: Reply<void>;
    }
  | {
      readonly type: "updateSchedule";
      readonly id: ScheduleId;
      readonly changes: ScheduleChanges;
      readonly ifVersion?: number;
      readonly changelog?: string;
      /** A completed one comes back. */
      readonly reactivate: boolean;
      readonly reply: Reply<StoredSchedule>;
    }
  /** Replies whether that changed anything. */
  | { readonly type: "pauseSchedule"; readonly id: ScheduleId; readonly reply: Reply<boolean> }
  | { readonly type: "resumeSchedule"; readonly id: ScheduleId; readonly reply: Reply<boolean> }
  | { readonly type: "cancelSchedule"; readonly id: ScheduleId; readonly reply: Reply<boolean> }
  | {
      readonly type: "deleteSchedule";
      readonly id: ScheduleId;
      /** Its tasks that have not started are cancelled. */
      readonly cancelQueued: boolean;
      readonly reply: Reply<boolean>;
    }
  /** Fires by hand. Replies with nothing when a task of it has not ended and it does not overlap. */
  | {
      readonly type: "triggerSchedule";
      readonly id: ScheduleId;
      /** Of the new task. */
      readonly taskId: TaskId;
      readonly args?: Payload;
      readonly force: boolean;
      readonly reply: Reply<TaskId | undefined>;
    }
  /** Replies with the tasks of all schedules that it has fired. */
  | {
      readonly type: "emit";
      readonly event: string;
      readonly payload: Payload;
      /** Tells emissions apart. */
      readonly emission: string;
      readonly reply: Reply<readonly TaskId[]>;
    }
  /** Replies whether that changed anything. */
  | {
      readonly type: "switch";
      readonly to: "start" | "pause" | "resume" | "shutdown";
      readonly reply: Reply<boolean>;
    }
  /** Tasks of schedules have ended: something may be due. */
  | { readonly type: "tasksEnded" };
