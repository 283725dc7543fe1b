import type { EpochMs } from "../base/clock.ts";
import { Heap } from "./heap.ts";
import { afterStarts, bucketAt, bucketFor, fullAt, fullBucket, nextStartAt, startsIn } from "./token-bucket.ts";
import type { Bucket, RateLimit } from "./token-bucket.ts";

/** What is left of the limit of one line, and until when some of its tasks are held back. */
interface Kept {
  bucket: Bucket;
  heldUntil: EpochMs | undefined;
}

interface Moment {
  readonly line: string;
  readonly at: EpochMs;
}

const isSooner = (a: Moment, b: Moment): boolean => a.at < b.at;

/**
 * What is left of rate limits that count per key: a bucket for each line of tasks with one key (see key-lines.ts) of
 * which one started. Those that are full again are forgotten, so there are no more than lines that are in use.
 */
export class KeyRates {
  readonly #kept = new Map<string, Kept>();
  readonly #changed: (line: string) => void;
  readonly #held = new Heap<Moment>(isSooner, ({ line, at }) => this.#kept.get(line)?.heldUntil === at);
  /** Each bucket once, by when it was to be full when it was last looked at. */
  readonly #filling = new Heap<Moment>(isSooner);

  /** @param buckets as they were left. @param changed is told whenever one is changed. */
  constructor(buckets: Iterable<readonly [string, Bucket]> = [], changed: (line: string) => void = () => undefined) {
    this.#changed = changed;
    for (const [line, bucket] of buckets) {
      this.#keep(line, bucket);
      // What they are held for may have changed since.
      this.#holdUntil(line, 0);
    }
  }

  *all(): Iterable<readonly [string, Bucket]> {
    for (const [line, { bucket }] of this.#kept) yield [line, bucket];
  }

  get(line: string): Bucket | undefined {
    return this.#kept.get(line)?.bucket;
  }

  /** Lines whose names begin like this have another limit from now on. */
  convert(prefix: string, limit: RateLimit): void {
    for (const [line, kept] of this.#kept) {
      if (!line.startsWith(prefix)) continue;
      const bucket = bucketFor(kept.bucket, limit);
      if (bucket === kept.bucket) continue;
      kept.bucket = bucket;
      this.#changed(line);
    }
  }

  /** How many may start at this moment. */
  left(line: string, limit: RateLimit, now: EpochMs): number {
    const kept = this.#kept.get(line);
    return kept === undefined ? limit.max : startsIn(bucketAt(kept.bucket, now));
  }

  /** One has started, which there was room for. */
  started(line: string, limit: RateLimit, now: EpochMs): void {
    const kept = this.#kept.get(line);
    if (kept === undefined) this.#keep(line, afterStarts(fullBucket(limit, now), 1));
    else kept.bucket = afterStarts(bucketAt(kept.bucket, now), 1);
    this.#changed(line);
  }

  /** One that was claimed has not started. */
  giveBack(line: string): void {
    const kept = this.#kept.get(line);
    if (kept === undefined) return;
    kept.bucket = afterStarts(kept.bucket, -1);
    this.#changed(line);
    this.#release(kept);
  }

  /** Tasks of the line are held back until the next may start. */
  hold(line: string): void {
    const kept = this.#kept.get(line);
    if (kept !== undefined && kept.heldUntil === undefined) this.#holdUntil(line, nextStartAt(kept.bucket));
  }

  isHeld(line: string): boolean {
    return this.#kept.get(line)?.heldUntil !== undefined;
  }

  /** When the first of those held back may start. */
  get heldUntil(): EpochMs | undefined {
    return this.#held.peek()?.at;
  }

  /** Lets go of up to `most` lines whose next task may start, gives them, and forgets about as many full buckets. */
  release(now: EpochMs, most: number = Number.POSITIVE_INFINITY): string[] {
    const lines: string[] = [];
    for (let first = this.#held.peek(); first !== undefined && first.at <= now; first = this.#held.peek()) {
      if (lines.length >= most) return lines;
      this.#held.pop();
      const kept = this.#kept.get(first.line);
      if (kept !== undefined) kept.heldUntil = undefined;
      lines.push(first.line);
    }
    this.#forgetFull(now, most);
    return lines;
  }

  /** Limits have changed: whoever is held may ask again. */
  releaseAll(): void {
    for (const [line, kept] of this.#kept) {
      if (kept.heldUntil === undefined) continue;
      this.#release(kept);
      this.#holdUntil(line, 0);
    }
  }

  #forgetFull(now: EpochMs, most: number): void {
    for (let left = most; left > 0; left--) {
      const first = this.#filling.peek();
      if (first === undefined || first.at > now) return;
      this.#filling.pop();
      const { line } = first;
      const kept = this.#kept.get(line);
      if (kept === undefined) continue;
      const at = fullAt(kept.bucket);
      if (at > now || kept.heldUntil !== undefined) this.#filling.push({ line, at: Math.max(at, now + 1) });
      else if (this.#kept.delete(line)) this.#changed(line);
    }
  }

  #keep(line: string, bucket: Bucket): void {
    this.#kept.set(line, { bucket, heldUntil: undefined });
    this.#filling.push({ line, at: fullAt(bucket) });
  }

  #holdUntil(line: string, at: EpochMs): void {
    const kept = this.#kept.get(line);
    if (kept === undefined) return;
    kept.heldUntil = at;
    this.#held.push({ line, at });
  }

  #release(kept: Kept): void {
    if (kept.heldUntil === undefined) return;
    kept.heldUntil = undefined;
    this.#held.forget();
  }
}
