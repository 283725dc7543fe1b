import type { EpochMs } from "../base/clock.ts";
import { afterStarts, bucketAt, bucketFor, fullBucket, nextStartAt, startsIn, type Bucket } from "./token-bucket.ts";
import type { TaskRequest } from "../task/task.ts";
import { limitedLinesOf } from "./key-lines.ts";
import { KeyRates } from "./key-rates.ts";
import type { Limits } from "./storage.ts";
import type { RateLimit } from "./token-bucket.ts";

/** What has a rate limit: a queue, or a name of tasks. */
export type RateKey = `queue:${string}` | `name:${string}`;

/** The first of two moments that may never come. */
export const earliest = (a: EpochMs | undefined, b: EpochMs | undefined): EpochMs | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);

/** What is left of every rate limit that was ever used. */
export class Rates {
  readonly #buckets: Map<RateKey, Bucket>;
  readonly #changed: (key: RateKey) => void;
  #heldUntil: EpochMs | undefined;
  /** Those that count per key. */
  readonly keys: KeyRates;

  /** @param buckets as they were left. @param changed is told whenever one is changed. */
  constructor(
    buckets: Iterable<readonly [RateKey, Bucket]> = [],
    changed: (key: RateKey) => void = () => undefined,
    keys = new KeyRates(),
  ) {
    this.#buckets = new Map(buckets);
    this.#changed = changed;
    this.keys = keys;
  }

  all(): Iterable<readonly [RateKey, Bucket]> {
    return this.#buckets;
  }

  get(key: RateKey): Bucket | undefined {
    return this.#buckets.get(key);
  }

  /** How many may start at this moment. */
  left(key: RateKey, limit: RateLimit, now: EpochMs): number {
    const known = this.#buckets.get(key);
    const mine = known === undefined ? fullBucket(limit, now) : bucketFor(known, limit);
    // What flows in with time can be told again; what a smaller bucket had no room for is gone.
    if (known !== undefined && mine !== known) this.#changed(key);
    const bucket = bucketAt(mine, now);
    this.#buckets.set(key, bucket);
    return startsIn(bucket);
  }

  /** So many have started; less than none gives them back. */
  started(key: RateKey, count: number): void {
    const bucket = this.#buckets.get(key);
    if (bucket === undefined || count === 0) return;
    this.#buckets.set(key, afterStarts(bucket, count));
    this.#changed(key);
  }

  /** A task that was claimed did not start: it counts no more. */
  unstarted(request: TaskRequest, ofName?: Limits, ofQueue?: Limits): void {
    if (isCommon(ofQueue)) this.started(`queue:${request.queue}`, -1);
    if (isCommon(ofName)) this.started(`name:${request.name}`, -1);
    for (const { name, rateLimit } of limitedLinesOf(request, ofName, ofQueue)) {
      if (rateLimit !== undefined) this.keys.giveBack(name);
    }
  }

  /** Tasks were left because of this limit; gives when the next of them may start. */
  hold(key: RateKey): EpochMs {
    const bucket = this.#buckets.get(key);
    const at = bucket === undefined ? 0 : nextStartAt(bucket);
    this.holdUntil(at);
    return at;
  }

  /** Tasks were left that may start then. */
  holdUntil(at: EpochMs): void {
    this.#heldUntil = earliest(this.#heldUntil, at);
  }

  /** When the first of those that were left may start. */
  get heldUntil(): EpochMs | undefined {
    return earliest(this.#heldUntil, this.keys.heldUntil);
  }

  /** Whether some of them may start now, apart from those with keys. Then who claims finds out which. */
  release(now: EpochMs): boolean {
    if (this.#heldUntil === undefined || this.#heldUntil > now) return false;
    this.#heldUntil = undefined;
    return true;
  }
}

/** A rate limit that all tasks of the queue, or name, share. */
const isCommon = (limits?: Limits): boolean => limits?.rateLimit !== undefined && limits.rateLimit.perKey !== true;
