import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { at } from "../../src/schedule/at.ts";
import { cron } from "../../src/schedule/cron.ts";
import { daily } from "../../src/schedule/daily.ts";
import { every } from "../../src/schedule/every.ts";
import { missedSlots } from "../../src/schedule/missed.ts";
import { monthly } from "../../src/schedule/monthly.ts";
import { onEvent } from "../../src/schedule/on-event.ts";
import { lastSlotsBetween, slots, slotsBetween } from "../../src/schedule/slots.ts";
import { readTrigger, type Trigger } from "../../src/schedule/trigger.ts";
import { weekly } from "../../src/schedule/weekly.ts";

const dayMs = 86_400_000;
const endless = Number.MAX_SAFE_INTEGER;

const timezone = fc.constantFrom(
  undefined,
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "Pacific/Apia",
  "America/Nuuk",
  "Asia/Kathmandu",
);
const moment = fc.integer({ min: 0, max: Date.UTC(2038, 0, 1) });
const timeOfDay = fc
  .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
  .map(([hour, minute]) => `${hour}:${String(minute).padStart(2, "0")}`);
const weekday = fc.constantFrom("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday");

/** A field of a cron expression. */
const field = (from: number, to: number): fc.Arbitrary<string> => {
  const number = fc.integer({ min: from, max: to });
  return fc.oneof(
    fc.constant("*"),
    number.map(String),
    fc.integer({ min: 1, max: to - from + 1 }).map((step) => `*/${step}`),
    fc.array(number, { minLength: 1, maxLength: 4 }).map((list) => list.join(",")),
    fc.tuple(number, number).map(([one, other]) => `${Math.min(one, other)}-${Math.max(one, other)}`),
  );
};
// Days up to the 28th: every month has them.
const expression = fc
  .tuple(field(0, 59), field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6), fc.boolean())
  .map(([second, ...fields]) => [...(fields.pop() ? [second] : []), ...fields].join(" "));

const cronTrigger = fc.record({ expression, timezone }).map((given) => cron(given.expression, given));
const everyTrigger = fc
  .record({
    interval: fc.integer({ min: 1, max: 400 * dayMs }),
    anchor: fc.option(moment, { nil: undefined }),
    immediate: fc.boolean(),
    timezone,
  })
  .map(({ interval, ...options }) => every(interval, options));
const calendarTrigger: fc.Arbitrary<Trigger> = fc.oneof(
  fc
    .record({ times: fc.array(timeOfDay, { minLength: 1, maxLength: 5 }), timezone })
    .map((given) => daily(given.times, { timezone: given.timezone })),
  fc.record({ days: fc.array(weekday, { minLength: 1, maxLength: 7 }), time: timeOfDay, timezone }).map(weekly),
  fc
    .record({
      days: fc.array(fc.oneof(fc.integer({ min: 1, max: 31 }), fc.constant("last" as const)), {
        minLength: 1,
        maxLength: 5,
      }),
      time: timeOfDay,
      timezone,
    })
    .map(monthly),
);
/** Triggers that come again and again by themselves. */
const recurring = fc.oneof(cronTrigger, everyTrigger, calendarTrigger);
const trigger: fc.Arbitrary<Trigger> = fc.oneof(
  recurring,
  moment.map((one) => at(one)),
  fc.integer({ min: 1, max: 5 * dayMs }).map((interval) => every(interval, { mode: "fixed-delay" })),
  fc.constantFrom("a", "stock.low").map((event) => onEvent(event)),
);

const runs = { numRuns: 300 };

test("a trigger reads back from JSON as an equal one", () => {
  fc.assert(
    fc.property(trigger, (one) => {
      expect(readTrigger(JSON.parse(JSON.stringify(one)))).toEqual(one);
    }),
    runs,
  );
});

describe("the next slot", () => {
  test("is strictly later", () => {
    fc.assert(
      fc.property(trigger, moment, (one, after) => {
        const slot = slots(one, { createdAt: 0 }).next(after);

        expect(slot === undefined || slot > after).toBe(true);
      }),
      runs,
    );
  });

  test("always comes where a trigger recurs", () => {
    fc.assert(
      fc.property(recurring, moment, (one, after) => {
        expect(slots(one, { createdAt: 0 }).next(after)).toBeDefined();
      }),
      runs,
    );
  });

  test("has no slot before it: any moment in between has the same one next", () => {
    fc.assert(
      fc.property(recurring, moment, fc.double({ min: 0, max: 1, noNaN: true }), (one, after, share) => {
        const plan = slots(one, { createdAt: 0 });
        const slot = plan.next(after) ?? 0;
        const between = Math.min(slot - 1, after + Math.floor((slot - after) * share));

        expect(plan.next(between)).toBe(slot);
        expect(plan.next(slot - 1)).toBe(slot);
      }),
      runs,
    );
  });
});

describe("slots between two moments", () => {
  test("are those that asking for the next again and again gives", () => {
    fc.assert(
      fc.property(recurring, moment, fc.integer({ min: 0, max: 60 * dayMs }), (one, from, span) => {
        const plan = slots(one, { createdAt: 0 });
        const listed = slotsBetween(plan, from, from + span, 50);

        const chained: number[] = [];
        for (let slot = plan.next(from); slot !== undefined && chained.length < 50; slot = plan.next(slot)) {
          if (slot > from + span) break;
          chained.push(slot);
        }
        expect(listed).toEqual(chained);
        expect(listed).toEqual([...new Set(listed)].sort((a, b) => a - b));
      }),
      runs,
    );
  });

  test("are the same as those of its parts", () => {
    fc.assert(
      fc.property(
        recurring,
        moment,
        fc.integer({ min: 0, max: dayMs }),
        fc.integer({ min: 0, max: dayMs }),
        (...given) => {
          const [one, from, first, second] = given;
          const plan = slots(one, { createdAt: 0 });
          const [middle, to] = [from + first, from + first + second];
          fc.pre(slotsBetween(plan, from, to, 301).length <= 300);

          expect([...slotsBetween(plan, from, middle, 300), ...slotsBetween(plan, middle, to, 300)]).toEqual(
            slotsBetween(plan, from, to, 300),
          );
        },
      ),
      runs,
    );
  });

  test("end with those that are looked for from the end, and are as many as are counted", () => {
    fc.assert(
      fc.property(recurring, moment, fc.integer({ min: 0, max: dayMs }), (one, from, span) => {
        const plan = slots(one, { createdAt: 0 });
        const all = slotsBetween(plan, from, from + span, 501);
        fc.pre(all.length <= 500);

        expect(lastSlotsBetween(plan, from, from + span, 5)).toEqual(all.slice(-5));
        expect(plan.count(from, from + span)).toEqual({ count: all.length, isExact: true });
      }),
      runs,
    );
  });
});

test("the k-th slot of an interval is its anchor and k intervals", () => {
  const someRuns = fc.integer({ min: 0, max: 1e6 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: dayMs }), moment, someRuns, fc.nat(), (interval, anchor, k, late) => {
      const plan = slots(every(interval, { anchor }), { createdAt: 0 });

      expect(plan.next(anchor + (k - 1) * interval + (late % interval))).toBe(anchor + k * interval);
      expect(plan.count(0, anchor + k * interval)).toEqual({ count: k + (anchor > 0 ? 1 : 0), isExact: true });
    }),
    runs,
  );
});

test("a window keeps the slots that lie in it, and no others", () => {
  fc.assert(
    fc.property(fc.oneof(cronTrigger, calendarTrigger), moment, fc.nat(30 * dayMs), fc.nat(30 * dayMs), (...given) => {
      const [one, createdAt, wait, length] = given;
      const [startAt, endAt] = [createdAt + wait, createdAt + wait + length];

      const inside = slotsBetween(slots(one, { createdAt, startAt, endAt }), 0, endless, 20);

      expect(inside).toEqual(slotsBetween(slots(one, { createdAt: 0 }), startAt - 1, endAt, 20));
    }),
    runs,
  );
});

test("of slots that are due no policy runs one twice, one that is not due, or more than it says", () => {
  const policies = fc.record({
    handling: fc.constantFrom("coalesce" as const, "trigger" as const, "skip" as const),
    threshold: fc.nat(dayMs),
    max: fc.integer({ min: 1, max: 20 }),
  });
  fc.assert(
    fc.property(policies, recurring, moment, fc.nat(3 * dayMs), (policy, one, start, late) => {
      const plan = slots(one, { createdAt: 0 });
      const planned = plan.next(start) ?? 0;
      const now = planned + late;
      const due = slotsBetween(plan, start, now, 501);
      fc.pre(due.length <= 500);

      const overdue = missedSlots(policy, plan, planned, now);

      const most = { coalesce: 1, trigger: policy.max, skip: 0 }[policy.handling];
      const isSingleInTime = due.length === 1 && late <= policy.threshold;
      expect(overdue).toEqual({
        run: isSingleInTime ? due : most === 0 ? [] : due.slice(-most),
        due: { count: due.length, isExact: true },
        missed: { count: due.filter((slot) => now - slot > policy.threshold).length, isExact: true },
        next: plan.next(now),
      });
    }),
    runs,
  );
});
