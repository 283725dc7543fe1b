import type { Duration } from "../base/duration.ts";
import type { RateLimit } from "../storage/token-bucket.ts";
import type { ConcurrencyOptions, RateLimitOptions } from "../task/definition.ts";
import {
  agingStep,
  concurrency,
  concurrencyOptions,
  priorityPolicy,
  queueLimitsOf,
  rateLimit,
  rateLimitOptions,
  weight,
} from "./limits.ts";
import { boolean, integer, readComplete, type Reader, type Table } from "./read.ts";
import { readChoices, type TaskChoices } from "./task-choices.ts";
import { queueDefaultOptions, type QueueDefaults } from "./task-options.ts";

/** What `open` may say of a queue. */
export interface QueueOptions {
  /** The most tasks of the queue that run at the same time. */
  readonly concurrency?: number | ConcurrencyOptions | undefined;
  /** How many tasks of the queue may start. */
  readonly rateLimit?: RateLimitOptions | undefined;
  /** The most unfinished tasks it may hold. */
  readonly maxSize?: number | undefined;
  /** Its share with routing `"weighted"`, 1 to 1000. Default 1. */
  readonly weight?: number | undefined;
  /** With `"aging"`, the priority of a task rises by one with every `agingStep` that it waits. Default `"fifo"`. */
  readonly priorityPolicy?: "fifo" | "aging" | undefined;
  /** Default 1 min. */
  readonly agingStep?: Duration | undefined;
  /** Whether its tasks wait. Default: as it was when the store was last open. */
  readonly paused?: boolean | undefined;
  /** Options of its tasks, where neither the call nor the definition says otherwise. */
  readonly defaults?: QueueDefaults | undefined;
}

/** A queue as it is configured at open. */
export interface ResolvedQueue {
  readonly concurrency?: Readonly<ConcurrencyOptions>;
  readonly rateLimit?: RateLimit;
  readonly maxSize?: number;
  readonly weight?: number;
  readonly priorityPolicy?: "fifo" | "aging";
  readonly agingStep?: number;
  readonly paused?: boolean;
  readonly defaults: TaskChoices;
}

const wholeSize = integer(1, Number.MAX_SAFE_INTEGER);

export const queueOptions = {
  concurrency: {
    type: "number | { max?, perKey? }",
    defaultText: "no limit",
    description: "The most tasks of the queue that run at the same time.",
    read: concurrency,
    fields: concurrencyOptions,
  },
  rateLimit: {
    type: "{ max, per }",
    defaultText: "no limit",
    description: "How many tasks of the queue may start: `max` at once, and as many more in every `per`.",
    read: rateLimit,
    fields: rateLimitOptions,
  },
  maxSize: {
    type: "number",
    defaultText: "no limit",
    description: "The most unfinished tasks it may hold; `onFull` says what becomes of more.",
    read: wholeSize,
  },
  weight: {
    type: "number",
    defaultText: "1",
    description: 'Its share with routing `"weighted"`, 1 to 1000.',
    read: weight,
  },
  priorityPolicy: {
    type: '"fifo" | "aging"',
    defaultText: '`"fifo"`',
    description: "With `aging`, the priority of a task rises by one with every `agingStep` that it waits.",
    read: priorityPolicy,
  },
  agingStep: {
    type: "Duration",
    unit: "ms",
    defaultText: '`"1m"`',
    description: "How long a task waits for its priority to rise by one. Goes with `aging` alone.",
    read: agingStep,
  },
  paused: {
    type: "boolean",
    defaultText: "as it was stored",
    description: "Whether its tasks wait.",
    read: boolean,
  },
  defaults: {
    type: "QueueDefaults",
    default: {},
    description: "Options of its tasks, where neither the call nor the definition says otherwise.",
    read: (value: unknown, path: string): TaskChoices => readChoices(queueDefaultOptions, value, path),
  },
} satisfies Table<QueueOptions>;

export const readQueue: Reader<ResolvedQueue> = (value, path) => {
  const queue = readComplete(queueOptions, value, path);
  // Only what can be stored is accepted.
  queueLimitsOf(queue, path);
  return queue;
};
