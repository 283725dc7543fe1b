import type { EpochMs } from "../base/clock.ts";
import { decode, splitEvent } from "../task/codec.ts";
import type { EventContext, ScheduleContext } from "../task/context.ts";
import type { TaskState } from "../task/state.ts";
import type { AttemptFailure, Metadata, StoredTask, TaskId } from "../task/task.ts";

/** A task as it is stored. Moments are Dates, lengths are milliseconds. */
export interface TaskRecord {
  readonly id: TaskId;
  readonly name: string;
  /** Of the handler that is to run it. */
  readonly version?: string;
  readonly queue: string;
  /** Higher first. */
  readonly priority: number;
  readonly state: TaskState;
  /** The arguments, decoded when they are first read. */
  readonly args: readonly unknown[];
  readonly tags: readonly string[];
  readonly metadata: Metadata;
  /** Which start this is, or was; 0 before the first. */
  readonly attempt: number;
  /** `attempt` - 1, and 0 before the first. */
  readonly retryCount: number;
  readonly maxRetries: number;
  /** Starts undone by no fault of the task. */
  readonly interruptions: number;
  /** How often its own worker died under it. */
  readonly crashes: number;
  readonly createdAt: Date;
  /** Not to be started before. */
  readonly runAt?: Date;
  /** Not to be started at or after. */
  readonly expiresAt?: Date;
  /** Of the latest attempt that ended. */
  readonly startedAt?: Date;
  readonly finishedAt?: Date;
  readonly durationMs?: number;
  readonly workerId?: string;
  readonly timeoutMs?: number;
  readonly dedupeKey?: string;
  readonly orderingKey?: string;
  readonly concurrencyKey?: string;
  /** Why it failed or was cancelled. */
  readonly reason?: string;
  /** Attempts that failed, oldest first; at most the newest 20. */
  readonly errors: readonly AttemptFailure[];
  /** The schedule that stored it. */
  readonly schedule?: ScheduleContext;
  /** The event that the schedule has fired on; its payload is decoded when it is first read. */
  readonly event?: EventContext;
  /** No handler has its name; it waits for one. */
  readonly parked: boolean;
}

const date = <K extends string>(key: K, at: EpochMs | undefined): { [P in K]?: Date } =>
  at === undefined ? {} : ({ [key]: new Date(at) } as { [P in K]: Date });

const given = <K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { [P in K]: V });

/** The event is read from behind the arguments. */
function originOf({ request: { schedule }, args }: StoredTask): Pick<TaskRecord, "schedule" | "event"> {
  if (schedule === undefined) return {};
  const { id, name, slot, event } = schedule;
  const origin = { id, name, scheduledFor: new Date(slot) };
  if (event === undefined) return { schedule: origin };
  let payload: { readonly decoded: unknown } | undefined;
  const read = (): { readonly decoded: unknown } => {
    const { event: bytes } = splitEvent(args);
    return { decoded: bytes === undefined ? undefined : decode(bytes) };
  };
  return {
    schedule: origin,
    event: {
      name: event,
      get payload() {
        return (payload ??= read()).decoded;
      },
    },
  };
}

export function recordOf(task: StoredTask): TaskRecord {
  const { id, request, life, args } = task;
  let decoded: readonly unknown[] | undefined;
  return {
    id,
    name: request.name,
    ...given("version", request.version),
    queue: request.queue,
    priority: request.priority,
    state: life.state,
    get args() {
      return (decoded ??= decode(args) as readonly unknown[]);
    },
    tags: request.tags,
    metadata: request.metadata,
    attempt: life.attempt,
    retryCount: Math.max(0, life.attempt - 1),
    maxRetries: request.maxRetries,
    interruptions: life.interruptions,
    crashes: life.crashes,
    createdAt: new Date(request.createdAt),
    ...date("runAt", life.runAt ?? request.runAt),
    ...date("expiresAt", request.expiresAt),
    ...date("startedAt", life.startedAt),
    ...date("finishedAt", life.finishedAt),
    ...given("durationMs", life.durationMs),
    ...given("workerId", life.workerId),
    ...given("timeoutMs", request.timeoutMs),
    ...given("dedupeKey", request.dedupeKey),
    ...given("orderingKey", request.orderingKey),
    ...given("concurrencyKey", request.concurrencyKey),
    ...given("reason", life.reason),
    errors: life.failed,
    ...originOf(task),
    parked: life.parked === true,
  };
}
