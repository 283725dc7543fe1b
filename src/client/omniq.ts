import type { Duration } from "../base/duration.ts";
import { ClosedError, WaitTimeoutError } from "../base/errors.ts";
import { checkName } from "../base/names.ts";
import { Connection } from "../bridge/connect.ts";
import { readCall } from "../config/call-options.ts";
import type { OpenOptions } from "../config/open-options.ts";
import { resolveOpenOptions, resolveSizes, type ConfigurePatch, type ResolvedOptions } from "../config/resolve.ts";
import type { CatalogueEntry } from "../executor/executor.ts";
import type { DrainReport } from "../supervisor/protocol.ts";
import type { ScheduleOptions, ScheduleTemplate } from "../schedule/schedule-options.ts";
import type { Trigger } from "../schedule/trigger.ts";
import type { Args, HandlerOf, Result, TaskDefinition, TaskOptions, TasksOf } from "../task/definition.ts";
import type { LogLine } from "../task/log-line.ts";
import { isTerminal, isWaiting } from "../task/state.ts";
import type { TaskId } from "../task/task.ts";
import { DeadLetters } from "./dead-letters.ts";
import { isRecurring, type Enqueued, type EnqueueOptions, type RecurringOptions } from "./enqueue-options.ts";
import { Events } from "./events.ts";
import { queryOf, type Filter } from "./filter.ts";
import { TaskHandle, type CancelOptions, type HandleSource, type Outcome, type WaitOptions } from "./handle.ts";
import { mapTasks, type MapItem, type MapOptions } from "./map.ts";
import { Outcomes } from "./outcomes.ts";
import { ProgressFeed } from "./progress.ts";
import { Queues } from "./queues.ts";
import { recordOf, type TaskRecord } from "./record.ts";
import { Schedules, type ScheduleHandle } from "./schedules.ts";
import { Scheduler } from "./scheduler.ts";
import { closeOnSignals } from "./signals.ts";
import { statsOf, type Stats } from "./stats.ts";
import { Submission } from "./submission.ts";
import { WatchedTasks } from "./watched-tasks.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- nothing is known, so nothing is refused.
type KnownTasks<M> = 0 extends 1 & M ? any : TasksOf<M>;

/** A task by name, or the definition itself. */
type TaskOf<T> = (keyof T & string) | TaskDefinition;

export interface CloseOptions {
  /** How long running tasks may take to finish; what has not by then runs again at the next open. Default 30 s. */
  readonly drain?: Duration | undefined;
}

/** A page of tasks. */
export interface Page {
  readonly tasks: readonly TaskRecord[];
  /** Where the next page starts; left out at the end. */
  readonly cursor?: string;
}

/**
 * The runtime: a supervisor thread that owns a store, and the workers that run its tasks.
 *
 * Every method rejects with ClosedError after `close`, with StoreFailedError when the store failed, and with
 * SupervisorLostError when the supervisor died or has been silent for 10 s. What was acknowledged is on disk.
 *
 * `M` is the type of the task modules (`typeof tasks`): with it, names, arguments and results are checked.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- a runtime of known tasks must fit where any runtime is expected.
export class Omniq<M = any> {
  readonly #connection: Connection;
  readonly #outcomes: Outcomes;
  readonly #submission: Submission;
  readonly #progress: ProgressFeed;
  readonly #handleSource: HandleSource;
  readonly #watched: WatchedTasks;
  readonly #stopListening: () => void;
  #closing: Promise<void> | undefined;
  /** The change of workers that was asked for last. */
  #changing: Promise<unknown> = Promise.resolve();

  /** Named lines of tasks: pause, limit, purge, take by hand. */
  readonly queues: Queues;
  /** Tasks in state `failed`. */
  readonly deadLetters: DeadLetters;
  /** The log of what happened to tasks and schedules. */
  readonly events: Events;
  /** Stored schedules. */
  readonly schedules: Schedules;
  /** All schedules together. */
  readonly scheduler: Scheduler;

  private constructor(connection: Connection, catalogue: readonly CatalogueEntry[], options: ResolvedOptions) {
    this.#connection = connection;
    this.#outcomes = new Outcomes(connection);
    this.#progress = new ProgressFeed(connection, this.#outcomes);
    this.#submission = new Submission(connection, catalogue, options);
    this.#handleSource = {
      outcome: (id, isWatched) => this.#outcomes.next(id, isWatched),
      result: (id) => connection.calls.result(id),
      get: (id) => this.get(id),
      cancel: (id, cancel) => this.cancel(id, cancel),
      progress: (id) => this.progress(id),
      logs: (id) => this.logs(id),
    };
    const { calls } = connection;
    this.#watched = new WatchedTasks(calls, this.#submission, this.#outcomes, this.#handleSource);
    this.queues = new Queues({ calls, maxPayloadBytes: options.maxPayloadBytes, noResult: this.#submission.noResult });
    this.deadLetters = new DeadLetters(calls);
    this.events = new Events(calls);
    this.schedules = new Schedules({
      calls,
      settings: options,
      defaultsOf: (task) => this.#submission.defaultsOf(task),
      defaultsFor: (name) => this.#submission.defaultsFor(name),
      isDeclared: (key) => this.#submission.isDeclared(key),
      isRegistered: (name, version) => this.#submission.isRegistered(name, version),
      handle: (id) => new TaskHandle(id, this.#handleSource),
    });
    this.scheduler = new Scheduler(connection, options.instanceId);
    this.#stopListening = options.handleSignals ? closeOnSignals(() => this.close({ drain: "25s" })) : () => undefined;
    connection.onEnd = (reason) => {
      this.#stopListening();
      this.#outcomes.end(reason);
    };
  }

  /**
   * Starts a runtime: takes the store, brings back what an earlier one had started, loads the task modules, starts
   * the workers.
   *
   * @throws InvalidArgumentError, UnknownOptionError for options. TaskModuleError, DuplicateNameError for modules.
   *   StoreOwnedError, StoreCorruptError, StoreForeignError, StoreVersionError, StoreFullError for the store. Nothing
   *   is left behind.
   */
  // oxlint-disable-next-line typescript/no-explicit-any -- without a type of the modules, any name may be given.
  static async open<M = any>(options: OpenOptions): Promise<Omniq<KnownTasks<M>>> {
    const resolved = resolveOpenOptions(options);
    const connection = new Connection(resolved);
    const { catalogue } = await connection.calls.ready();
    try {
      return new Omniq<KnownTasks<M>>(connection, catalogue, resolved);
    } catch (error) {
      await connection.close(0);
      throw error;
    }
  }

  // -------------------------------------------------------------------------------------------------- new tasks

  /**
   * Stores a task. Resolves when it is on disk; calls of one tick share a commit. With `onConflict: "skip"`, a task
   * whose dedupe key is taken gives `undefined`. With a `schedule` other than `at()`, makes a schedule of such tasks.
   *
   * @throws UnknownTaskError, NotATaskError, InvalidArgumentError, UnknownOptionError, InvalidInputError,
   *   NotSerializableError, PayloadTooLargeError, DuplicateTaskError, QueueFullError, StoreFullError: nothing was stored.
   */
  enqueue<X extends TaskOf<M>>(
    task: X,
    args: Args<HandlerOf<M, X>>,
    options: RecurringOptions,
  ): Promise<ScheduleHandle>;
  enqueue<X extends TaskOf<M>, C extends TaskOptions["onConflict"] = undefined>(
    task: X,
    args: Args<HandlerOf<M, X>>,
    options?: EnqueueOptions<C>,
  ): Promise<Enqueued<C, TaskHandle<Result<HandlerOf<M, X>>>>>;
  async enqueue(task: unknown, args: unknown, options?: object): Promise<unknown> {
    if (isRecurring(options)) return this.schedules.addRecurring(task, args, options);
    const { ids, flushed } = await this.#submission.one(task, args, options);
    return this.#handlesOf(ids, flushed)[0];
  }

  /** Stores a task per item of `argsList`, all of them or none. As `enqueue`, with a handle per item, in order. */
  async enqueueMany<X extends TaskOf<M>, C extends TaskOptions["onConflict"] = undefined>(
    task: X,
    argsList: readonly Args<HandlerOf<M, X>>[],
    options?: EnqueueOptions<C>,
  ): Promise<Enqueued<C, TaskHandle<Result<HandlerOf<M, X>>>>[]> {
    const { ids, flushed } = await this.#submission.many(task, argsList, options);
    return this.#handlesOf(ids, flushed) as never;
  }

  /** `enqueue` and `result()` in one. @throws as both. */
  async run<X extends TaskOf<M>>(
    task: X,
    args: Args<HandlerOf<M, X>>,
    options?: TaskOptions & WaitOptions,
  ): Promise<Result<HandlerOf<M, X>>> {
    const { signal, ...rest } = options ?? {};
    const handle = await this.#watched.one(task, args, rest);
    return (await handle.result(signal === undefined ? undefined : { signal })) as Result<HandlerOf<M, X>>;
  }

  /**
   * Runs the task `name` for every input (a list of arguments), as stored tasks, and yields what they give.
   *
   * @throws TaskFailedError of the first item that fails, unless `onError: "yield"`; what `enqueue` throws.
   */
  map<X extends TaskOf<M>, I extends Args<HandlerOf<M, X>> & readonly unknown[]>(
    task: X,
    inputs: Iterable<I> | AsyncIterable<I>,
    options: MapOptions<I> = {},
  ): AsyncGenerator<MapItem<I, Result<HandlerOf<M, X>>>, void, undefined> {
    const name = this.#submission.nameOf(task);
    return mapTasks(name, inputs, options, this.#watched.source(name));
  }

  // -------------------------------------------------------------------------------------------------- schedules

  /**
   * Stores a schedule, which stores a task whenever its trigger fires: each slot once, over restarts, and however late it is
   * found. What the tasks are to be is settled now.
   *
   * @param trigger what `cron()`, `every()`, `at()`, `daily()`, `weekly()`, `monthly()` or `onEvent()` gives, or a cron
   *   expression. Left out, that of the template.
   * @throws InvalidCronError, NoSlotError, DuplicateNameError, UnknownTaskError, NotATaskError, InvalidArgumentError,
   *   UnknownOptionError, InvalidInputError, NotSerializableError, PayloadTooLargeError, StoreFullError: nothing was stored.
   *   Arguments of a schedule that waits for an event are not checked by the `input` of its task.
   */
  schedule<X extends TaskOf<M>>(
    task: X,
    trigger: Trigger | string,
    options?: ScheduleOptions<Args<HandlerOf<M, X>>>,
  ): Promise<ScheduleHandle>;
  schedule<X extends TaskOf<M>>(
    task: X,
    options: ScheduleOptions<Args<HandlerOf<M, X>>> & { readonly template: ScheduleTemplate },
  ): Promise<ScheduleHandle>;
  schedule(task: unknown, first: unknown, second?: unknown): Promise<ScheduleHandle> {
    return this.schedules.add(task, first, second);
  }

  /**
   * Stores many schedules. All are checked first. Up to 5,000 are stored together, all or none; more in transactions of
   * 1,000, of which a full disk or the end of the process may leave the first.
   *
   * @throws as `schedule`, with the place in the list. DuplicateNameError as well for two of one name.
   */
  scheduleMany<X extends TaskOf<M>>(
    schedules: readonly (ScheduleOptions & {
      readonly task: X;
      /** Left out, that of the template. */
      readonly trigger?: Trigger | string | undefined;
    })[],
  ): Promise<readonly ScheduleHandle[]> {
    return this.schedules.addMany(schedules);
  }

  /**
   * Fires all active schedules with `onEvent(event)` that are in their window: gives the tasks that were stored. While the
   * scheduler is paused or stopped, there are none.
   *
   * @param payload for `currentTask().event`, and for the last argument where both are plain objects.
   * @throws InvalidArgumentError, NotSerializableError, PayloadTooLargeError, StoreFullError.
   */
  emit(event: string, payload?: unknown): Promise<readonly TaskHandle[]> {
    return this.schedules.emit(event, payload);
  }

  // -------------------------------------------------------------------------------------------------- known tasks

  /** The task; `undefined` when there is none with this id. */
  async get(id: TaskId): Promise<TaskRecord | undefined> {
    const [found] = await this.#connection.calls.get([checkName("id", id)]);
    return found === undefined ? undefined : recordOf(found);
  }

  /** A page of tasks, in the order they were made in. @throws InvalidArgumentError, UnknownOptionError. */
  async list(filter?: Filter): Promise<Page> {
    const { tasks, cursor } = await this.#connection.calls.list(queryOf(filter));
    return { tasks: tasks.map(recordOf), ...(cursor === undefined ? {} : { cursor }) };
  }

  /** How many tasks match, finished ones too. By state and queue alone it costs the same whatever is stored. */
  async count(filter: Omit<Filter, "limit" | "cursor"> = {}): Promise<number> {
    const { limit: _limit, ...query } = queryOf(filter);
    const { states, queue, name, tags, scheduleId, before } = query;
    if ([name, tags, scheduleId, before].every((one) => one === undefined)) {
      const counts = await this.#connection.calls.counts();
      let sum = 0;
      for (const [key, byState] of counts.queues) {
        if (queue !== undefined && queue !== key) continue;
        for (const [state, count] of Object.entries(byState))
          if (states?.includes(state as never) !== false) sum += count;
      }
      return sum;
    }
    let sum = 0;
    for (let cursor: string | undefined, isMore = true; isMore; isMore = cursor !== undefined) {
      const page = await this.#connection.calls.list({
        ...query,
        limit: 1_000,
        ...(cursor === undefined ? {} : { cursor }),
      });
      sum += page.tasks.length;
      cursor = page.cursor;
    }
    return sum;
  }

  /** How far the task has come, until it ends: as `TaskHandle.progress`. */
  progress(id: TaskId): AsyncGenerator<unknown, void, undefined> {
    return this.#progress.follow(checkName("id", id));
  }

  /** What attempts of the task have logged, oldest first: as `TaskHandle.logs`. */
  async logs(id: TaskId): Promise<readonly LogLine[]> {
    const { lines } = await this.#connection.calls.notes(checkName("id", id));
    return lines;
  }

  /** How the task ended. @throws WaitTimeoutError, UnknownTaskIdError. */
  wait(id: TaskId, options?: WaitOptions): Promise<Outcome> {
    return new TaskHandle(checkName("id", id), this.#handleSource).wait(options);
  }

  /** What the task gave, when it has ended. @throws as `TaskHandle.result`. */
  result(id: TaskId, options?: WaitOptions): Promise<unknown> {
    return new TaskHandle(checkName("id", id), this.#handleSource).result(options);
  }

  /** A handle of a task that is stored; it is not looked up. */
  handle<R = unknown>(id: TaskId): TaskHandle<R> {
    return new TaskHandle<R>(checkName("id", id), this.#handleSource);
  }

  /** Whether the task is cancelled; `false` when it has ended, is unknown, or finished before it noticed. */
  async cancel(id: TaskId, options: CancelOptions = {}): Promise<boolean> {
    const { reason = "cancelled", running = "terminate", grace = 1_000 } = readCall("cancel", options);
    const [isCancelled] = await this.#connection.calls.cancel([checkName("id", id)], reason, running, grace);
    return isCancelled === true;
  }

  /** Runs a failed, cancelled or expired task again, with new retries. `false` when it is in another state. */
  async requeue(id: TaskId): Promise<boolean> {
    const [found] = await this.#connection.calls.requeue([checkName("id", id)]);
    return found !== undefined && found !== "completed" && isTerminal(found);
  }

  /**
   * Puts a task that has not started, or waits for a retry, into another queue, with its priority and age. `false` when it
   * is in another state, or unknown.
   *
   * @throws DuplicateTaskError when its dedupe key is taken there, QueueFullError: it stays where it is.
   */
  async move(id: TaskId, queue: string): Promise<boolean> {
    const [found] = await this.#connection.calls.move([checkName("id", id)], checkName("queue", queue));
    return found !== undefined && isWaiting(found);
  }

  /** Forgets a task. Whether it was there. @throws TaskBusyError when it is running, unless `force`. */
  async delete(id: TaskId, options: { readonly force?: boolean | undefined } = {}): Promise<boolean> {
    const { force = false } = readCall("delete", options);
    const [wasThere] = await this.#connection.calls.delete([checkName("id", id)], force);
    return wasThere === true;
  }

  // -------------------------------------------------------------------------------------------------- the whole

  /** Counters, by state and by queue. They are kept with every change, so this costs the same whatever is stored. */
  async stats(): Promise<Stats> {
    const { calls } = this.#connection;
    const [counts, breakers] = await Promise.all([calls.counts(), calls.breakers()]);
    return statsOf(counts, breakers);
  }

  /**
   * Resolves when nothing is left that may run: nothing ready, running or waiting for a retry. Paused queues, parked
   * tasks and tasks scheduled for later are not waited for; the report counts them. In a runtime without threads, ready
   * tasks are waited for until somebody has dequeued them.
   *
   * @throws WaitTimeoutError after `timeout`; the work goes on.
   */
  async drain(options: { readonly timeout?: Duration | undefined } = {}): Promise<DrainReport> {
    const { timeout } = readCall("drain", options);
    const report = await this.#connection.calls.drain(timeout);
    if (report === undefined) throw new WaitTimeoutError("The work", timeout ?? 0);
    return report;
  }

  /**
   * Changes the numbers of workers; what is left out stays as it is. Resolves when the new workers are there: each kind
   * whose number changes gets fresh ones, and those before them end with the task that they run. With 0, the executor is
   * closed: what is stored for it waits until it has workers again. It holds until `close`; nothing is stored of it.
   *
   * @throws InvalidArgumentError, UnknownOptionError: nothing has changed.
   */
  configure(patch: ConfigurePatch): Promise<void> {
    return this.#alone(async () => {
      const executors = resolveSizes(patch, this.#submission.executors);
      const { threads, processes, promises } = executors;
      await this.#connection.calls.resize({ threads, processes, promises });
      this.#submission.update({ executors });
    });
  }

  /**
   * Loads the task modules anew from disk, in fresh workers; those before them end with the task that they run, and with the
   * code that they have. New names can be enqueued then, and what was parked for want of a handler runs. Modules that other
   * threads have loaded, such as the caller's own, stay as they are.
   *
   * @throws TaskModuleError, DuplicateNameError for modules, ExecutorModuleError for those of custom executors.
   *   InvalidArgumentError, UnknownOptionError for options of definitions, or when their limits are not as they were at
   *   open. The old code goes on then.
   */
  reload(): Promise<void> {
    return this.#alone(async () => {
      this.#submission.update({ catalogue: await this.#connection.calls.reload() });
    });
  }

  /** Forgets now what has outlived its retention; otherwise it happens by itself. How much of each kind. */
  sweep(): Promise<{ tasks: number; results: number; events: number }> {
    return this.#connection.calls.sweep();
  }

  /** The names of the tasks that the modules define. */
  get taskNames(): readonly string[] {
    return this.#submission.names;
  }

  /**
   * Ends the runtime: starts nothing more, lets running tasks finish, ends the workers, closes the store. What had
   * not finished runs again at the next open. Calling it again waits for the same end.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const { drain = 30_000 } = readCall("close", options);
    if (this.#closing === undefined) {
      this.#closing = this.#connection.close(drain).catch((error: unknown) => {
        if (!(error instanceof ClosedError)) throw error;
      });
    }
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // -------------------------------------------------------------------------------------------------- inside

  /** After the changes that were asked for before. */
  #alone(change: () => Promise<void>): Promise<void> {
    const done = this.#changing.then(change);
    this.#changing = done.catch(() => undefined);
    return done;
  }

  #handlesOf(ids: readonly (TaskId | undefined)[], flushed: Promise<void>): (TaskHandle | undefined)[] {
    return ids.map((id) => (id === undefined ? undefined : new TaskHandle(id, this.#handleSource, flushed)));
  }
}
