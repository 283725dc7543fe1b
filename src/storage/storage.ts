import type { EpochMs } from "../base/clock.ts";
import type { ScheduleChange, ScheduleId, StoredSchedule } from "../schedule/schedule.ts";
import type { EventLevel, ScheduleEventType, StoredEvent, TaskEventType } from "../task/event.ts";
import type { LogLine } from "../task/log-line.ts";
import type { TaskState } from "../task/state.ts";
import type { AttemptFailure, Fence, Payload, StoredTask, TaskId, TaskRequest } from "../task/task.ts";
import type { Routing } from "./routing.ts";
import type {
  DeleteSchedules,
  Fire,
  PutSchedule,
  SchedulePage,
  ScheduleQuery,
  ScheduleTotals,
} from "./schedule-storage.ts";
import type { RateLimit } from "./token-bucket.ts";

/**
 * Where tasks live. Everything that changes is a list of `Change`s given to `commit`, which applies all of them or
 * none, in order, and resolves when they are on disk. One list is what one actor did in one turn, so a finished
 * task, its result, what it frees and the events it leaves are never seen apart.
 *
 * Reads see what was given to `commit` before them. Time is handed in with each change; a storage never reads a clock.
 * Every conditional change tells in its answer what it did, so several processes may share a storage: claims are leases,
 * fenced by `[epoch, attempt]`.
 *
 * Every storage passes test/conformance/storage.ts.
 */
export interface Storage {
  /**
   * Takes ownership, or joins where several may own; gives the epoch of this opening, higher than any before it.
   * What earlier openings had claimed is `ready` again when this resolves on a storage with a single owner.
   */
  open(settings: StorageSettings): Promise<Opened>;

  /**
   * Applies `changes` in order, all or none, durably. Whether one is refused is judged by what was there before the
   * list, so those that may be refused (enqueue, publish, requeue, move, delete, putSchedule) come first in it. Of
   * putSchedule and deleteSchedules, each is judged by what those before it in the list will have done.
   *
   * @returns an answer per change, in order.
   * @throws a refusal (DuplicateTaskError, QueueFullError, TaskBusyError …): nothing of this list was applied,
   *   the storage goes on. StoreFullError: likewise, and the same call succeeds when there is space again.
   *   StoreFailedError: the storage is fenced, nothing more is accepted, and whether the list is on disk is unknown.
   */
  commit<const C extends readonly Change[]>(changes: C): Promise<{ -readonly [K in keyof C]: AnswerTo<C[K]> }>;

  /** The tasks with these ids, in order; `undefined` where there is none. Running tasks show their current attempt. */
  get(ids: readonly TaskId[]): Promise<(StoredTask | undefined)[]>;

  /** A page of tasks in an order that never changes; tasks with our own ids in the order they were made in. */
  list(query: TaskQuery): Promise<TaskPage>;

  /** The stored result; `undefined` when there is none (yet, any more, or the handler gave none). */
  result(id: TaskId): Promise<Payload | undefined>;

  /** What its attempts have said, oldest first; nothing for unknown tasks. */
  notes(id: TaskId): Promise<TaskNotes>;

  /** The value that an attempt of the task has stored under this key. */
  checkpoint(id: TaskId, key: string): Promise<Payload | undefined>;

  /** Events in order of sequence. Filters are joined by "and". */
  events(query: EventQuery): Promise<readonly StoredEvent[]>;

  /** A page of schedules in an order that never changes: that of their ids. */
  schedules(query: ScheduleQuery): Promise<SchedulePage>;

  /** At most `limit` of the schedules that are due by `now`, those first that are due longest. */
  dueSchedules(now: EpochMs, limit: number): Promise<readonly StoredSchedule[]>;

  /** What was changed about a schedule, newest first; nothing for unknown ones. */
  scheduleHistory(id: ScheduleId, limit: number): Promise<readonly ScheduleChange[]>;

  /** What schedules have done, all together. */
  scheduleTotals(now: EpochMs): Promise<ScheduleTotals>;

  /** Counts kept with every change; reading them costs the same whatever is stored. */
  counts(): Promise<Counts>;

  /** Every queue that was configured, paused or used. */
  queues(): Promise<readonly QueueRecord[]>;

  /** Handlers that parked tasks wait for, by `handlerKey`, with how many wait for each. */
  parked(): Promise<ReadonlyMap<string, number>>;

  /** The moments before which `advance`, `prune` and the scheduler have nothing to do; then they may have. */
  nextDue(): Promise<{ readonly advance?: EpochMs; readonly prune?: EpochMs; readonly schedule?: EpochMs }>;

  /** Lets go. With `clean`, everything is on disk and the next opening may skip its checks. */
  close(): Promise<void>;
}

export interface StorageSettings {
  /** Who opens it; shown to whoever else tries. */
  readonly owner: string;
  readonly now: EpochMs;
  readonly events: EventLevel;
  readonly retention: Retention;
  /** Events are kept elsewhere: they are given to this when their changes are on disk, and not stored. */
  readonly onEvents?: (events: readonly StoredEvent[]) => void;
  /** Limits of tasks by their names, over all queues. They are not stored. */
  readonly names?: ReadonlyMap<string, Limits>;
  /** Where tasks run that name no executor. Default `"thread"`. */
  readonly defaultExecutor?: string;
  /** Which queue a claim takes from. Default: by priority over all queues. */
  readonly routing?: Routing;
}

/** What holds tasks back that are ready. Counted at claim, exactly; a claim by hand counts like any other. */
export interface Limits {
  /** The most that run at the same time. */
  readonly concurrency?: number;
  /** The most with one `concurrencyKey` that run at the same time. */
  readonly concurrencyPerKey?: number;
  /** How many may start in a time; see token-bucket.ts. */
  readonly rateLimit?: RateLimit;
}

/** How long things are kept after they ended, in milliseconds. */
export interface Retention {
  /** `completed`, `cancelled` and `expired` tasks, and results that say nothing else. */
  readonly completedMs: number;
  readonly failedMs: number;
  readonly eventsMs: number;
}

export interface Opened {
  readonly epoch: number;
  /** Tasks that an earlier opening had claimed and that went back, as interruptions. */
  readonly interrupted: number;
}

// ---------------------------------------------------------------------------------------------- what may be changed

export type Change =
  | Enqueue
  | Claim
  | Settle
  | Note
  | Advance
  | Cancel
  | Requeue
  | Move
  | Delete
  | Unpark
  | Stage
  | Publish
  | Extend
  | ConfigureQueue
  | PutSchedule
  | DeleteSchedules
  | Fire
  | Prune;

/**
 * Stores new tasks, all or none. Answers with the id per task: its own, that of the task that has its dedupe key
 * already (`return`, `replace`), or `undefined` (`skip`).
 *
 * @throws DuplicateTaskError for an id that exists, or a dedupe key that is taken, with `onConflict: "error"` or,
 *   for a running task, `"replace"`. QueueFullError when a queue would hold more than its `maxSize` unfinished tasks.
 */
export interface Enqueue {
  readonly type: "enqueue";
  readonly tasks: readonly NewTask[];
}

export interface NewTask {
  readonly id: TaskId;
  readonly request: TaskRequest;
  readonly args: Payload;
  /** What to do when `request.dedupeKey` is taken in its queue. Default `"error"`. */
  readonly onConflict?: OnConflict;
}

export type OnConflict = "error" | "skip" | "return" | "replace";

/**
 * Claims up to `limit` ready tasks for `owner`: by priority over all queues, as it has risen where they age, then by the
 * order they were enqueued in; with another routing, so within the queue whose turn it is.
 * Paused queues give none, and nothing is given beyond the limits of its queue, its name and its key. Of the tasks of
 * a queue with one `orderingKey`, only the first that has not ended is given: whatever keeps it waiting keeps the
 * others. Where tasks age, it is left open which of several with one `concurrencyKey` comes first. Tasks found to be past
 * `expiresAt` expire on the way. A claim without `until` lasts as long as the epoch.
 */
export interface Claim {
  readonly type: "claim";
  readonly limit: number;
  readonly now: EpochMs;
  readonly owner: string;
  /** Only from these queues. */
  readonly queues?: readonly string[];
  /** At most so many of each executor; tasks of executors that are not named are left. */
  readonly room?: ReadonlyMap<string, number>;
  /** At most so many of each of these names; with 0, they are left. */
  readonly perName?: ReadonlyMap<string, number>;
  /** The lease ends then: `advance` makes the task ready again, as an interruption. */
  readonly until?: EpochMs;
}

export interface Claimed {
  /** In the order to run them. Their life is `running`, with the attempt they are claimed for, by `claimedBy`. */
  readonly tasks: readonly StoredTask[];
  /** Those that expired on the way. */
  readonly expired: readonly TaskId[];
  /** Some were left that may be claimed then: a rate limit held them back, or there was too much to look through. */
  readonly heldUntil?: EpochMs;
}

/** Ends claims. Answers, per settlement, whether it counted: `false` when its fence is not the task's current one. */
export interface Settle {
  readonly type: "settle";
  readonly now: EpochMs;
  readonly settlements: readonly Settlement[];
}

/** How an attempt ended. */
export interface Settlement {
  readonly id: TaskId;
  readonly fence: Fence;
  readonly end: AttemptEnd;
  /** When the handler was started; left out when it never was. */
  readonly startedAt?: EpochMs | undefined;
  readonly durationMs?: number | undefined;
  readonly workerId?: string | undefined;
}

/**
 * Keeps what attempts say while they run, as long as their tasks are kept. Answers, per note, whether it counted:
 * `false`, and nothing is kept of it, when its fence is not the task's current one.
 */
export interface Note {
  readonly type: "note";
  readonly notes: readonly TaskNote[];
}

export interface TaskNote {
  readonly id: TaskId;
  readonly fence: Fence;
  /** In the place of what was there. */
  readonly progress?: Payload;
  /** Behind those that are there. */
  readonly lines?: readonly LogLine[];
  /** The first value of a key stays, whatever comes later. */
  readonly checkpoint?: { readonly key: string; readonly value: Payload };
}

export interface TaskNotes {
  readonly progress?: Payload;
  readonly lines: readonly LogLine[];
}

export type AttemptEnd =
  /** `resultTtlMs` as the task has it, for results that are kept elsewhere. */
  | { readonly to: "completed"; readonly result: Payload; readonly resultTtlMs?: number }
  | ({ readonly to: "failed"; readonly reason: string; readonly failure: AttemptFailure } & Tallies)
  | ({ readonly to: "retrying"; readonly runAt: EpochMs; readonly failure: AttemptFailure } & Tallies)
  | ({ readonly to: "cancelled"; readonly reason: string } & Partial<Tallies>)
  /** Interrupted: ready again at its old place in the order. */
  | ({ readonly to: "ready"; readonly cause: "interrupted"; readonly failure?: AttemptFailure } & Tallies)
  /** Never started: as if it had not been claimed; the attempt number is taken back. */
  | { readonly to: "ready"; readonly cause: "unstarted" }
  /** Never started, and there is no handler for it: set aside until `unpark`. */
  | { readonly to: "ready"; readonly cause: "parked" };

interface Tallies {
  readonly failures: number;
  readonly crashes: number;
  readonly interruptions: number;
}

/**
 * Does what time has made due, at most `limit` tasks: `scheduled` and `retrying` tasks become `ready`, waiting tasks
 * past `expiresAt` become `expired`, leases that ran out are interruptions, and end a task as `failed` that has had more
 * of them than its `maxInterruptions`.
 */
export interface Advance {
  readonly type: "advance";
  readonly now: EpochMs;
  readonly limit: number;
}

export interface Advanced {
  readonly ready: number;
  readonly expired: readonly TaskId[];
  /** Ready again, or failed. */
  readonly interrupted: readonly TaskId[];
  /** Some that a claim left may be claimed now. */
  readonly released: boolean;
  /** `limit` was reached: call again. */
  readonly hasMore: boolean;
}

/** Cancels waiting tasks. Answers, per id, the state it was found in; only waiting ones have changed. */
export interface Cancel {
  readonly type: "cancel";
  readonly ids: readonly TaskId[];
  readonly now: EpochMs;
  readonly reason: string;
}

/**
 * Makes failed, cancelled and expired tasks ready again, with new retries; attempt numbers and failures go on, a
 * `ttl` starts anew. Answers, per id, the state it was found in; `completed` and unfinished tasks stay as they are.
 *
 * @throws DuplicateTaskError when its dedupe key was taken meanwhile.
 */
export interface Requeue {
  readonly type: "requeue";
  readonly ids: readonly TaskId[];
  readonly now: EpochMs;
}

/**
 * Puts waiting tasks into another queue, with their priority and age. Answers, per id, the state it was found in; only
 * waiting ones have moved.
 *
 * @throws DuplicateTaskError when a dedupe key is taken there. QueueFullError.
 */
export interface Move {
  readonly type: "move";
  readonly ids: readonly TaskId[];
  readonly queue: string;
}

/**
 * Forgets tasks and their results. Answers, per id, whether it was there.
 *
 * @throws TaskBusyError for a running task, unless `force`; the outcome of that attempt will not count.
 */
export interface Delete {
  readonly type: "delete";
  readonly ids: readonly TaskId[];
  readonly now: EpochMs;
  readonly force?: boolean;
  /** The state each must still be in; others are left alone. None of them is `running`. */
  readonly ifState?: readonly TaskState[];
}

/**
 * Puts up to `limit` parked tasks back into the order, at their old places. Answers how many. Those of other versions
 * of the same name stay parked.
 */
export interface Unpark {
  readonly type: "unpark";
  /** The `handlerKey` of what they wait for. */
  readonly handler: string;
  readonly limit: number;
}

/**
 * Stores a part of a set of tasks that is too large for one transaction. Invisible, not counted and never run until
 * `publish`; forgotten at the next `open` if that never comes. Staged tasks have no dedupe keys, no schedules, and new ids.
 */
export interface Stage {
  readonly type: "stage";
  readonly stage: string;
  readonly tasks: readonly NewTask[];
}

/**
 * Makes everything staged under this name appear at once, in the order it was staged in.
 *
 * @throws QueueFullError, and what was staged stays hidden.
 */
export interface Publish {
  readonly type: "publish";
  readonly stage: string;
  /** `"drop"` forgets it instead, and answers with an empty list. */
  readonly how: "appear" | "drop";
}

/** Prolongs leases. Answers, per id, whether the fence was current. */
export interface Extend {
  readonly type: "extend";
  readonly leases: readonly { readonly id: TaskId; readonly fence: Fence }[];
  readonly until: EpochMs;
}

/** Creates a queue, or changes what is given. Answers with the queue as it is then. */
export interface ConfigureQueue {
  readonly type: "configureQueue";
  readonly queue: string;
  readonly patch: QueueSettings;
}

/** `null` takes a limit away. */
export interface QueueSettings {
  readonly isPaused?: boolean;
  /** The most unfinished tasks it may hold. */
  readonly maxSize?: number | null;
  /** The most tasks of it that may run at a time. */
  readonly concurrency?: number | null;
  readonly concurrencyPerKey?: number | null;
  readonly rateLimit?: RateLimit | null;
  /** Its share where queues take turns by weight. Default 1. */
  readonly weight?: number | null;
  /** How long a task waits for its priority to rise by one. Without it, priorities stay as they are. */
  readonly agingStepMs?: number | null;
}

/** Forgets what has outlived its retention, at most `limit` of each kind. */
export interface Prune {
  readonly type: "prune";
  readonly now: EpochMs;
  readonly limit: number;
}

export interface Pruned {
  readonly tasks: number;
  readonly results: number;
  readonly events: number;
  readonly hasMore: boolean;
}

/** What `commit` answers to a change. */
export type AnswerTo<C extends Change> = C extends Enqueue
  ? readonly (TaskId | undefined)[]
  : C extends Claim
    ? Claimed
    : C extends Settle | Note | Delete | Extend
      ? readonly boolean[]
      : C extends Advance
        ? Advanced
        : C extends Cancel | Requeue | Move
          ? readonly (TaskState | undefined)[]
          : C extends Unpark
            ? number
            : C extends ConfigureQueue
              ? QueueRecord
              : C extends Prune
                ? Pruned
                : C extends DeleteSchedules
                  ? readonly boolean[]
                  : C extends Fire
                    ? readonly ((TaskId | undefined)[] | undefined)[]
                    : void;

// ---------------------------------------------------------------------------------------------- what may be asked

/** Filters are joined by "and". */
export interface TaskQuery {
  readonly states?: readonly TaskState[];
  readonly queue?: string;
  readonly name?: string;
  /** All of them. */
  readonly tags?: readonly string[];
  /** Tasks of this schedule. */
  readonly scheduleId?: ScheduleId;
  /** Finished before, or created before where it has not finished. */
  readonly before?: EpochMs;
  /** At most 1,000. */
  readonly limit: number;
  /** `TaskPage.cursor` of the page before. */
  readonly cursor?: string;
}

export interface TaskPage {
  readonly tasks: readonly StoredTask[];
  /** Where the next page starts; left out at the end. */
  readonly cursor?: string;
}

export interface EventQuery {
  readonly taskId?: TaskId;
  readonly scheduleId?: ScheduleId;
  readonly types?: readonly (TaskEventType | ScheduleEventType)[];
  readonly queue?: string;
  /** From, inclusive. */
  readonly since?: EpochMs;
  /** To, exclusive. */
  readonly until?: EpochMs;
  /** Only events with a higher sequence. */
  readonly after?: number;
  /** At most 1,000. */
  readonly limit: number;
}

/** Tasks of a queue by state; states without tasks are left out. */
export type StateCounts = Readonly<Partial<Record<TaskState, number>>>;

export interface Counts {
  readonly queues: ReadonlyMap<string, StateCounts>;
  /** Of `ready` tasks, those that are parked. */
  readonly parked: number;
  /** Since the store was made. */
  readonly totals: Totals;
}

export interface Totals {
  readonly enqueued: number;
  readonly completed: number;
  readonly failed: number;
  readonly retried: number;
  readonly interrupted: number;
  /** Settlements and notes whose fence was not current. */
  readonly late: number;
}

export interface QueueRecord extends Limits {
  readonly name: string;
  readonly isPaused: boolean;
  readonly maxSize?: number;
  readonly weight?: number;
  readonly agingStepMs?: number;
}
