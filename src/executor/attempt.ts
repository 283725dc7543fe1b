import type { EpochMs } from "../base/clock.ts";
import { toMs, type Duration } from "../base/duration.ts";
import {
  CancelledError,
  InvalidArgumentError,
  NotATaskError,
  UnknownTaskError,
  UnreadablePayloadError,
} from "../base/errors.ts";
import { checkName } from "../base/names.ts";
import { decode, encode, encodePooled, splitEvent } from "../task/codec.ts";
import { runInContext, type TaskContext } from "../task/context.ts";
import { definitionOf } from "../task/definition.ts";
import { callThrough, isThenable, type Middleware } from "../task/middleware.ts";
import { toTaskError } from "../task/task-error.ts";
import type { Payload, TaskError, TaskId } from "../task/task.ts";
import { AttemptContext } from "./attempt-context.ts";
import type { AttemptNote, CheckpointValue, ChildCall } from "./executor.ts";
import type { AttemptEnd, TaskHeader } from "./frames.ts";
import type { LoadedTask } from "./loader.ts";
import { Notebook } from "./notebook.ts";
import { versioned } from "./versions.ts";

/** What an attempt needs of the worker that it runs in. */
export interface AttemptHost {
  readonly maxResultBytes: number;
  /** None when left out. */
  readonly equipment?:
    | { readonly middleware: readonly Middleware[]; readonly resources: Readonly<Record<string, unknown>> }
    | undefined;
  /** Of what one attempt logs. Default 65,536. */
  readonly maxLogBytes?: number | undefined;
  /** Passes on what attempts say; without it, nobody hears of that. */
  note?(note: AttemptNote): void;
  /** As those of a RunObserver; without them, checkpoints last as long as their attempt. */
  recall?(id: TaskId, key: string): Promise<Payload | undefined>;
  keep?(checkpoint: CheckpointValue): Promise<boolean>;
  enqueue?(call: ChildCall): Promise<TaskId | undefined>;
  /**
   * Calls `stop` of the attempt if that was asked for. Called from inside of handlers, in loops that keep the worker
   * from receiving anything: cheap while nothing was asked for.
   */
  poll(): void;
}

/** One call of a handler, from the bytes of its arguments to how it ended. Nothing that a handler does makes it throw. */
export class Attempt {
  readonly header: TaskHeader;
  readonly startedAt: EpochMs;
  args: readonly unknown[] = [];
  /** What was emitted with the event that it was stored for. */
  eventPayload: unknown;
  readonly #task: LoadedTask | undefined;
  readonly #host: AttemptHost;
  readonly #context: TaskContext;
  #aborter: AbortController | undefined;
  #stopped: CancelledError | undefined;
  /** Ends it before its promise does; none while there is no promise. */
  #end: ((end: AttemptEnd) => void) | undefined;
  #notebook: Notebook | undefined;
  #checkpoints: Map<string, Promise<unknown>> | undefined;
  #openCheckpoints = 0;
  #isOver = false;

  constructor(header: TaskHeader, task: LoadedTask | undefined, startedAt: EpochMs, host: AttemptHost) {
    this.header = header;
    this.startedAt = startedAt;
    this.#task = task;
    this.#host = host;
    this.#context = new AttemptContext(this);
  }

  /** Calls the handler. Gives a promise, which is never rejected, only when the handler does. */
  run(payload: Payload): AttemptEnd | Promise<AttemptEnd> {
    const handler = this.#task?.handler;
    let returned: unknown;
    try {
      if (handler === undefined) throw new UnknownTaskError(this.header.request.name, undefined);
      const { args, event } = splitEvent(payload);
      this.args = readArgs(args);
      if (event !== undefined) this.#takeEvent(event);
    } catch (error) {
      return finalFault(error);
    }
    try {
      returned = runInContext(this.#context, () => {
        const result = callThrough(this.#host.equipment?.middleware ?? [], this.#context, this.args, handler);
        // Inside the context, so that what is lazy until its `then` is called finds the current task as well.
        return isThenable(result) ? Promise.resolve(result) : result;
      });
    } catch (thrown) {
      return this.#endOf(thrown);
    }
    if (returned instanceof Promise) return this.#settled(returned);
    return this.#openCheckpoints > 0 ? finalFault(unawaited()) : this.#valueOf(returned);
  }

  /** A last argument that is an object gets the fields of a payload that is one. */
  #takeEvent(event: Payload): void {
    this.eventPayload = decode(event);
    const last = this.args.at(-1);
    if (isRecord(last) && isRecord(this.eventPayload)) {
      this.args = [...this.args.slice(0, -1), { ...last, ...this.eventPayload }];
    }
  }

  /** It has ended: sends what it has still to say. */
  finish(): void {
    this.#isOver = true;
    this.#notebook?.flush();
  }

  get notebook(): Notebook {
    const { id, attempt } = this.header;
    return (this.#notebook ??= new Notebook(attempt, this.#host.maxLogBytes ?? defaultLogBytes, (said) =>
      this.#host.note?.({ id, attempt, ...said }),
    ));
  }

  /** The value of this key: as it was stored by any attempt, or as `make` gives it, once that is stored. */
  checkpoint(key: string, make: () => unknown): Promise<unknown> {
    const checkpoints = (this.#checkpoints ??= new Map());
    let value = checkpoints.get(key);
    if (value === undefined) checkpoints.set(key, (value = this.#remember(key, make)));
    return value;
  }

  async #remember(key: string, make: () => unknown): Promise<unknown> {
    this.#openCheckpoints += 1;
    try {
      checkName("checkpoint(key)", key);
      const { id, attempt } = this.header;
      const stored = await this.#host.recall?.(id, key);
      if (stored !== undefined) return decode(stored);
      if (this.#isOver) throw over();
      const value = encode(await make(), `checkpoint ${JSON.stringify(key)}`, { maxBytes: this.#host.maxResultBytes });
      if ((await this.#host.keep?.({ id, attempt, key, value })) === false) throw over();
      return decode(value);
    } catch (error) {
      // It may do better when it is called again.
      this.#checkpoints?.delete(key);
      throw error;
    } finally {
      this.#openCheckpoints -= 1;
    }
  }

  /** Stores a task, while this attempt is the current one. */
  async enqueue(task: unknown, args: unknown, options: unknown): Promise<TaskId | undefined> {
    const definition = typeof task === "string" ? { name: task, options: {} } : definitionOf(task);
    if (definition === undefined) throw new NotATaskError(`A value of type ${typeof task}`);
    if (!Array.isArray(args)) throw new InvalidArgumentError("args", "is not an array. Give the arguments as a list.");
    if (this.#isOver) throw over();
    const { id, attempt } = this.header;
    return this.#host.enqueue?.({
      id,
      attempt,
      ...versioned(definition),
      args: encode(args, "args", { maxBytes: this.#host.maxResultBytes }),
      options,
    });
  }

  /** Tells the handler to stop, by its signal. */
  stop(reason: string): void {
    this.#stopped ??= new CancelledError(reason);
    runInContext(this.#context, () => this.#aborter?.abort(this.#stopped));
  }

  /** Ends the attempt by what was thrown outside of its handler's promise. @returns whether it was still running. */
  fail(thrown: unknown): boolean {
    if (this.#end === undefined) return false;
    this.#end(this.#endOf(thrown));
    return true;
  }

  /** Ends the attempt as stopped, whatever its handler still does: nobody will hear of that. */
  abandon(): void {
    this.#end?.({ type: "stopped" });
  }

  get resources(): Readonly<Record<string, unknown>> {
    return this.#host.equipment?.resources ?? {};
  }

  get stopped(): CancelledError | undefined {
    if (this.#stopped === undefined) this.#host.poll();
    return this.#stopped;
  }

  get signal(): AbortSignal {
    // Made when it is asked for: most handlers never do, and it costs more than calling them.
    if (this.#aborter === undefined) {
      this.#aborter = new AbortController();
      if (this.stopped !== undefined) this.#aborter.abort(this.stopped);
    }
    return this.#aborter.signal;
  }

  #settled(promise: Promise<unknown>): Promise<AttemptEnd> {
    return new Promise((resolve) => {
      const end = (attemptEnd: AttemptEnd): void => {
        this.#end = undefined;
        resolve(attemptEnd);
      };
      this.#end = end;
      promise.then(
        (value) => end(this.#valueOf(value)),
        (thrown: unknown) => end(this.#endOf(thrown)),
      );
    });
  }

  #valueOf(value: unknown): AttemptEnd {
    try {
      return { type: "value", result: encodePooled(value, "result", { maxBytes: this.#host.maxResultBytes }) };
    } catch (error) {
      return finalFault(error);
    }
  }

  #endOf(thrown: unknown): AttemptEnd {
    const error = toTaskError(thrown);
    if (this.stopped !== undefined && isStop(thrown, error, this.stopped)) return { type: "stopped" };
    if (error.code === "NON_RETRYABLE") return { type: "fault", fault: { reason: "error", isRetryable: false }, error };
    const retryDelayMs = error.code === "RETRY_LATER" ? delayOf(thrown) : undefined;
    if (retryDelayMs !== undefined) {
      return { type: "fault", fault: { reason: "error", isRetryable: true, retryDelayMs }, error };
    }
    return { type: "fault", fault: { reason: "error", isRetryable: this.#mayRetry(thrown) }, error };
  }

  #mayRetry(thrown: unknown): boolean {
    try {
      return this.#task?.options.retryIf?.(thrown) !== false;
    } catch {
      return false;
    }
  }
}

const defaultLogBytes = 65_536;

const over = (): CancelledError => new CancelledError("This attempt is over: nothing of it is stored any more.");

const unawaited = (): InvalidArgumentError =>
  new InvalidArgumentError(
    "checkpoint()",
    "gives a promise, and this handler has ended before it was settled. Make the handler async, and await it.",
  );

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function readArgs(payload: Payload): readonly unknown[] {
  const args = decode(payload);
  if (!Array.isArray(args)) throw new UnreadablePayloadError("it holds no list of arguments");
  return args;
}

/** No attempt with the same arguments would end better. */
const finalFault = (thrown: unknown): AttemptEnd => ({
  type: "fault",
  fault: { reason: "error", isRetryable: false },
  error: toTaskError(thrown),
});

/** Whether a handler that was stopped threw because of that: our error, or what APIs that take a signal make of it. */
const isStop = (thrown: unknown, error: TaskError, reason: CancelledError): boolean =>
  thrown === reason || error.code === reason.code || error.name === "AbortError";

/** The delay of a RetryLater; `undefined` when it is none, and the usual delay has to do. */
function delayOf(thrown: unknown): number | undefined {
  try {
    return toMs((thrown as { delay: Duration }).delay);
  } catch {
    return undefined;
  }
}
