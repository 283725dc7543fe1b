import { InvalidArgumentError } from "../base/errors.ts";
import type { BackoffOptions, CommonOptions, DefineOptions, TaskOptions } from "../task/definition.ts";
import { defaultBackoff, type Backoff } from "../task/retry.ts";
import { breaker, concurrency, rateLimit } from "./limits.ts";
import { metadata } from "./metadata.ts";
import { asObject, bytes, duration, integer, moment, name, number, oneOf, readGiven, show } from "./read.ts";
import type { Reader, Table } from "./read.ts";

/** Names for common priorities. */
export const priorityNames = Object.freeze({ critical: 100, high: 10, normal: 0, low: -10 });

const isPriorityName = (value: unknown): value is keyof typeof priorityNames =>
  typeof value === "string" && Object.hasOwn(priorityNames, value);

const priorityNumber = integer(-1_000, 1_000);

const priority: Reader<number> = (value, path) => {
  if (isPriorityName(value)) return priorityNames[value];
  if (typeof value === "number") return priorityNumber(value, path);
  throw new InvalidArgumentError(path, `${show(value)} is not a priority. Give -1000 to 1000, or a name of one.`);
};

/** Parts of a backoff; what is left out is as in the default. */
export const backoffOptions = {
  type: {
    type: '"fixed" | "exponential"',
    default: defaultBackoff.type,
    description: "Whether further delays are multiplied by `factor`.",
    read: oneOf("fixed", "exponential"),
  },
  delay: {
    type: "Duration",
    unit: "ms",
    default: defaultBackoff.delayMs,
    description: "The first delay.",
    read: duration(0),
  },
  factor: {
    type: "number",
    default: defaultBackoff.factor,
    description: "What each further delay is multiplied by, 1 to 100. Not with `fixed`.",
    read: number(1, 100),
  },
  max: {
    type: "Duration",
    unit: "ms",
    default: defaultBackoff.maxMs,
    description: "The longest delay. At least `delay`, which raises the default.",
    read: duration(0),
  },
  jitter: {
    type: "number",
    default: defaultBackoff.jitter,
    description: "The share by which delays vary at random, 0 to 1. With `fixed`, the default is 0.",
    read: number(0, 1),
  },
} satisfies Table<BackoffOptions>;

const backoff: Reader<Backoff> = (value, path) => {
  const {
    type = defaultBackoff.type,
    delay = defaultBackoff.delayMs,
    ...given
  } = readGiven(backoffOptions, value, path);
  if (type === "fixed" && given.factor !== undefined && given.factor !== 1) {
    throw new InvalidArgumentError(`${path}.factor`, 'does not go with type "fixed". Use "exponential".');
  }
  if (given.max !== undefined && given.max < delay) {
    throw new InvalidArgumentError(`${path}.max`, `${given.max} ms is less than the first delay, ${delay} ms.`);
  }
  return {
    type,
    delayMs: delay,
    factor: type === "fixed" ? 1 : (given.factor ?? defaultBackoff.factor),
    maxMs: given.max ?? Math.max(defaultBackoff.maxMs, delay),
    jitter: given.jitter ?? (type === "fixed" ? 0 : defaultBackoff.jitter),
  };
};

const tags: Reader<readonly string[]> = (value, path) => {
  if (!Array.isArray(value)) throw new InvalidArgumentError(path, `${show(value)} is not a list of names.`);
  if (value.length > 32) throw new InvalidArgumentError(path, `${value.length} tags are too many: 32 is the most.`);
  return Object.freeze([...new Set(Array.from(value, (tag, index) => name(tag, `${path}[${index}]`)))]);
};

const schedule: Reader<number> = (value, path) => {
  const trigger = asObject(value, path);
  if (trigger["type"] === "at") return moment(trigger["at"], `${path}.at`);
  throw new InvalidArgumentError(path, "only at(date) makes a task that runs once.");
};

const retryIf: Reader<(error: unknown) => boolean> = (value, path) => {
  if (typeof value === "function") return value as (error: unknown) => boolean;
  throw new InvalidArgumentError(path, `${show(value)} is not a function of the error.`);
};

const schema: Reader<object> = (value, path) => {
  const isObject = typeof value === "function" || (typeof value === "object" && value !== null);
  if (isObject && "~standard" in value) return value;
  throw new InvalidArgumentError(path, `${show(value)} is not a Standard Schema. Zod, Valibot and ArkType make them.`);
};

/** What a queue may say for its tasks, where neither the call nor the definition does. */
export type QueueDefaults = Omit<CommonOptions, "queue">;

/** Options that a queue may give for all its tasks. */
export const queueDefaultOptions = {
  priority: {
    type: 'number | "critical" | "high" | "normal" | "low"',
    default: 0,
    description: "Higher starts first, over all queues, -1000 to 1000. The names are 100, 10, 0 and -10.",
    read: priority,
  },
  delay: {
    type: "Duration",
    unit: "ms",
    description: "Not to be started before this has passed. Excludes `runAt` and `schedule`.",
    read: duration(0),
  },
  ttl: {
    type: "Duration",
    unit: "ms",
    defaultText: "never",
    description: "The task expires when it has not started this long after it was enqueued. More than 0.",
    read: duration(1),
  },
  timeout: {
    type: "Duration",
    unit: "ms",
    defaultText: "no limit",
    description: "The longest that one attempt may take. More than 0.",
    read: duration(1),
  },
  stallTimeout: {
    type: "Duration",
    unit: "ms",
    defaultText: "no limit",
    description:
      "The longest that one attempt may be silent: without `heartbeat`, `progress` or `log`. It is stopped as one that takes too long. At least 200.",
    read: duration(200),
  },
  memory: {
    type: "Bytes",
    unit: "bytes",
    defaultText: "no limit",
    description:
      'The most memory that the child process of an attempt may hold, what Node itself takes (some 50 MB) included; text such as `"512mb"` is in units of 1,024. At least 64 MB. Goes with executor `process` alone.',
    read: bytes(64 * 2 ** 20),
  },
  maxRetries: {
    type: "number",
    default: 0,
    description: "How often an attempt that fails, times out or takes too much memory is repeated, 0 to 1000.",
    read: integer(0, 1_000),
  },
  retryDelay: {
    type: "Duration",
    unit: "ms",
    defaultText: "as `backoff` says",
    description: "A fixed delay before each retry, without jitter. Excludes `backoff`.",
    read: duration(0),
  },
  backoff: {
    type: "BackoffOptions",
    defaultText: "see below",
    description: "The delays before retries.",
    read: backoff,
    fields: backoffOptions,
  },
  maxInterruptions: {
    type: "number",
    defaultText: "no limit",
    description: "How often an attempt may be interrupted by the end of its process before the task fails.",
    read: integer(0, 1_000_000),
  },
  resultTtl: {
    type: "Duration",
    unit: "ms",
    defaultText: "as `retention` says",
    description: "How long the result is kept after the task ended.",
    read: duration(0),
  },
  tags: {
    type: "string[]",
    default: [],
    description: "Names to find the task by, at most 32.",
    read: tags,
  },
  metadata: {
    type: "Record<string, unknown>",
    default: {},
    description: "Plain JSON data kept with the task, at most 16,000 bytes.",
    read: metadata,
  },
  executor: {
    type: '"thread" | "process" | "async" | string',
    defaultText: "the runtime's `executor`",
    description:
      "Where the handler runs: in a worker thread, a child process, on an event loop with many others, or in a custom executor of that name.",
    read: name,
  },
  onConflict: {
    type: '"error" | "skip" | "return" | "replace"',
    default: "error",
    description:
      "What to do when an unfinished task of the queue has the `dedupeKey`: reject with DuplicateTaskError, store nothing, give that task, or take its place if it is not running.",
    read: oneOf("error", "skip", "return", "replace"),
  },
  onFull: {
    type: '"error" | "wait"',
    default: "error",
    description: "What to do when the queue holds `maxSize` tasks: reject with QueueFullError, or wait for room.",
    read: oneOf("error", "wait"),
  },
  orderingKey: {
    type: "string",
    description: "Tasks of a queue with this key run one after the other, in the order they were enqueued in.",
    read: name,
  },
  concurrencyKey: {
    type: "string",
    description: "What `concurrency.perKey` and `rateLimit.perKey` of the queue and of the task count by.",
    read: name,
  },
} satisfies Table<QueueDefaults>;

/** Options that a task definition may give for all its tasks, and a call for one of them. */
export const commonOptions = {
  queue: {
    type: "string",
    default: "default",
    description: "The queue it waits in: 1 to 200 bytes without control characters.",
    read: name,
  },
  ...queueDefaultOptions,
} satisfies Table<CommonOptions>;

/** Options of a task definition. */
export const definitionOptions = {
  ...commonOptions,
  retryIf: {
    type: "(error: unknown) => boolean",
    defaultText: "always",
    description: "Whether to retry after this error, while retries are left.",
    read: retryIf,
  },
  version: {
    type: "string",
    description:
      "Of the handler. Tasks run with the version they were stored for, which may be defined beside newer ones; new tasks are for the highest.",
    read: name,
  },
  concurrency: {
    type: "number | { max?, perKey? }",
    defaultText: "no limit",
    description: "The most tasks of this name, over all queues, that run at the same time.",
    read: concurrency,
  },
  rateLimit: {
    type: "{ max, per }",
    defaultText: "no limit",
    description:
      "How many tasks of this name, over all queues, may start: `max` at once, and as many more in every `per`.",
    read: rateLimit,
  },
  breaker: {
    type: "{ threshold?, cooldown?, probes? }",
    defaultText: "none",
    description: "A circuit breaker: while it is open, tasks of this name stay in their queues.",
    read: breaker,
  },
  input: {
    type: "StandardSchemaV1",
    description: "A schema of the list of arguments, checked at enqueue. The handler gets what it gives.",
    read: schema,
  },
} satisfies Table<DefineOptions>;

/** Options of one enqueue. */
export const taskOptions = {
  id: {
    type: "string",
    defaultText: "a UUIDv7",
    description: "Your own id, unique in the store: 1 to 200 bytes.",
    read: name,
  },
  ...commonOptions,
  runAt: {
    type: "Date | number",
    unit: "ms since 1970",
    description: "Not to be started before. The past means now. Excludes `delay` and `schedule`.",
    read: moment,
  },
  schedule: {
    type: "Trigger",
    description:
      "`at(date)`: the same as `runAt`. Any other trigger, or a cron expression, makes a schedule of such tasks.",
    read: schedule,
  },
  dedupeKey: {
    type: "string",
    description:
      "At most one unfinished task of a queue has this key; see `onConflict`. Not for bulk calls of more than 5,000.",
    read: name,
  },
  durability: {
    type: '"sync" | "relaxed"',
    defaultText: "as `open` says",
    description: "As in the options of `open`, for this call.",
    read: oneOf("sync", "relaxed"),
  },
} satisfies Table<TaskOptions>;
