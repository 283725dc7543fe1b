import fc from "fast-check";
import { expect, test } from "vitest";
import { VirtualClock } from "../../../src/base/clock.ts";
import { StoreFullError } from "../../../src/base/errors.ts";
import { createSpaceGuard, freeBytes, type SpaceGuard } from "../../../src/storage/lmdb/free-space.ts";
import { aFolder } from "../../support/lmdb-folders.ts";

const mebibyte = 1024 ** 2;
const gibibyte = 1024 ** 3;

/** A guard over a disk that the test fills and empties. */
function aDisk(free: number, reserveBytes = mebibyte) {
  const clock = new VirtualClock();
  const disk = { free, asked: 0, clock };
  const measure = (): number => {
    disk.asked++;
    return disk.free;
  };
  const guard: SpaceGuard = createSpaceGuard("/store", reserveBytes, measure, clock);
  return { guard, disk };
}

test("a write that would reach into the reserve is refused", () => {
  const { guard } = aDisk(50 * mebibyte, 49.9 * mebibyte);

  expect(() => guard.check(mebibyte)).toThrow(StoreFullError);
});

test("a write that leaves the reserve alone is accepted", () => {
  const { guard } = aDisk(60 * mebibyte, 49 * mebibyte);

  expect(() => guard.check(mebibyte)).not.toThrow();
});

test("what ends accepted work may use the reserve", () => {
  const { guard } = aDisk(4 * mebibyte, 50 * mebibyte);

  expect(() => guard.check(mebibyte, true)).not.toThrow();
});

test("what ends accepted work is refused when it does not fit", () => {
  const { guard } = aDisk(mebibyte);

  expect(() => guard.check(mebibyte, true)).toThrow(StoreFullError);
});

test("the reserve is never below one mebibyte", () => {
  const { guard } = aDisk(mebibyte, 0);

  expect(() => guard.check(1)).toThrow(StoreFullError);
});

test("the reserve grows with the largest transaction seen", () => {
  const { guard, disk } = aDisk(500 * mebibyte);
  guard.check(40 * mebibyte);
  disk.free = 150 * mebibyte;

  expect(() => guard.check(1)).toThrow(StoreFullError);
});

test("a refused write is accepted as soon as there is space", () => {
  const { guard, disk } = aDisk(0);
  expect(() => guard.check(1)).toThrow(StoreFullError);
  disk.free = 10 * mebibyte;

  expect(() => guard.check(1)).not.toThrow();
});

test("a disk with plenty of space is asked once a second", () => {
  const { guard, disk } = aDisk(100 * gibibyte);
  for (let commit = 0; commit < 1_000; commit++) guard.check(100);
  expect(disk.asked).toBe(1);
  disk.clock.advance(1_000);
  guard.check(100);

  expect(disk.asked).toBe(2);
});

test("a disk with plenty of space is asked again after an eighth of it was written", () => {
  const { guard, disk } = aDisk(16 * gibibyte);
  guard.check(gibibyte / 2);
  guard.check(gibibyte / 2);

  expect(disk.asked).toBe(2);
});

test("a disk that is filling up is asked before every transaction", () => {
  const { guard, disk } = aDisk(gibibyte / 2);
  for (let commit = 0; commit < 10; commit++) guard.check(100);

  expect(disk.asked).toBe(10);
});

test("a clock that is set back does not prolong an answer", () => {
  const { guard, disk } = aDisk(100 * gibibyte);
  disk.clock.jumpTo(1_000_000);
  guard.check(100);
  disk.clock.jumpTo(0);
  guard.check(100);

  expect(disk.asked).toBe(2);
});

test("whatever is written, a disk that only the store fills never runs out", () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 200 * mebibyte }), { maxLength: 200 });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 0, max: 8 * gibibyte }), (writes, free) => {
      const { guard, disk } = aDisk(free);
      for (const bytes of writes) {
        try {
          guard.check(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(StoreFullError);
          continue;
        }
        disk.free -= 2 * bytes;
        expect(disk.free).toBeGreaterThanOrEqual(mebibyte);
      }
    }),
  );
});

test("the free space of a real folder is a number of bytes", () => {
  expect(freeBytes(aFolder())).toBeGreaterThan(0);
});
