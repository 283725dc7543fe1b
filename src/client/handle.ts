import type { Duration } from "../base/duration.ts";
import { TaskFailedError, UnknownTaskIdError, WaitTimeoutError } from "../base/errors.ts";
import { readCall } from "../config/call-options.ts";
import type { ReceivedOutcome } from "../bridge/connect.ts";
import type { StopMode } from "../supervisor/protocol.ts";
import { decode } from "../task/codec.ts";
import type { LogLine } from "../task/log-line.ts";
import type { TaskState } from "../task/state.ts";
import { fromTaskError } from "../task/task-error.ts";
import type { Payload, TaskId } from "../task/task.ts";
import type { TaskRecord } from "./record.ts";

/** How a task ended. */
export interface Outcome<R = unknown> {
  readonly id: TaskId;
  readonly state: TaskState;
  /** Of a completed task; left out when its result is not kept any more. */
  readonly value?: R;
  /** Of one that failed, was cancelled or expired. */
  readonly error?: TaskFailedError;
  readonly attempt: number;
}

export interface WaitOptions {
  /** How long to wait. Default: for ever. */
  readonly timeout?: Duration | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CancelOptions {
  /** Shown with the task, and the message of the handler's CancelledError. Default `"cancelled"`. */
  readonly reason?: string | undefined;
  /**
   * What to do when it is running: `"terminate"` (default) asks it by its signal, and ends its worker after `grace`;
   * `"signal"` only asks; `"no"` lets it run.
   */
  readonly running?: StopMode | undefined;
  /** Default 1 s. */
  readonly grace?: Duration | undefined;
}

/** What a handle needs of the runtime. */
export interface HandleSource {
  outcome(id: TaskId, isWatched: boolean): { readonly outcome: Promise<ReceivedOutcome>; readonly forget: () => void };
  result(id: TaskId): Promise<Payload | undefined>;
  get(id: TaskId): Promise<TaskRecord | undefined>;
  cancel(id: TaskId, options?: CancelOptions): Promise<boolean>;
  progress(id: TaskId): AsyncGenerator<unknown, void, undefined>;
  logs(id: TaskId): Promise<readonly LogLine[]>;
}

declare const resultType: unique symbol;

/** A stored task, to be waited for, looked at or cancelled. Not a promise: awaiting it gives the handle. */
export class TaskHandle<out R = unknown> {
  /** The type of the result; there is no such property. */
  declare readonly [resultType]: R;
  readonly id: TaskId;
  /**
   * Resolves when the task is on disk: at once, but for durability `"relaxed"`. Then it rejects when the task could not
   * be stored after all, and so do `result` and `wait`.
   */
  readonly flushed: Promise<void>;
  readonly #source: HandleSource;
  readonly #watched: Promise<ReceivedOutcome> | undefined;

  /** @internal */
  constructor(id: TaskId, source: HandleSource, flushed = Promise.resolve(), watched?: Promise<ReceivedOutcome>) {
    this.id = id;
    this.flushed = flushed;
    this.#source = source;
    this.#watched = watched;
  }

  /**
   * The value the handler returned.
   *
   * @throws TaskFailedError when the task failed (its `cause` is the handler's error), was cancelled or expired.
   *   WaitTimeoutError after `timeout`; the task goes on. The reason of `signal`. UnknownTaskIdError.
   */
  async result(options?: WaitOptions): Promise<R> {
    const { value, error } = await this.wait(options);
    if (error !== undefined) throw error;
    return value as R;
  }

  /** How the task ended; a task that failed does not reject. @throws as `result`, but for TaskFailedError. */
  async wait(options: WaitOptions = {}): Promise<Outcome<R>> {
    const ended = await this.#ended(options);
    return outcomeOf<R>(
      ended,
      ended.state === "completed" ? (ended.result ?? (await this.#source.result(this.id))) : undefined,
    );
  }

  /** The task as it is stored; `undefined` when it is not, any more. */
  record(): Promise<TaskRecord | undefined> {
    return this.#source.get(this.id);
  }

  /** @throws UnknownTaskIdError. */
  async state(): Promise<TaskState> {
    const record = await this.record();
    if (record === undefined) throw new UnknownTaskIdError(this.id);
    return record.state;
  }

  /**
   * How far it has come: what its handler told with `currentTask().progress()`, the newest first and then whatever
   * comes, until the task ends. Of what comes faster than it is read, the last counts. `progress(done, total)` gives
   * `{ done, total }`.
   *
   * @throws UnknownTaskIdError.
   */
  progress(): AsyncGenerator<unknown, void, undefined> {
    return this.#source.progress(this.id);
  }

  /** What its attempts have logged, oldest first. A running one is up to 0.2 s ahead of that. */
  logs(): Promise<readonly LogLine[]> {
    return this.#source.logs(this.id);
  }

  /** Whether it is cancelled; `false` when it had ended, or finished before it noticed. */
  cancel(reason?: string | CancelOptions): Promise<boolean> {
    return this.#source.cancel(this.id, typeof reason === "string" ? { reason } : reason);
  }

  async #ended(options: WaitOptions): Promise<ReceivedOutcome> {
    const { timeout, signal } = readCall("wait", options);
    await this.flushed;
    signal?.throwIfAborted();
    if (this.#watched !== undefined && timeout === undefined && signal === undefined) return this.#watched;
    const { outcome, forget } = this.#source.outcome(this.id, false);
    if (timeout === undefined && signal === undefined) return outcome;
    return limited(outcome, forget, this.id, timeout, signal);
  }
}

function limited(
  outcome: Promise<ReceivedOutcome>,
  forget: () => void,
  id: TaskId,
  timeoutMs: number | undefined,
  signal: AbortSignal | undefined,
): Promise<ReceivedOutcome> {
  return new Promise((resolve, reject) => {
    const giveUp = (reason: unknown): void => {
      end();
      forget();
      reject(reason);
    };
    const onAbort = (): void => giveUp(signal?.reason);
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => giveUp(new WaitTimeoutError(`Task ${id}`, timeoutMs)), Math.min(timeoutMs, 2 ** 31 - 1));
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    outcome.then(
      (value) => {
        end();
        resolve(value);
      },
      (error: unknown) => {
        end();
        reject(error);
      },
    );
  });
}

function outcomeOf<R>({ id, state, attempt, reason, error }: ReceivedOutcome, result: Payload | undefined): Outcome<R> {
  if (state === "unknown") throw new UnknownTaskIdError(id);
  if (state === "completed")
    return { id, state, attempt, ...(result === undefined ? {} : { value: decode(result) as R }) };
  const cause = error === undefined ? undefined : fromTaskError(error);
  const why = state === "failed" && cause !== undefined ? `${cause.name}: ${cause.message}` : (reason ?? state);
  return {
    id,
    state,
    attempt,
    error: new TaskFailedError(id, state, why, cause === undefined ? undefined : { cause }),
  };
}
