import { AsyncLocalStorage } from "node:async_hooks";
import type { EpochMs } from "../base/clock.ts";
import { NoCurrentTaskError } from "../base/errors.ts";
import type { Args, Handler, TaskDefinition, TaskOptions } from "./definition.ts";
import type { LogLevel } from "./log-line.ts";
import type { Metadata, TaskId } from "./task.ts";

/** What a handler may know of the task it runs for. */
export interface TaskContext<R = Readonly<Record<string, unknown>>> {
  readonly id: TaskId;
  readonly name: string;
  /** Which start of the task this is; 1 for the first. */
  readonly attempt: number;
  readonly args: readonly unknown[];
  readonly queue: string;
  readonly tags: readonly string[];
  readonly metadata: Metadata;
  /** Aborts when the task is cancelled, its time is up or the runtime closes; the reason is a CancelledError. */
  readonly signal: AbortSignal;
  /** Whether `signal` has aborted, or is about to: true even inside a loop that never lets events through. */
  readonly cancelled: boolean;
  /** When the attempt is stopped; left out when the task has no `timeout`. */
  readonly deadline?: EpochMs;
  /** The schedule that stored the task; `undefined` for one that was enqueued. */
  readonly schedule?: ScheduleContext | undefined;
  /** The event that the schedule has fired on; `undefined` where there was none. */
  readonly event?: EventContext | undefined;
  /** What the worker has set up, see `defineResources`; empty when nothing was defined. */
  readonly resources: R;
  /**
   * Tells how far it has come: shown to whoever follows the task, and kept with it. Of many in 50 ms, the last counts.
   */
  progress(done: number, total: number): void;
  /**
   * Likewise, with any value that can be an argument, of at most 65,536 bytes.
   *
   * @throws NotSerializableError, PayloadTooLargeError.
   */
  progress(value: unknown): void;
  /**
   * Keeps a line with the task: 1,000 of one attempt, and `maxLogBytes`; the rest is dropped. `fields` is JSON data.
   *
   * @throws InvalidArgumentError for an unknown level. NotSerializableError.
   */
  log(level: LogLevel, message: string, fields?: object): void;
  /** Says that it is alive, see `stallTimeout`; so do `progress` and `log`. */
  heartbeat(): void;
  /**
   * The value that `make` gives, or that it gave to an earlier call with this key, by whichever attempt of the task.
   * Resolves when the value is on disk. A crash in between has `make` called again.
   *
   * @param key 1 to 200 bytes without control characters.
   * @throws what `make` throws. NotSerializableError, PayloadTooLargeError. CancelledError when the attempt is over.
   */
  checkpoint<T>(key: string, make: () => T): Promise<Awaited<T>>;
  /**
   * Stores a new task, as `enqueue` of the runtime does; resolves when it is on disk. With `onConflict: "skip"`, there
   * may be none. Waiting for its result is left to others: a task that waits for tasks keeps them from a worker.
   *
   * An attempt that is repeated stores it again: give it an `id` or a `dedupeKey`, or store it in a checkpoint.
   *
   * @throws as `enqueue`. CancelledError when the attempt is over.
   */
  enqueue<F extends Handler>(
    task: TaskDefinition<string, F>,
    args: Args<F>,
    options?: TaskOptions,
  ): Promise<{ readonly id: TaskId } | undefined>;
  enqueue(task: string, args: readonly unknown[], options?: TaskOptions): Promise<{ readonly id: TaskId } | undefined>;
  /** @throws CancelledError when `cancelled`. */
  throwIfCancelled(): void;
}

export interface ScheduleContext {
  readonly id: string;
  /** As it was when it fired. */
  readonly name: string;
  /** The moment that was planned, however late it is: the same in every attempt. That of the call where it was not planned. */
  readonly scheduledFor: Date;
}

export interface EventContext {
  readonly name: string;
  /**
   * What was emitted. Where it and the last argument are plain objects, its fields are also in that argument, in the place
   * of those that the schedule gives.
   */
  readonly payload: unknown;
}

/**
 * The task whose handler is running, also in what it calls and awaits. `R` is the type of its resources, unchecked.
 *
 * @throws NoCurrentTaskError outside of a handler.
 */
export function currentTask<R = Readonly<Record<string, unknown>>>(): TaskContext<R> {
  const context = contexts.getStore();
  if (context === undefined) throw new NoCurrentTaskError();
  return context as TaskContext<R>;
}

/** Whether a handler is running. */
export const isInTask = (): boolean => contexts.getStore() !== undefined;

/** Calls `run` with `context` as its current task. */
export const runInContext = <T>(context: TaskContext, run: () => T): T => contexts.run(context, run);

// On globalThis, so that a task module which finds another installed copy of this package finds its task all the same.
const key = Symbol.for("omniq.context");
const shared = globalThis as { [key]?: AsyncLocalStorage<TaskContext> };
const contexts = (shared[key] ??= new AsyncLocalStorage<TaskContext>());
