import { describe, expect, test } from "vitest";
import { longestDurationMs, toMs } from "../../src/base/duration.ts";

describe("toMs", () => {
  test.each<[number | string, number]>([
    [0, 0],
    [250, 250],
    [1.6, 2],
    ["250ms", 250],
    ["30s", 30_000],
    ["1.5s", 1_500],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
    ["100", 100],
    ["1 minute", 60_000],
    [longestDurationMs, longestDurationMs],
  ])("%j is %i ms", (duration, ms) => {
    expect(toMs(duration)).toBe(ms);
  });

  test.each<[unknown]>([
    [-1],
    ["-5s"],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [longestDurationMs + 1],
    ["101y"],
    [""],
    ["soon"],
    ["5 parsecs"],
    ["x".repeat(200)],
    [undefined],
    [null],
    [5n],
    [{}],
    [[1]],
  ])("%o is refused", (duration) => {
    expect(() => toMs(duration as number)).toThrow(RangeError);
    expect(() => toMs(duration as number)).toThrow(/is not a length of time: give milliseconds/);
  });
});
