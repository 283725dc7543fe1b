import type { Limits, QueueSettings } from "../storage/storage.ts";
import type { RateLimit } from "../storage/token-bucket.ts";
import type { BreakerSettings } from "../task/breaker.ts";
import type { BreakerOptions, ConcurrencyOptions, RateLimitOptions } from "../task/definition.ts";
import { InvalidArgumentError } from "../base/errors.ts";
import {
  boolean,
  duration,
  integer,
  isPlainObject,
  oneOf,
  readComplete,
  readGiven,
  show,
  type Reader,
  type Table,
} from "./read.ts";

const most = integer(1, Number.MAX_SAFE_INTEGER);

export const concurrencyOptions = {
  max: { type: "number", defaultText: "no limit", description: "The most that run at the same time.", read: most },
  perKey: {
    type: "number",
    defaultText: "no limit",
    description: "The most with one `concurrencyKey` that run at the same time.",
    read: most,
  },
} satisfies Table<ConcurrencyOptions>;

const longestPer = 30 * 86_400_000;

const per: Reader<number> = (value, path) => {
  const ms = duration(1)(value, path);
  if (ms <= longestPer) return ms;
  throw new InvalidArgumentError(path, `${show(value)} is too long: 30 days are the most.`);
};

export const rateLimitOptions = {
  max: {
    type: "number",
    description: "How many may start at once, and in every `per`, 1 to 1,000,000.",
    read: integer(1, 1_000_000),
  },
  per: {
    type: "Duration",
    unit: "ms",
    description: "The time in which as many may start anew; at most 30 days.",
    read: per,
  },
  perKey: {
    type: "boolean",
    defaultText: "`false`",
    description: "Each `concurrencyKey` has its own; tasks without one are not limited.",
    read: boolean,
  },
} satisfies Table<RateLimitOptions>;

/** A limit, alone or with one per key. */
export const concurrency: Reader<Readonly<ConcurrencyOptions>> = (value, path) =>
  isPlainObject(value) ? readGiven(concurrencyOptions, value, path) : { max: most(value, path) };

export const rateLimit: Reader<RateLimit> = (value, path) => {
  const { max, per: perMs, perKey = false } = readComplete(rateLimitOptions, value, path);
  if (max === undefined) throw new InvalidArgumentError(`${path}.max`, "is missing. Give how many may start.");
  if (perMs === undefined) throw new InvalidArgumentError(`${path}.per`, 'is missing. Give a length of time: "1s".');
  return perKey ? { max, perMs, perKey } : { max, perMs };
};

export const breakerOptions = {
  threshold: {
    type: "number",
    defaultText: "5",
    description: "Failed attempts in a row that open it, 1 to 1,000.",
    read: integer(1, 1_000),
  },
  cooldown: {
    type: "Duration",
    unit: "ms",
    defaultText: '`"60s"`',
    description: "How long it stays open; at most 30 days.",
    read: per,
  },
  probes: {
    type: "number",
    defaultText: "3",
    description:
      "How many may run at a time after that, and how many have to succeed in a row to close it, 1 to 1,000.",
    read: integer(1, 1_000),
  },
} satisfies Table<BreakerOptions>;

export const breaker: Reader<BreakerSettings> = (value, path) => {
  const { threshold = 5, cooldown = 60_000, probes = 3 } = readGiven(breakerOptions, value, path);
  return { threshold, cooldownMs: cooldown, probes };
};

/** Its priorities stay as they are, or rise by one with every step that a task waits. */
export const priorityPolicy = oneOf("fifo", "aging");
export const agingStep: Reader<number> = duration(1);
export const weight: Reader<number> = integer(1, 1_000);

const defaultAgingStepMs = 60_000;

/** `null` where a limit is to be taken away. */
type Nullable<T> = { readonly [K in keyof T]?: NonNullable<T[K]> | null };

interface GivenLimits {
  readonly concurrency?: Readonly<ConcurrencyOptions> | null;
  readonly rateLimit?: RateLimit | null;
}

/** What was given, as storages have it. A `concurrency` replaces the other as a whole. */
export function limitsOf(given: GivenLimits): Nullable<Limits> {
  const { concurrency: running, rateLimit: rate } = given;
  return {
    ...(running === undefined ? {} : { concurrency: running?.max ?? null, concurrencyPerKey: running?.perKey ?? null }),
    ...(rate === undefined ? {} : { rateLimit: rate }),
  };
}

/**
 * What was given for a queue, as storages have it.
 *
 * @throws InvalidArgumentError for an `agingStep` of priorities that do not age.
 */
export function queueLimitsOf(given: GivenQueueLimits, path: string): QueueSettings {
  const { maxSize, weight: share, priorityPolicy: policy, agingStep: step } = given;
  if (step !== undefined && policy !== "aging") {
    throw new InvalidArgumentError(`${path}.agingStep`, 'goes with priorityPolicy "aging" alone. Give both.');
  }
  return {
    ...limitsOf(given),
    ...(maxSize === undefined ? {} : { maxSize }),
    ...(share === undefined ? {} : { weight: share }),
    ...(policy === undefined ? {} : { agingStepMs: policy === "aging" ? (step ?? defaultAgingStepMs) : null }),
  };
}

interface GivenQueueLimits extends GivenLimits {
  readonly maxSize?: number | null;
  readonly weight?: number | null;
  readonly priorityPolicy?: "fifo" | "aging";
  readonly agingStep?: number;
}
