import { availableParallelism, hostname } from "node:os";
import type { Duration } from "../base/duration.ts";
import { InvalidArgumentError } from "../base/errors.ts";
import type { ExecutorName } from "../task/definition.ts";
import type { EventLevel } from "../task/event.ts";
import { readModule, readStorage, readTasks } from "./locations.ts";
import { queueOptions, readQueue, type QueueOptions, type ResolvedQueue } from "./queue-options.ts";
import { schedulerOptions, type SchedulerOptions } from "./scheduler-options.ts";
import { asObject, boolean, duration, group, integer, name, oneOf, show, type Reader, type Table } from "./read.ts";

/** What `Omniq.open` takes. Lengths of time are milliseconds, or text such as `"30s"`. */
export interface OpenOptions {
  /** The modules that export the tasks: URLs, or paths from the working directory. */
  readonly tasks: URL | string | readonly (URL | string)[];
  /** Where tasks are kept. Default `"./.omniq"`. */
  readonly storage?: StorageName | StorageNames | undefined;
  /** How many handlers run at the same time. */
  readonly executors?: ExecutorOptions | undefined;
  /** Where tasks run that do not say. Default `"thread"`. */
  readonly executor?: ExecutorName | undefined;
  /** Limits and defaults of queues, by name. Queues need not be listed to be used. */
  readonly queues?: Readonly<Record<string, QueueOptions>> | undefined;
  /** Which queue workers take from next. Default `"priority"`: the most important task of all. */
  readonly routing?: "priority" | "strict" | "round-robin" | "weighted" | undefined;
  /** When a call is acknowledged. Default `"sync"`: when it is on disk. */
  readonly durability?: "sync" | "relaxed" | undefined;
  /** How long things are kept after they ended. */
  readonly retention?: RetentionOptions | undefined;
  /** Which events are kept. Default `"errors"`. */
  readonly events?: EventLevel | undefined;
  /** Where the runtime reports trouble. Default: nowhere. */
  readonly logger?: Logger | undefined;
  /** The name of this runtime, shown to whoever finds its store owned. Default: host name and process id. */
  readonly instanceId?: string | undefined;
  /**
   * What to do when another runtime has the store: reject with StoreOwnedError (`"fail"`, the default), or stand by until
   * that one has closed it or died (`"wait"`): `open` resolves then.
   */
  readonly whenOwned?: "fail" | "wait" | undefined;
  /** The longest that the end of the owner goes unnoticed while this one stands by. Default 1 s. */
  readonly lockTimeout?: Duration | undefined;
  /** How schedules fire. */
  readonly scheduler?: SchedulerOptions | undefined;
  /** Whether the store is checked before it is opened. Default `"auto"`: when it was not closed cleanly. */
  readonly preflight?: "auto" | "always" | "off" | undefined;
  /** Close on SIGTERM and SIGINT. Default `false`. */
  readonly handleSignals?: boolean | undefined;
  /** The largest arguments, and the largest result, of a task in bytes. Default 1,000,000. */
  readonly maxPayloadBytes?: number | undefined;
  /** How much one attempt may log, in bytes. Default 65,536. */
  readonly maxLogBytes?: number | undefined;
  /** Space on the disk, in bytes, that is left alone. Default 1,000,000. */
  readonly reserveBytes?: number | undefined;
}

/** A folder (`"./data"` or `"lmdb:./data"`), or `"memory:"`. */
export type StorageName = string;

/** A storage for each component. */
export interface StorageNames {
  readonly tasks: StorageName;
  readonly results?: StorageName | undefined;
  readonly events?: StorageName | undefined;
  /** The same as `tasks`: a schedule and the task it makes are stored in one transaction. */
  readonly schedules?: StorageName | undefined;
}

export interface ExecutorOptions {
  /** Default: as many as the machine has cores. */
  readonly threads?: number | undefined;
  /** Child processes, one task at a time in each. Default 0. */
  readonly processes?: number | undefined;
  /** Many tasks at a time on the event loop of one thread. Default: none. */
  readonly async?: AsyncOptions | undefined;
  /**
   * Executors of your own, by name: modules whose default export makes one, see `ExecutorFactory`. They are loaded in the
   * runtime's own thread.
   */
  readonly custom?: Readonly<Record<string, URL | string>> | undefined;
  /** Environment variables that child processes see beside the usual ones (`PATH`, `HOME`, `LANG`, `TZ` …). */
  readonly environment?: readonly string[] | undefined;
}

export interface AsyncOptions {
  /** How many of its tasks run at the same time. Default 100. */
  readonly concurrency?: number | undefined;
}

export interface RetentionOptions {
  /** Of `completed`, `cancelled` and `expired` tasks, and of results that say nothing else. Default `"24h"`. */
  readonly completed?: Duration | undefined;
  /** Of `failed` tasks. Default `"30d"`. */
  readonly failed?: Duration | undefined;
  /** Of events. Default `"24h"`. */
  readonly events?: Duration | undefined;
}

/** Pino's shape; `console` has it, too. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const variables: Reader<readonly string[]> = (value, path) => {
  if (!Array.isArray(value)) throw new InvalidArgumentError(path, `${show(value)} is not a list of names.`);
  return value.map((variable: unknown, index) => name(variable, `${path}[${index}]`));
};

/** The executors that are always known, open or not. */
export const builtInExecutors: readonly string[] = ["thread", "process", "async"];

const customExecutors: Reader<ReadonlyMap<string, string>> = (value, path) =>
  new Map(
    Object.entries(asObject(value, path))
      .filter(([, module]) => module !== undefined)
      .map(([key, module]) => {
        if (!builtInExecutors.includes(key))
          return [name(key, `${path}: a name`), readModule(module, `${path}.${key}`)] as const;
        throw new InvalidArgumentError(
          `${path}.${key}`,
          "is the name of an executor that is always there. Choose another.",
        );
      }),
  );

export const mostThreads = 256;
export const mostProcesses = 256;
export const mostPromises = 10_000;

export const asyncOptions = {
  concurrency: {
    type: "number",
    default: 100,
    description: "How many of its tasks run at the same time, 1 to 10,000.",
    read: integer(1, mostPromises),
  },
} satisfies Table<AsyncOptions>;

export const executorOptions = {
  threads: {
    type: "number",
    default: availableParallelism(),
    defaultText: "`os.availableParallelism()`",
    description: "How many worker threads run handlers, 0 to 256. With 0, tasks are only taken by hand (`dequeue`).",
    read: integer(0, mostThreads),
  },
  processes: {
    type: "number",
    default: 0,
    description: "How many child processes run handlers, 0 to 256; one task at a time in each.",
    read: integer(0, mostProcesses),
  },
  async: {
    type: "{ concurrency? }",
    defaultText: "none",
    description: "Many tasks at a time as promises on the event loop of one thread.",
    read: group(asyncOptions),
    fields: asyncOptions,
  },
  custom: {
    type: "{ [name]: URL | string }",
    default: {},
    description:
      "Executors of your own: modules whose default export is an `ExecutorFactory`, by the name that `executor` gives them.",
    read: customExecutors,
  },
  environment: {
    type: "string[]",
    default: [],
    description:
      "Environment variables that child processes see beside the usual ones (`PATH`, `HOME`, `LANG`, `TZ` …).",
    read: variables,
  },
} satisfies Table<ExecutorOptions>;

const queues: Reader<ReadonlyMap<string, ResolvedQueue>> = (value, path) =>
  new Map(
    Object.entries(asObject(value, path))
      .filter(([, queue]) => queue !== undefined)
      .map(([queue, given]) => [name(queue, `${path}: a name`), readQueue(given, `${path}.${queue}`)]),
  );

export const retentionOptions = {
  completed: {
    type: "Duration",
    unit: "ms",
    default: "24h",
    description: "Of `completed`, `cancelled` and `expired` tasks, and of results that say nothing else.",
    read: duration(0),
  },
  failed: { type: "Duration", unit: "ms", default: "30d", description: "Of `failed` tasks.", read: duration(0) },
  events: { type: "Duration", unit: "ms", default: "24h", description: "Of events.", read: duration(0) },
} satisfies Table<RetentionOptions>;

const logger: Reader<Logger> = (value, path) => {
  for (const level of ["debug", "info", "warn", "error"] as const) {
    if (typeof (value as Partial<Logger> | null)?.[level] === "function") continue;
    throw new InvalidArgumentError(path, `${show(value)} has no method "${level}". Give console, pino, or the like.`);
  }
  return value as Logger;
};

export const openOptions = {
  tasks: {
    type: "URL | string | (URL | string)[]",
    defaultText: "required",
    description: "The modules that export the tasks: `file:` URLs, or paths from the working directory.",
    read: readTasks,
  },
  storage: {
    type: "string | { tasks, results?, events?, schedules? }",
    default: "./.omniq",
    description:
      'Where tasks are kept: a folder (`"./data"`, `"lmdb:./data"`), or `"memory:"`; or one for each component. Components that are left out lie with `tasks`; `schedules` always do.',
    read: readStorage,
  },
  executors: {
    type: "ExecutorOptions",
    default: {},
    defaultText: "see below",
    description: "How many handlers run at the same time.",
    read: group(executorOptions),
    fields: executorOptions,
  },
  executor: {
    type: '"thread" | "process" | "async" | string',
    default: "thread",
    description: "Where tasks run that do not say: it must be open. A custom executor goes by its name.",
    read: name,
  },
  queues: {
    type: "{ [name]: QueueOptions }",
    default: {},
    description: "Limits and defaults of queues, by name. A queue need not be listed to be used.",
    read: queues,
    fields: queueOptions,
  },
  routing: {
    type: '"priority" | "strict" | "round-robin" | "weighted"',
    default: "priority",
    description:
      "Which queue workers take from next: that of the most important task; the first of `queues`, in the order given, that has any; each in turn; or as often as their weights say.",
    read: oneOf("priority", "strict", "round-robin", "weighted"),
  },
  durability: {
    type: '"sync" | "relaxed"',
    default: "sync",
    description: "Acknowledge a call when it is on disk, or earlier: a crash may then lose the last calls.",
    read: oneOf("sync", "relaxed"),
  },
  retention: {
    type: "RetentionOptions",
    default: {},
    defaultText: "see below",
    description: "How long things are kept after they ended.",
    read: group(retentionOptions),
    fields: retentionOptions,
  },
  events: {
    type: '"off" | "errors" | "all"',
    default: "errors",
    description: "Which events are kept: none, those of trouble, or all.",
    read: oneOf("off", "errors", "all"),
  },
  logger: {
    type: "Logger",
    defaultText: "nowhere",
    description: "Where the runtime reports trouble: `debug`, `info`, `warn` and `error`, as pino has them.",
    read: logger,
  },
  instanceId: {
    type: "string",
    default: `${hostname()}:${process.pid}`,
    defaultText: "host name and process id",
    description: "The name of this runtime, shown to whoever finds its store owned.",
    read: name,
  },
  whenOwned: {
    type: '"fail" | "wait"',
    default: "fail",
    description:
      "What to do when another runtime has the store open: reject with StoreOwnedError, or stand by until it has closed it or died.",
    read: oneOf("fail", "wait"),
  },
  lockTimeout: {
    type: "Duration",
    unit: "ms",
    default: "1s",
    description: "The longest that the end of the owner goes unnoticed while this runtime stands by. At least 100.",
    read: duration(100),
  },
  scheduler: {
    type: "SchedulerOptions",
    default: {},
    defaultText: "see below",
    description: "How schedules fire.",
    read: group(schedulerOptions),
    fields: schedulerOptions,
  },
  preflight: {
    type: '"auto" | "always" | "off"',
    default: "auto",
    description: "Whether the store is checked before it is opened; `auto`: when it was not closed cleanly.",
    read: oneOf("auto", "always", "off"),
  },
  handleSignals: {
    type: "boolean",
    default: false,
    description: "Close on SIGTERM and SIGINT, giving running tasks 25 s; a second signal exits at once.",
    read: boolean,
  },
  maxPayloadBytes: {
    type: "number",
    unit: "bytes",
    default: 1_000_000,
    description: "The largest arguments, and the largest result, of a task, 1,000 to 64,000,000.",
    read: integer(1_000, 64_000_000),
  },
  maxLogBytes: {
    type: "number",
    unit: "bytes",
    default: 65_536,
    description: "How much one attempt may log: its messages and fields, 1,000 to 16,000,000. What is more is dropped.",
    read: integer(1_000, 16_000_000),
  },
  reserveBytes: {
    type: "number",
    unit: "bytes",
    default: 1_000_000,
    description: "Space on the disk that is left alone: with less, calls that store reject with StoreFullError.",
    read: integer(0, Number.MAX_SAFE_INTEGER),
  },
} satisfies Table<OpenOptions>;
