import type { EpochMs } from "../base/clock.ts";
import type { TaskState } from "./state.ts";
import type { Backoff } from "./retry.ts";

/** Unique for the life of a store: a UUIDv7, or the caller's own (1 to 200 bytes). */
export type TaskId = string;

/** A handler's arguments or result as the codec made them. Only callers and workers ever look inside. */
export type Payload = Uint8Array;

/** Plain data (JSON), small: it is kept in the task's header and read by the supervisor. */
export type Metadata = Readonly<Record<string, unknown>>;

/**
 * What was asked for: fixed once the task is stored. Tasks of one bulk call share one request object, which storages
 * may use to encode it once. Every option that was left out has its default already; lengths are milliseconds.
 */
export interface TaskRequest {
  readonly name: string;
  /** Of the handler that is to run it. */
  readonly version?: string;
  readonly queue: string;
  /** Higher first, -1000 to 1000. */
  readonly priority: number;
  readonly createdAt: EpochMs;
  /** Not to be started before. */
  readonly runAt?: EpochMs;
  /** Not to be started at or after: the task expires. */
  readonly expiresAt?: EpochMs;
  /** The longest that one attempt may take. */
  readonly timeoutMs?: number;
  /** The longest that one attempt may say nothing. */
  readonly stallTimeoutMs?: number;
  /** The most memory that the process of an attempt may hold. */
  readonly memoryBytes?: number;
  /** How often a failed attempt (a handler error, a timeout, a stall, too much memory) is repeated. */
  readonly maxRetries: number;
  readonly backoff: Backoff;
  /** Interruptions after which the task fails; unlimited when left out. */
  readonly maxInterruptions?: number;
  /** How long the result is kept, from the end of the task; the retention of its state when left out. */
  readonly resultTtlMs?: number;
  /** At most one unfinished task of a queue has this key. */
  readonly dedupeKey?: string;
  /** Tasks of a queue with this key run one after the other, in the order they were accepted in. */
  readonly orderingKey?: string;
  /** What limits per key count by. */
  readonly concurrencyKey?: string;
  /** Where it runs; the default executor when left out. */
  readonly executor?: string;
  /** The schedule that asked for it. */
  readonly schedule?: ScheduleOrigin;
  readonly tags: readonly string[];
  readonly metadata: Metadata;
}

/** Where a task of a schedule comes from. */
export interface ScheduleOrigin {
  readonly id: string;
  /** Of the schedule, as it was then. */
  readonly name: string;
  /** The moment it was planned for; that of the call or event where there was no plan. */
  readonly slot: EpochMs;
  /** The event that fired it. Its payload is in the task's arguments, behind the schedule's. */
  readonly event?: string;
}

/** Names a handler: each version of a task has its own. No name contains a control character. */
export const handlerKey = ({ name, version }: Pick<TaskRequest, "name" | "version">): string =>
  version === undefined ? name : `${name}\0${version}`;

/** The name in a `handlerKey`. */
export const nameIn = (key: string): string => key.split("\0", 1)[0] ?? key;

/** Why an attempt ended without a value. */
export type FailureReason =
  | "error"
  | "timeout"
  | "stalled"
  | "memory"
  | "crash"
  | "poison"
  | "interrupted"
  | "cancelled"
  | "expired";

/** An error as data: what survives threads, processes and the store. */
export interface TaskError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: string | number;
  /** The cause, in the same form, to a depth of 8. */
  readonly cause?: TaskError;
}

/** One attempt that failed, kept with the task. At most the newest 20 are kept. */
export interface AttemptFailure {
  readonly attempt: number;
  readonly at: EpochMs;
  readonly reason: FailureReason;
  readonly error: TaskError;
}

/** How far a task has come: everything about it that changes. */
export interface TaskLife {
  readonly state: TaskState;
  /** Numbers every start that is known of; 0 before the first. */
  readonly attempt: number;
  /** Handler errors and timeouts since it was enqueued or requeued; compared with `maxRetries`. */
  readonly failures: number;
  /** Deaths of its own worker since it was enqueued or requeued; the third is poison. */
  readonly crashes: number;
  /** Starts undone by no fault of the task; they use up no attempt. */
  readonly interruptions: number;
  /** When it may start: `scheduled` and `retrying` tasks. */
  readonly runAt?: EpochMs;
  /** Start of the latest attempt that ended. */
  readonly startedAt?: EpochMs;
  readonly finishedAt?: EpochMs;
  /** Of the latest attempt that ended, measured where the handler ran. */
  readonly durationMs?: number;
  /** The worker (`"thread-3"`) of the latest attempt that ended. */
  readonly workerId?: string;
  /** Who claimed it, while it is running. */
  readonly claimedBy?: string;
  /** When it was last requeued: its time to live counts from there. */
  readonly requeuedAt?: EpochMs;
  /** Why it is `failed` or `cancelled`. */
  readonly reason?: string;
  readonly failed: readonly AttemptFailure[];
  /** `ready`, but no handler of its name is registered: it waits for one. */
  readonly parked?: boolean;
}

/** The life of a task that was just stored. */
export const newLife = (request: TaskRequest): TaskLife =>
  request.runAt !== undefined && request.runAt > request.createdAt
    ? { ...unstarted, state: "scheduled", runAt: request.runAt }
    : unstarted;

const unstarted: TaskLife = Object.freeze({
  state: "ready",
  attempt: 0,
  failures: 0,
  crashes: 0,
  interruptions: 0,
  failed: Object.freeze([]),
});

/** A task as a storage gives it back. */
export interface StoredTask {
  readonly id: TaskId;
  readonly request: TaskRequest;
  readonly life: TaskLife;
  readonly args: Payload;
}

/**
 * Proof that a start is the current one: a write of an attempt counts only while the pair is the task's latest.
 * The epoch rises with every owner of the store, so a pair never repeats; pairs are compared in this order.
 */
export interface Fence {
  readonly epoch: number;
  readonly attempt: number;
}
