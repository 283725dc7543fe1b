import { describe, expect, test } from "vitest";
import { InvalidArgumentError, NoSlotError } from "../../src/base/errors.ts";
import { at } from "../../src/schedule/at.ts";
import { cron } from "../../src/schedule/cron.ts";
import { every } from "../../src/schedule/every.ts";
import { onEvent } from "../../src/schedule/on-event.ts";
import { countLimit, firstSlot, lastSlotsBetween, slots, slotsBetween } from "../../src/schedule/slots.ts";

const endless = Number.MAX_SAFE_INTEGER;

describe("an interval", () => {
  test("has its first slot one interval after the creation", () => {
    expect(slotsBetween(slots(every(100), { createdAt: 1_050 }), 0, endless, 3)).toEqual([1_150, 1_250, 1_350]);
  });

  test("has its first slot at the start of the schedule", () => {
    const plan = slots(every(100), { createdAt: 0, startAt: 1_050 });

    expect(slotsBetween(plan, 0, endless, 3)).toEqual([1_050, 1_150, 1_250]);
  });

  test("whose start is past stays on the grid of its start", () => {
    expect(slotsBetween(slots(every(100), { createdAt: 1_111, startAt: 50 }), 0, endless, 2)).toEqual([1_150, 1_250]);
  });

  test("that is immediate has its first slot at the creation", () => {
    const plan = slots(every(100, { immediate: true }), { createdAt: 1_050 });

    expect(slotsBetween(plan, 0, endless, 2)).toEqual([1_050, 1_150]);
  });

  test("with an anchor is on the grid of its anchor", () => {
    expect(slotsBetween(slots(every(100, { anchor: 30 }), { createdAt: 1_050 }), 0, endless, 2)).toEqual([
      1_130, 1_230,
    ]);
  });

  test("has no slot before its anchor", () => {
    expect(slots(every(100, { anchor: 5_030 }), { createdAt: 1_050 }).next(0)).toBe(5_030);
  });

  test("that is immediate and has an anchor has a slot beside the grid", () => {
    const plan = slots(every(100, { anchor: 30, immediate: true }), { createdAt: 1_050 });

    expect(slotsBetween(plan, 0, endless, 3)).toEqual([1_050, 1_130, 1_230]);
    expect(plan.count(0, 1_130)).toEqual({ count: 2, isExact: true });
  });

  test("that is immediate and has an anchor to come has its slots once", () => {
    const plan = slots(every(100, { anchor: 5_000, immediate: true }), { createdAt: 1_000 });

    expect(slotsBetween(plan, 0, endless, 3)).toEqual([1_000, 5_000, 5_100]);
    expect(plan.count(0, 5_100)).toEqual({ count: 3, isExact: true });
  });

  test("stays on its grid however late it is asked", () => {
    const plan = slots(every(1_000), { createdAt: 0 });
    let after = 0;
    for (let run = 1; run <= 1_000; run++) {
      const slot = plan.next(after);
      expect(slot).toBe(run * 1_000);
      after = (slot ?? 0) + ((run * 7_919) % 900);
    }
  });
});

describe("a fixed delay", () => {
  const plan = slots(every(100, { mode: "fixed-delay" }), { createdAt: 1_000 });

  test("has its first slot one interval after the creation", () => {
    expect(plan.next(0)).toBe(1_100);
  });

  test("has its next slot one interval after the end of the last run", () => {
    expect(plan.next(1_100, 1_777)).toBe(1_877);
  });

  test("has no next slot while the run goes on", () => {
    expect(plan.next(1_100)).toBeUndefined();
    expect(plan.next(1_877, 1_777)).toBeUndefined();
  });

  test("that is immediate has its first slot at the creation", () => {
    expect(slots(every(100, { mode: "fixed-delay", immediate: true }), { createdAt: 1_000 }).next(0)).toBe(1_000);
  });

  test("starts at the start of the schedule, and at the creation where that is past", () => {
    const trigger = every(100, { mode: "fixed-delay" });

    expect(slots(trigger, { createdAt: 1_000, startAt: 5_000 }).next(0)).toBe(5_000);
    expect(slots(trigger, { createdAt: 1_000, startAt: 5 }).next(0)).toBe(1_000);
  });
});

describe("a window", () => {
  const minutely = cron("* * * * *");

  test("includes both of its ends", () => {
    const plan = slots(minutely, { createdAt: 0, startAt: 120_000, endAt: 240_000 });

    expect(slotsBetween(plan, Number.NEGATIVE_INFINITY, endless, 9)).toEqual([120_000, 180_000, 240_000]);
  });

  test("has no slots before the creation, though its start is earlier", () => {
    expect(slots(minutely, { createdAt: 90_000, startAt: 0 }).next(0)).toBe(120_000);
  });

  test("that ends before it starts is refused", () => {
    expect(() => firstSlot(minutely, { createdAt: 0, startAt: 2, endAt: 1 })).toThrow(InvalidArgumentError);
  });

  test.each([
    ["ends before the creation", minutely, { createdAt: 60_001, endAt: 60_000 }],
    ["ends before the first slot", cron("0 0 1 1 *"), { createdAt: 1, endAt: 86_400_000 }],
    ["starts after the only slot", at(5), { createdAt: 0, startAt: 6 }],
  ])("that %s is refused", (_, trigger, window) => {
    expect(() => firstSlot(trigger, window)).toThrow(NoSlotError);
  });

  test("of an event is not asked for slots", () => {
    expect(firstSlot(onEvent("a"), { createdAt: 0 })).toBeUndefined();
  });
});

describe("a moment", () => {
  test("has one slot", () => {
    const plan = slots(at(500), { createdAt: 100 });

    expect(slotsBetween(plan, 0, endless, 9)).toEqual([500]);
  });

  test("that is past at the creation has its slot then", () => {
    expect(firstSlot(at(5), { createdAt: 100 })).toBe(100);
  });
});

describe("a count", () => {
  const second = 1_000;
  const year = 365 * 86_400 * second;

  test("of a year of seconds on a grid is exact, and takes no walk", () => {
    const plan = slots(every("1s"), { createdAt: 0 });

    expect(plan.count(0, year)).toEqual({ count: 31_536_000, isExact: true });
  });

  test("of a year of seconds of a cron expression stops, and says so", () => {
    const plan = slots(cron("* * * * * *"), { createdAt: 0 });

    expect(plan.count(0, year)).toEqual({ count: countLimit, isExact: false });
    expect(plan.count(0, countLimit * second)).toEqual({ count: countLimit, isExact: true });
  });

  test("ends with the window", () => {
    expect(slots(every(10), { createdAt: 0, endAt: 50 }).count(20, 1_000)).toEqual({ count: 3, isExact: true });
    expect(slots(every(10), { createdAt: 0 }).count(20, 5)).toEqual({ count: 0, isExact: true });
  });
});

describe("the last slots", () => {
  test.each(["* * * * * *", "* * * * *", "*/7 3 * 1 *", "0 0 29 2 *", "30 2 * * *"])(
    "of %s over ten years are found in few steps",
    (expression) => {
      const plan = slots(cron(expression, { timezone: "Europe/Berlin" }), { createdAt: 0 });
      const [from, to] = [Date.UTC(2020, 0, 1), Date.UTC(2030, 0, 1)];
      let steps = 0;
      const counted = { next: (after: number) => (steps++, plan.next(after)) };

      const found = lastSlotsBetween(counted, from, to, 10);

      const first = found[0] ?? 0;
      expect(slotsBetween(plan, first - 1, to, 99)).toEqual(found);
      expect(found.length).toBe(expression === "0 0 29 2 *" ? 3 : 10);
      expect(steps).toBeLessThan(1_000);
    },
  );

  test("are none where there are none", () => {
    expect(lastSlotsBetween(slots(at(5), { createdAt: 0 }), 5, 1_000, 3)).toEqual([]);
    expect(lastSlotsBetween(slots(onEvent("a"), { createdAt: 0 }), 0, 1_000, 3)).toEqual([]);
  });
});
