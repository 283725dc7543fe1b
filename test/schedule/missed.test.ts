import { describe, expect, test } from "vitest";
import { at } from "../../src/schedule/at.ts";
import { cron } from "../../src/schedule/cron.ts";
import { every } from "../../src/schedule/every.ts";
import { defaultMissedPolicy, missedSlots, type MissedPolicy } from "../../src/schedule/missed.ts";
import { countLimit, slots } from "../../src/schedule/slots.ts";

const second = 1_000;
const minute = 60 * second;
const exactly = (count: number): unknown => ({ count, isExact: true });
const policy = (handling: MissedPolicy["handling"], max = 10): MissedPolicy => ({
  handling,
  threshold: 5 * minute,
  max,
});
const minutely = slots(every(minute), { createdAt: 0 });

test.each(["coalesce", "trigger", "skip"] as const)("a single slot that is a little late runs under %s", (handling) => {
  const overdue = missedSlots(policy(handling), minutely, 10 * minute, 10 * minute + 30 * second);

  expect(overdue).toEqual({ run: [10 * minute], due: exactly(1), missed: exactly(0), next: 11 * minute });
});

describe("slots of an hour that passed", () => {
  const overdue = (handling: MissedPolicy["handling"], max?: number): unknown =>
    missedSlots(policy(handling, max), minutely, 10 * minute, 70 * minute + 1);
  const reported = { due: exactly(61), missed: exactly(56), next: 71 * minute };

  test("become one under coalesce: the last", () => {
    expect(overdue("coalesce")).toEqual({ ...reported, run: [70 * minute] });
  });

  test("become the last few, oldest first, under trigger", () => {
    expect(overdue("trigger", 3)).toEqual({ ...reported, run: [68 * minute, 69 * minute, 70 * minute] });
  });

  test("all run under trigger where there are no more than the most", () => {
    const all = Array.from({ length: 61 }, (_, index) => (10 + index) * minute);

    expect(overdue("trigger", 61)).toEqual({ ...reported, run: all });
    expect(overdue("trigger", 1_000)).toEqual({ ...reported, run: all });
  });

  test("do not run under skip", () => {
    expect(overdue("skip")).toEqual({ ...reported, run: [] });
  });
});

test("several slots within the threshold obey the policy, and are not missed", () => {
  const now = 12 * minute;

  expect(missedSlots(policy("skip"), minutely, 10 * minute, now)).toMatchObject({ run: [], missed: exactly(0) });
  expect(missedSlots(policy("coalesce"), minutely, 10 * minute, now)).toMatchObject({
    run: [12 * minute],
    due: exactly(3),
    missed: exactly(0),
  });
});

test("a slot is missed when it is late by more than the threshold", () => {
  const hourly = slots(every(60 * minute), { createdAt: 0 });
  const late = (ms: number): unknown => missedSlots(policy("skip"), hourly, 60 * minute, 60 * minute + ms);

  expect(late(5 * minute)).toMatchObject({ run: [60 * minute], missed: exactly(0) });
  expect(late(5 * minute + 1)).toMatchObject({ run: [], missed: exactly(1) });
});

test("a slot that is still to come is left alone", () => {
  expect(missedSlots(defaultMissedPolicy, minutely, 10 * minute, 10 * minute - 1)).toEqual({
    run: [],
    due: exactly(0),
    missed: exactly(0),
    next: 10 * minute,
  });
});

test("a moment that passed runs late, or is reported and never comes again", () => {
  const once = slots(at(minute), { createdAt: 0 });

  expect(missedSlots(policy("coalesce"), once, minute, 60 * minute)).toMatchObject({ run: [minute], next: undefined });
  expect(missedSlots(policy("skip"), once, minute, 60 * minute)).toMatchObject({
    run: [],
    missed: exactly(1),
    next: undefined,
  });
});

test("a slot before the end is run after the end", () => {
  const plan = slots(every(minute), { createdAt: 0, endAt: 5 * minute });

  expect(missedSlots(policy("coalesce"), plan, 4 * minute, 60 * minute)).toEqual({
    run: [5 * minute],
    due: exactly(2),
    missed: exactly(2),
    next: undefined,
  });
});

describe("a fixed delay", () => {
  const plan = slots(every(minute, { mode: "fixed-delay" }), { createdAt: 0 });

  test("has one slot that passed, and no next one before its run ends", () => {
    expect(missedSlots(policy("trigger"), plan, 10 * minute, 60 * minute)).toEqual({
      run: [10 * minute],
      due: exactly(1),
      missed: exactly(1),
      next: undefined,
    });
  });

  test("goes on from now where its slot is skipped", () => {
    expect(missedSlots(policy("skip"), plan, 10 * minute, 60 * minute)).toMatchObject({ run: [], next: 61 * minute });
  });
});

describe("a year of seconds", () => {
  const year = 365 * 86_400 * second;

  test("of a grid is counted exactly", () => {
    const plan = slots(every(second), { createdAt: 0 });

    expect(missedSlots(policy("trigger", 3), plan, second, year)).toEqual({
      run: [year - 2 * second, year - second, year],
      due: exactly(31_536_000),
      missed: exactly(31_536_000 - 301),
      next: year + second,
    });
  });

  test("of a cron expression is counted up to a limit, and takes less than 50 ms", () => {
    const plan = slots(cron("* * * * * *", { timezone: "America/New_York" }), { createdAt: 0 });
    const taken = Array.from({ length: 15 }, () => {
      const start = performance.now();

      expect(missedSlots(policy("trigger", 3), plan, second, year)).toEqual({
        run: [year - 2 * second, year - second, year],
        due: { count: countLimit + 1, isExact: false },
        missed: { count: countLimit + 1, isExact: false },
        next: year + second,
      });
      return performance.now() - start;
    });

    expect(Math.min(...taken)).toBeLessThan(50);
  });
});
