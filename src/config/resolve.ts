import type { EpochMs } from "../base/clock.ts";
import { InvalidArgumentError } from "../base/errors.ts";
import type { Routing } from "../storage/routing.ts";
import type { Limits, Retention } from "../storage/storage.ts";
import type { BreakerSettings } from "../task/breaker.ts";
import type { EventLevel } from "../task/event.ts";
import type { ExecutorName } from "../task/definition.ts";
import { defaultBackoff } from "../task/retry.ts";
import type { TaskRequest } from "../task/task.ts";
import { readCall } from "./call-options.ts";
import { limitsOf } from "./limits.ts";
import type { StorageLocations } from "./locations.ts";
import { openOptions, type executorOptions, type Logger } from "./open-options.ts";
import type { ResolvedQueue } from "./queue-options.ts";
import { readComplete, readGiven, show, type Complete } from "./read.ts";
import { readChoices, type TaskChoices } from "./task-choices.ts";
import { resolveScheduler, type ResolvedScheduler } from "./scheduler-options.ts";
import { definitionOptions, taskOptions } from "./task-options.ts";

/** Where handlers run. Threads are always open: they load the modules. */
export interface ResolvedExecutors {
  readonly threads: number;
  readonly processes: number;
  /** How many promises at a time; 0 for none. */
  readonly promises: number;
  readonly environment: readonly string[];
  /** `file:` URLs by name. */
  readonly custom: ReadonlyMap<string, string>;
  readonly byDefault: ExecutorName;
}

/** How many there are to be of each kind; what is left out stays as it is. */
export type ExecutorSizes = Partial<Pick<ResolvedExecutors, "threads" | "processes" | "promises">>;

/** The options of `open`, checked, with defaults filled in. Plain data but for the logger. */
export interface ResolvedOptions {
  /** `file:` URLs. */
  readonly tasks: readonly string[];
  readonly storage: StorageLocations;
  readonly executors: ResolvedExecutors;
  readonly queues: ReadonlyMap<string, ResolvedQueue>;
  readonly routing: Routing;
  readonly durability: "sync" | "relaxed";
  readonly retention: Retention;
  readonly events: EventLevel;
  readonly logger?: Logger;
  readonly instanceId: string;
  readonly whenOwned: "fail" | "wait";
  readonly lockTimeoutMs: number;
  readonly scheduler: ResolvedScheduler;
  readonly preflight: "auto" | "always" | "off";
  readonly handleSignals: boolean;
  readonly maxPayloadBytes: number;
  readonly maxLogBytes: number;
  readonly reserveBytes: number;
}

/**
 * Checks what was given to `open`. Relative paths start from the working directory of this moment.
 *
 * @throws InvalidArgumentError, UnknownOptionError, naming the place.
 */
export function resolveOpenOptions(options: unknown): ResolvedOptions {
  const { tasks, executors, executor, lockTimeout, scheduler, retention, routing, ...same } = readComplete(
    openOptions,
    options,
    "options",
  );
  if (tasks === undefined) {
    throw new InvalidArgumentError("options.tasks", "is missing. Give the modules that export your tasks, or [].");
  }
  return {
    ...same,
    tasks,
    executors: resolveExecutors(executors, executor),
    lockTimeoutMs: lockTimeout,
    scheduler: resolveScheduler(scheduler),
    routing: routing === "strict" ? { type: routing, queues: [...same.queues.keys()] } : { type: routing },
    retention: { completedMs: retention.completed, failedMs: retention.failed, eventsMs: retention.events },
  };
}

function resolveExecutors(
  { threads, processes, async: promises, environment, custom }: Complete<typeof executorOptions>,
  byDefault: ExecutorName,
): ResolvedExecutors {
  const resolved = { threads, processes, promises: promises?.concurrency ?? 0, environment, custom, byDefault };
  checkOpen(resolved, byDefault, "options.executor");
  return resolved;
}

/** @throws InvalidArgumentError for an executor that is not open. */
function checkOpen(executors: ResolvedExecutors, executor: ExecutorName, path: string): void {
  if (isOpen(executors, executor)) return;
  const example = examples.get(executor) ?? "{ custom: { [name]: module } }";
  throw new InvalidArgumentError(
    path,
    `is ${show(executor)}, which is not open. Give open() the option executors: ${example}.`,
  );
}

const isOpen = ({ processes, promises, custom }: ResolvedExecutors, executor: ExecutorName): boolean =>
  executor === "thread" ||
  (executor === "process" && processes > 0) ||
  (executor === "async" && promises > 0) ||
  custom.has(executor);

const examples = new Map<string, string>([
  ["process", "{ processes: 2 }"],
  ["async", "{ async: { concurrency: 100 } }"],
]);

/** What `configure` changes. */
export interface ConfigurePatch {
  /** How many workers there are to be; see the options of `open`. 0 closes an executor. */
  readonly executors?:
    | {
        readonly threads?: number | undefined;
        readonly processes?: number | undefined;
        readonly async?: { readonly concurrency?: number | undefined } | undefined;
      }
    | undefined;
}

/**
 * The executors as a call of `configure` leaves them.
 *
 * @throws InvalidArgumentError, UnknownOptionError, naming the place.
 */
export function resolveSizes(patch: unknown, before: ResolvedExecutors): ResolvedExecutors {
  const { executors = {} } = readCall("configure", patch, "patch");
  const { threads = before.threads, processes = before.processes, async: promises } = executors;
  const after = { ...before, threads, processes, promises: promises?.concurrency ?? before.promises };
  if (!isOpen(after, after.byDefault)) {
    const path = after.byDefault === "async" ? "async.concurrency" : "processes";
    throw new InvalidArgumentError(
      `patch.executors.${path}`,
      `0 would close ${show(after.byDefault)}, where tasks run that do not say. Give 1 or more.`,
    );
  }
  return after;
}

/** What applies to tasks of one name before a call says something: checked once, so that calls need not. */
export interface TaskDefaults {
  readonly name: string;
  readonly version: string | undefined;
  readonly definition: TaskChoices;
  readonly queues: QueueDefaultsByName;
  readonly executors: ResolvedExecutors;
  /** The definition's choices over those of the queue it names, and over the built-in defaults. */
  readonly base: BaseChoices;
}

/** `ResolvedOptions.queues`. */
type QueueDefaultsByName = ReadonlyMap<string, { readonly defaults: TaskChoices }>;

/**
 * The limits that the task `name` was defined with; `undefined` when it has none.
 *
 * @param definition as given to defineTask(); functions may have been left out.
 * @throws InvalidArgumentError, UnknownOptionError.
 */
export function limitsOfTask(name: string, definition: unknown): Limits | undefined {
  const given = readGiven(definitionOptions, definition ?? {}, `options of task "${name}"`);
  const limits = Object.entries(limitsOf(given)).filter(([, limit]) => limit !== null);
  return limits.length === 0 ? undefined : Object.fromEntries(limits);
}

/**
 * The breaker that the task `name` was defined with; `undefined` when it has none.
 *
 * @throws InvalidArgumentError, UnknownOptionError.
 */
export const breakerOfTask = (name: string, definition: unknown): BreakerSettings | undefined =>
  readGiven(definitionOptions, definition ?? {}, `options of task "${name}"`).breaker;

/** A new task: everything but its arguments and, unless the caller chose one, its id. */
export interface ResolvedTaskOptions extends Pick<TaskChoices, "id" | "onConflict" | "onFull" | "durability"> {
  readonly request: TaskRequest;
}

/**
 * Checks the options that the task `name` was defined with. Called once per name.
 *
 * @param definition as given to defineTask(); functions may have been left out.
 * @throws InvalidArgumentError, UnknownOptionError.
 */
export function prepareTaskDefaults(
  name: string,
  definition: unknown,
  { queues, executors }: Pick<ResolvedOptions, "queues" | "executors">,
): TaskDefaults {
  const path = `options of task "${name}"`;
  const own = definition === undefined ? {} : readChoices(definitionOptions, definition, path);
  const version = definition === undefined ? undefined : readGiven(definitionOptions, definition, path).version;
  return {
    name,
    version,
    definition: own,
    queues,
    executors,
    base: overQueue(own, own.queue ?? builtIn.queue, queues),
  };
}

/**
 * The task that a call asks for. What the call says stands over what the definition says, that over what the queue
 * says, and that over the built-in defaults; an option replaces the other as a whole. `now` is the moment of the call.
 *
 * @throws InvalidArgumentError, UnknownOptionError, naming the place below `path`.
 */
export function resolveTaskOptions(
  options: unknown,
  defaults: TaskDefaults,
  now: EpochMs,
  path = "options",
): ResolvedTaskOptions {
  const call = options === undefined ? noChoices : readChoices(taskOptions, options, path);
  const { definition, queues } = defaults;
  const base = call.queue === undefined ? defaults.base : overQueue(definition, call.queue, queues);
  const executor = call.executor ?? base.executor;
  if (executor !== undefined) checkOpen(defaults.executors, executor, `${path}.executor`);
  const resolved: Mutable<ResolvedTaskOptions> = { request: requestOf(defaults, call, base, now) };
  if (resolved.request.memoryBytes !== undefined)
    checkMemory(executor ?? defaults.executors.byDefault, `${path}.memory`);
  const onConflict = call.onConflict ?? base.onConflict;
  const onFull = call.onFull ?? base.onFull;
  const durability = call.durability ?? base.durability;
  if (call.id !== undefined) resolved.id = call.id;
  if (onConflict !== undefined) resolved.onConflict = onConflict;
  if (onFull !== undefined) resolved.onFull = onFull;
  if (durability !== undefined) resolved.durability = durability;
  return resolved;
}

/** The memory of threads cannot be told apart: a limit that is not kept is none. */
function checkMemory(executor: ExecutorName, path: string): void {
  if (executor === "process") return;
  throw new InvalidArgumentError(path, `does not go with executor ${show(executor)}. Give executor: "process", too.`);
}

const noChoices: TaskChoices = Object.freeze({});

const builtIn = Object.freeze({
  queue: "default",
  priority: 0,
  maxRetries: 0,
  backoff: defaultBackoff,
  tags: Object.freeze([]),
  metadata: Object.freeze({}),
}) satisfies TaskChoices;

/** What applies where a call says nothing. */
type BaseChoices = TaskChoices & Required<Pick<TaskChoices, keyof typeof builtIn>>;

const overQueue = (definition: TaskChoices, queue: string, queues: QueueDefaultsByName): BaseChoices => ({
  ...builtIn,
  ...queues.get(queue)?.defaults,
  ...definition,
});

// Every task passes here: literals and assignments are many times faster than spreading layers.
function requestOf({ name, version }: TaskDefaults, call: TaskChoices, base: BaseChoices, now: EpochMs): TaskRequest {
  const request: Mutable<TaskRequest> = {
    name,
    queue: call.queue ?? base.queue,
    priority: call.priority ?? base.priority,
    createdAt: now,
    maxRetries: call.maxRetries ?? base.maxRetries,
    backoff: call.backoff ?? base.backoff,
    tags: call.tags ?? base.tags,
    metadata: call.metadata ?? base.metadata,
  };
  if (version !== undefined) request.version = version;
  // Only a call can name a moment, so it stands over any delay.
  const runAt = call.runAt ?? now + (call.delay ?? base.delay ?? 0);
  if (runAt > now) request.runAt = runAt;
  addLimits(request, call, base);
  return request;
}

function addLimits(request: Mutable<TaskRequest>, call: TaskChoices, base: TaskChoices): void {
  const ttl = call.ttl ?? base.ttl;
  const timeout = call.timeout ?? base.timeout;
  const stallTimeout = call.stallTimeout ?? base.stallTimeout;
  const memory = call.memory ?? base.memory;
  const maxInterruptions = call.maxInterruptions ?? base.maxInterruptions;
  const resultTtl = call.resultTtl ?? base.resultTtl;
  if (ttl !== undefined) request.expiresAt = request.createdAt + ttl;
  if (timeout !== undefined) request.timeoutMs = timeout;
  if (stallTimeout !== undefined) request.stallTimeoutMs = stallTimeout;
  if (memory !== undefined) request.memoryBytes = memory;
  if (maxInterruptions !== undefined) request.maxInterruptions = maxInterruptions;
  if (resultTtl !== undefined) request.resultTtlMs = resultTtl;
  if (call.dedupeKey !== undefined) request.dedupeKey = call.dedupeKey;
  const executor = call.executor ?? base.executor;
  if (executor !== undefined) request.executor = executor;
  const orderingKey = call.orderingKey ?? base.orderingKey;
  const concurrencyKey = call.concurrencyKey ?? base.concurrencyKey;
  if (orderingKey !== undefined) request.orderingKey = orderingKey;
  if (concurrencyKey !== undefined) request.concurrencyKey = concurrencyKey;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
