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

  /**
   * A queue, or a name, has this limit from now on. Whoever looks at what is left changes nothing about it, so that it
   * depends on nothing but what has started, and on this.
   */
  convert(of: "queue" | "name", name: string, limit: RateLimit): void {
    if (limit.perKey === true) return this.keys.convert(`${of}\0${name}\0`, limit);
    const key: RateKey = `${of}:${name}`;
    const known = this.#buckets.get(key);
    if (known === undefined) return;
    const bucket = bucketFor(known, limit);
    if (bucket !== known) this.#set(key, bucket);
  }

  /** Names have these limits from now on. */
  convertNames(names: ReadonlyMap<string, Limits> = new Map()): void {
    for (const [name, { rateLimit }] of names) if (rateLimit !== undefined) this.convert("name", name, rateLimit);
  }

  /** How many may start at this moment. */
  left(key: RateKey, limit: RateLimit, now: EpochMs): number {
    const bucket = this.#buckets.get(key);
    return bucket === undefined ? limit.max : startsIn(bucketAt(bucket, now));
  }

  /** So many have started, which there was room for. */
  started(key: RateKey, limit: RateLimit, count: number, now: EpochMs): void {
    const bucket = this.#buckets.get(key) ?? fullBucket(limit, now);
    if (count > 0) this.#set(key, afterStarts(bucketAt(bucket, now), count));
  }

  /** One that was claimed has not started. */
  #giveBack(key: RateKey): void {
    const bucket = this.#buckets.get(key);
    if (bucket !== undefined) this.#set(key, afterStarts(bucket, -1));
  }

  #set(key: RateKey, bucket: Bucket): void {
    this.#buckets.set(key, bucket);
    this.#changed(key);
  }

  /** A task that was claimed did not start: it counts no more. */
  unstarted(request: TaskRequest, ofName?: Limits, ofQueue?: Limits): void {
    if (isCommon(ofQueue)) this.#giveBack(`queue:${request.queue}`);
    if (isCommon(ofName)) this.#giveBack(`name:${request.name}`);
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
