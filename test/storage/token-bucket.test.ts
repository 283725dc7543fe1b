import fc from "fast-check";
import { expect, test } from "vitest";
import {
  afterStarts,
  bucketAt,
  bucketFor,
  fullBucket,
  nextStartAt,
  startsIn,
  type Bucket,
  type RateLimit,
} from "../../src/storage/token-bucket.ts";

const aLimit: fc.Arbitrary<RateLimit> = fc.record({
  max: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1_000_000 })),
  perMs: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 30 * 86_400_000 })),
});

/** Moments at which so many are asked for, from a beginning on. */
const someAsking = fc.array(fc.record({ pause: fc.nat(40), wanted: fc.nat(30) }), { maxLength: 60 });

/** Starts as many as are wanted and there: the moments and numbers of the starts. */
function starts(
  limit: RateLimit,
  asking: readonly { pause: number; wanted: number }[],
): { at: number; count: number }[] {
  let bucket: Bucket = fullBucket(limit, 0);
  let now = 0;
  return asking.map(({ pause, wanted }) => {
    now += pause;
    bucket = bucketAt(bucket, now);
    const count = Math.min(wanted, startsIn(bucket));
    bucket = afterStarts(bucket, count);
    return { at: now, count };
  });
}

test("no length of time t sees more than max + max * t / per starts", () => {
  fc.assert(
    fc.property(aLimit, someAsking, (limit, asking) => {
      const all = starts(limit, asking);
      for (let from = 0; from < all.length; from++) {
        let sum = 0;
        for (const { at, count } of all.slice(from)) {
          sum += count;
          const elapsed = at - (all[from]?.at ?? 0);
          if (BigInt(sum) * BigInt(limit.perMs) > BigInt(limit.max) * BigInt(limit.perMs + elapsed)) return false;
        }
      }
      return true;
    }),
  );
});

test("whoever takes all there is in every millisecond gets all that flows in, to the last", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 50 }),
      fc.nat(200),
      (max, perMs, elapsed) => {
        const all = starts({ max, perMs }, [
          { pause: 0, wanted: 1e9 },
          ...Array.from({ length: elapsed }, () => ({ pause: 1, wanted: 1e9 })),
        ]);
        expect(all.reduce((sum, { count }) => sum + count, 0)).toBe(max + Math.floor((max * elapsed) / perMs));
      },
    ),
  );
});

test("the next start is possible at the moment that is told, and not a millisecond before", () => {
  fc.assert(
    fc.property(aLimit, fc.nat(1_000_000), fc.nat(100), (limit, taken, pause) => {
      const empty = afterStarts(fullBucket(limit, 7), Math.min(taken, limit.max));
      const bucket = bucketAt(empty, 7 + pause);
      const at = nextStartAt(bucket);
      expect(startsIn(bucketAt(bucket, at))).toBeGreaterThanOrEqual(1);
      if (at > bucket.at) expect(startsIn(bucketAt(bucket, at - 1))).toBe(0);
    }),
  );
});

test("another limit leaves no more starts than there were, nor than it allows", () => {
  fc.assert(
    fc.property(aLimit, aLimit, fc.nat(1_000_000), (limit, other, taken) => {
      const bucket = afterStarts(fullBucket(limit, 0), Math.min(taken, limit.max));
      const changed = startsIn(bucketFor(bucket, other));
      expect(changed).toBeLessThanOrEqual(Math.min(startsIn(bucket), other.max));
    }),
  );
});

test("a clock that is set back neither gives nor takes", () => {
  const bucket = afterStarts(fullBucket({ max: 3, perMs: 10 }, 100), 2);
  expect(bucketAt(bucket, 50)).toEqual(bucket);
});
