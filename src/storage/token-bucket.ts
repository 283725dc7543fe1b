import type { EpochMs } from "../base/clock.ts";

/**
 * At most `max` starts at once, and `max` more in every `perMs`, evenly: within any length of time `t`, no more than
 * `max + max * t / perMs`. So a time of `perMs` sees at most `max` after a busy time, and twice that after an idle one.
 */
export interface RateLimit {
  /** 1 to 1,000,000. */
  readonly max: number;
  /** At most 30 days: all numbers stay exact. */
  readonly perMs: number;
  /** Each `concurrencyKey` has its own; tasks without one are not limited. */
  readonly perKey?: boolean;
}

/**
 * What is left of a limit at a moment. Counted in parts of a start, so that all of it is whole numbers: `max` parts
 * flow in with every millisecond, a start takes `perMs` of them, and there is room for `max` starts.
 */
export interface Bucket {
  readonly limit: RateLimit;
  readonly parts: number;
  readonly at: EpochMs;
}

export const fullBucket = (limit: RateLimit, at: EpochMs): Bucket => ({ limit, parts: limit.max * limit.perMs, at });

/** The bucket at a later moment. A clock that was set back takes nothing away and gives nothing. */
export function bucketAt(bucket: Bucket, now: EpochMs): Bucket {
  const { limit, parts, at } = bucket;
  const elapsed = Math.floor(now - at);
  if (elapsed < 1) return bucket;
  // A longer time fills no more, and its product might not be exact.
  const inflow = Math.min(elapsed, limit.perMs) * limit.max;
  return { limit, parts: Math.min(limit.max * limit.perMs, parts + inflow), at: at + elapsed };
}

/** The bucket under another limit: starts that are left stay left, as far as there is room. */
export function bucketFor(bucket: Bucket, limit: RateLimit): Bucket {
  if (bucket.limit.max === limit.max && bucket.limit.perMs === limit.perMs) return bucket;
  const starts = bucket.parts / bucket.limit.perMs;
  return { limit, parts: Math.min(limit.max * limit.perMs, Math.floor(starts * limit.perMs)), at: bucket.at };
}

/** When it will be full, if nothing starts. */
export const fullAt = ({ limit, parts, at }: Bucket): EpochMs =>
  at + Math.ceil((limit.max * limit.perMs - parts) / limit.max);

/** How many may start. */
export const startsIn = ({ limit, parts }: Bucket): number => Math.floor(parts / limit.perMs);

/** What is left after so many have started, which must be there; less than none gives them back. */
export const afterStarts = ({ limit, parts, at }: Bucket, count: number): Bucket => ({
  limit,
  parts: Math.min(limit.max * limit.perMs, parts - count * limit.perMs),
  at,
});

/** When the next may start. */
export const nextStartAt = ({ limit, parts, at }: Bucket): EpochMs =>
  at + Math.max(0, Math.ceil((limit.perMs - parts) / limit.max));
