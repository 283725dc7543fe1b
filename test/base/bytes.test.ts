import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toBytes } from "../../src/base/bytes.ts";

describe("an amount of memory", () => {
  test.each([
    [0, 0],
    [1_000, 1_000],
    [1.6, 2],
    ["0b", 0],
    ["100 b", 100],
    ["1kb", 1_024],
    ["512mb", 512 * 1_024 ** 2],
    ["1.5 GB", 1.5 * 1_024 ** 3],
  ])("%j is %i bytes", (given, bytes) => {
    expect(toBytes(given)).toBe(bytes);
  });

  test.each([
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 60,
    "",
    "mb",
    "-1mb",
    "1 tb",
    "1",
    "1e3kb",
    "1mb ",
    "1,5mb",
  ])("%j is none", (given) => {
    expect(() => toBytes(given)).toThrow(RangeError);
  });

  test.each([null, undefined, {}, [1], 1n, true])("%s is none, though nobody should ask", (given) => {
    expect(() => toBytes(given as unknown as number)).toThrow(RangeError);
  });

  test("as text is so many units of 1,024", () => {
    const units = ["b", "kb", "mb", "gb"] as const;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100_000 }), fc.constantFrom(...units), (amount, unit) => {
        expect(toBytes(`${amount}${unit}`)).toBe(amount * 1_024 ** units.indexOf(unit));
      }),
    );
  });
});
