import type { EpochMs } from "../base/clock.ts";
import { afterStarts, bucketAt, bucketFor, fullBucket, nextStartAt, startsIn, type Bucket } from "./token-bucket.ts";
import type { RateLimit } from "./token-bucket.ts";

/** What has a rate limit: a queue, or a name of tasks. */
export type RateKey = `queue:${string}` | `name:${string}`;

/** What is left of every rate limit that was ever used. */
export class Rates {
  readonly #buckets: Map<RateKey, Bucket>;
  readonly #changed: (key: RateKey) => void;
  #heldUntil: EpochMs | undefined;

  /** @param buckets as they were left. @param changed is told whenever one is changed. */
  constructor(buckets: Iterable<readonly [RateKey, Bucket]> = [], changed: (key: RateKey) => void = () => undefined) {
    this.#buckets = new Map(buckets);
    this.#changed = changed;
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
    const bucket = known === undefined ? fullBucket(limit, now) : bucketAt(bucketFor(known, limit), now);
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

  /** Tasks were left because of this limit; gives when the next of them may start. */
  hold(key: RateKey): EpochMs {
    const bucket = this.#buckets.get(key);
    const at = bucket === undefined ? 0 : nextStartAt(bucket);
    this.holdUntil(at);
    return at;
  }

  /** Tasks were left that may start then. */
  holdUntil(at: EpochMs): void {
    this.#heldUntil = Math.min(this.#heldUntil ?? at, at);
  }

  /** When the first of those that were left may start. */
  get heldUntil(): EpochMs | undefined {
    return this.#heldUntil;
  }

  /** Whether some of them may start now. Then who claims finds out which. */
  release(now: EpochMs): boolean {
    if (this.#heldUntil === undefined || this.#heldUntil > now) return false;
    this.#heldUntil = undefined;
    return true;
  }
}
