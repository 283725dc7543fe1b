import { describe, expect, test } from "vitest";
import { InvalidArgumentError, InvalidCronError, NoSlotError, UnknownOptionError } from "../../src/base/errors.ts";
import { at } from "../../src/schedule/at.ts";
import { cron } from "../../src/schedule/cron.ts";
import { daily } from "../../src/schedule/daily.ts";
import { every } from "../../src/schedule/every.ts";
import { monthly } from "../../src/schedule/monthly.ts";
import { onEvent } from "../../src/schedule/on-event.ts";
import { slots, slotsBetween } from "../../src/schedule/slots.ts";
import { nextSlot, readTrigger, type Trigger } from "../../src/schedule/trigger.ts";
import { weekly } from "../../src/schedule/weekly.ts";

/** Calls as JavaScript could make them, without a compiler that objects. */
const loosely = (build: unknown): ((...given: unknown[]) => Trigger) => build as (...given: unknown[]) => Trigger;

function errorOf(act: () => unknown): Error & { path?: string; field?: string } {
  try {
    act();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("nothing was thrown");
}

test.each<[string, Trigger, unknown]>([
  ["cron()", cron(" 0  3 * * * "), { type: "cron", expression: "0 3 * * *" }],
  [
    "cron() in a zone",
    cron("@daily", { timezone: "Asia/Tokyo" }),
    { type: "cron", expression: "@daily", timezone: "Asia/Tokyo" },
  ],
  ["every()", every("5m"), { type: "every", interval: 300_000 }],
  [
    "every() with options",
    every(500, { anchor: new Date(7), immediate: true }),
    { type: "every", interval: 500, anchor: 7, immediate: true },
  ],
  ["every() after a delay", every(500, { mode: "fixed-delay" }), { type: "every", interval: 500, mode: "fixed-delay" }],
  ["every() with defaults", every(1, { immediate: false, mode: "fixed-rate" }), { type: "every", interval: 1 }],
  ["at()", at(new Date(5)), { type: "at", at: 5 }],
  ["at() of text with an offset", at("1970-01-01T02:00:00.005+02:00"), { type: "at", at: 5 }],
  ["at() of text in a zone", at("2026-07-01T09:00", { timezone: "Europe/Berlin" }), at(Date.UTC(2026, 6, 1, 7))],
  ["daily()", daily(["17:00", "9:00", "09:00"]), { type: "daily", times: ["09:00", "17:00"] }],
  ["daily() of one time", daily("00:00"), { type: "daily", times: ["00:00"] }],
  [
    "weekly()",
    weekly({ days: ["sunday", "monday", "sunday"], time: "10:00" }),
    { type: "weekly", days: ["monday", "sunday"], time: "10:00" },
  ],
  [
    "monthly()",
    monthly({ days: ["last", 15, 1, 15], time: "12:00", timezone: "UTC" }),
    { type: "monthly", days: [1, 15, "last"], time: "12:00", timezone: "UTC" },
  ],
  ["onEvent()", onEvent("inventory.low_stock"), { type: "onEvent", event: "inventory.low_stock" }],
])("%s gives plain data that reads as an equal trigger", (_, trigger, data) => {
  expect(trigger).toEqual(data);
  expect(Object.keys(trigger).toSorted()).toEqual(Object.keys(data as object).toSorted());
  expect(readTrigger(JSON.parse(JSON.stringify(trigger)))).toEqual(trigger);
});

describe("cron()", () => {
  test.each([
    ["61 * * * * *", "second"],
    ["60 * * * *", "minute"],
    ["*/61 * * * *", "minute"],
    ["0/5 * * * *", "minute"],
    ["*/0 * * * *", "minute"],
    ["5-1 * * * *", "minute"],
    ["1,,2 * * * *", "minute"],
    ["-1 * * * *", "minute"],
    ["1.5 * * * *", "minute"],
    ["* 24 * * *", "hour"],
    ["0 0 0 * *", "day of month"],
    ["0 0 32 * *", "day of month"],
    ["0 0 L-2 * *", "day of month"],
    ["0 0 * 13 *", "month"],
    ["0 0 * JANUARY *", "month"],
    ["0 0 * * 8", "day of week"],
    ["0 0 * * MONDAY", "day of week"],
    ["0 0 * * FRI#6", "day of week"],
    ["0 0 * * +", "day of week"],
  ])("refuses %s and names the field", (expression, field) => {
    const error = errorOf(() => cron(expression));

    expect(error).toBeInstanceOf(InvalidCronError);
    expect(error).toMatchObject({ code: "INVALID_CRON", path: "cron.expression", field });
    expect(error.message).toContain(`is not a ${field}`);
    expect(error.cause).toBeInstanceOf(Error);
  });

  test.each(["", "* * * *", "0 0 3 * * * 2030", "@reboot", "@every 5m", "2026-01-01T00:00:00", "0 0 1 1 * 2027"])(
    "refuses %j, which is no cron expression",
    (expression) => {
      expect(() => cron(expression)).toThrow(InvalidCronError);
    },
  );

  test.each(["0 0 31 2 *", "0 0 30 FEB *", "0 0 31 4,6,9,11 *", "0 0 29 2 +MON#1", "0 0 31 * +MON#1", "0 0 30W 2 *"])(
    "refuses %s, which never comes",
    (expression) => {
      const error = errorOf(() => cron(expression));

      expect(error).toBeInstanceOf(NoSlotError);
      expect(error).toMatchObject({ code: "NO_SLOT", path: "cron.expression" });
    },
  );

  test.each([undefined, null, 5, ["* * * * *"], "*".repeat(601), `${"1,".repeat(100_000)}1 * * * *`])(
    "refuses what is no text of a sensible length (%#)",
    (expression) => {
      expect(() => loosely(cron)(expression)).toThrow(InvalidArgumentError);
    },
  );

  test("takes every value of every field, written out", () => {
    const all = (from: number, to: number): string =>
      Array.from({ length: to - from + 1 }, (_, index) => String(from + index).padStart(2, "0")).join(",");
    const expression = [all(0, 59), all(0, 59), all(0, 23), all(1, 31), all(1, 12), all(0, 6)].join(" ");

    expect(nextSlot(cron(expression), 0, { from: 0 })).toBe(1_000);
  });

  test("takes seconds first where there are six fields", () => {
    expect(nextSlot(cron("30 0 3 * * *"), 0, { from: 0 })).toBe(3 * 3_600_000 + 30_000);
  });

  test("takes a day that fits one of both fields, and with + only one that fits both", () => {
    const start = Date.UTC(2026, 10, 1);

    expect(nextSlot(cron("0 0 14 * FRI"), start, { from: 0 })).toBe(Date.UTC(2026, 10, 6));
    expect(nextSlot(cron("0 0 13 * +FRI"), start, { from: 0 })).toBe(Date.UTC(2026, 10, 13));
  });
});

describe("every()", () => {
  test.each([0, -1, 1.5, 0.4, Number.NaN, Number.POSITIVE_INFINITY, 1e15, 2 ** 60, "", "0s", "soon", null, undefined])(
    "refuses %j as an interval",
    (interval) => {
      expect(errorOf(() => loosely(every)(interval))).toMatchObject({
        code: "INVALID_ARGUMENT",
        path: "every.interval",
      });
    },
  );

  test.each([
    [{ anchor: "noon" }, "every.anchor"],
    [{ anchor: new Date(Number.NaN) }, "every.anchor"],
    [{ anchor: 8.65e15 }, "every.anchor"],
    [{ immediate: "yes" }, "every.immediate"],
    [{ mode: "fixedDelay" }, "every.mode"],
    [{ mode: "fixed-delay", anchor: 0 }, "every.anchor"],
    [{ timezone: "Mars/Olympus" }, "every.timezone"],
  ])("refuses %j", (options, path) => {
    expect(errorOf(() => loosely(every)("5m", options))).toMatchObject({ code: "INVALID_ARGUMENT", path });
  });
});

describe("at()", () => {
  test.each([
    "2026-02-31T00:00Z",
    "2026-02-29T00:00Z",
    "2026-13-01T00:00Z",
    "2026-01-01T24:00Z",
    "2026-01-01T25:00Z",
    "2026-01-01",
    "tomorrow",
    "2026-01-01T00:00",
    new Date(Number.NaN),
    Number.NaN,
    null,
    undefined,
    {},
  ])("refuses %j", (moment) => {
    expect(errorOf(() => loosely(at)(moment))).toMatchObject({ code: "INVALID_ARGUMENT", path: "at.at" });
  });

  test("takes text that clocks in its zone leap over as the end of the leap", () => {
    expect(at("2026-03-29T02:30", { timezone: "Europe/Berlin" }).at).toBe(Date.UTC(2026, 2, 29, 1));
  });
});

describe("daily(), weekly() and monthly()", () => {
  test.each(["25:00", "24:00", "09:60", "9", "9am", "09:00:00", "", " 9:00", "-1:00", 900, null, undefined])(
    "refuse %j as a time of day",
    (time) => {
      expect(errorOf(() => loosely(daily)([time]))).toMatchObject({ code: "INVALID_ARGUMENT", path: "daily.times[0]" });
      expect(errorOf(() => loosely(weekly)({ days: ["monday"], time }))).toMatchObject({ path: "weekly.time" });
      expect(errorOf(() => loosely(monthly)({ days: [1], time }))).toMatchObject({ path: "monthly.time" });
    },
  );

  test.each([0, 32, 1.5, -1, "first", "1", null, Number.NaN])("refuse %j as a day of a month", (day) => {
    expect(errorOf(() => loosely(monthly)({ days: [1, day], time: "12:00" }))).toMatchObject({
      code: "INVALID_ARGUMENT",
      path: "monthly.days[1]",
    });
  });

  test("refuse a day of the week that is not known, with the nearest one", () => {
    const error = errorOf(() => loosely(weekly)({ days: ["mondya"], time: "12:00" }));

    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", path: "weekly.days[0]" });
    expect(error.message).toContain('Did you mean "monday"?');
  });

  test.each([[[]], ["monday"], [{}], [Array(5_000).fill("09:00")]])("refuse %j where a list is wanted", (list) => {
    expect(() => readTrigger({ type: "daily", times: list })).toThrow(InvalidArgumentError);
    expect(() => readTrigger({ type: "weekly", days: list, time: "12:00" })).toThrow(InvalidArgumentError);
    expect(() => readTrigger({ type: "monthly", days: list, time: "12:00" })).toThrow(InvalidArgumentError);
  });
});

test.each(["Mars/Olympus", "", " ", "+02:00", "Europe/Berlin ", 5, null, {}])(
  "refuse %j as a time zone",
  (timezone) => {
    const builders: [string, () => unknown][] = [
      ["cron", () => loosely(cron)("* * * * *", { timezone })],
      ["every", () => loosely(every)("5m", { timezone })],
      ["at", () => loosely(at)(0, { timezone })],
      ["daily", () => loosely(daily)("09:00", { timezone })],
      ["weekly", () => loosely(weekly)({ days: ["monday"], time: "09:00", timezone })],
      ["monthly", () => loosely(monthly)({ days: [1], time: "09:00", timezone })],
      ["onEvent", () => loosely(onEvent)("a", { timezone })],
    ];
    for (const [name, build] of builders) {
      expect(errorOf(build)).toMatchObject({ code: "INVALID_ARGUMENT", path: `${name}.timezone` });
    }
  },
);

test.each(["", "a".repeat(201), "a\nb", 5, undefined])("onEvent() refuses %j", (event) => {
  expect(errorOf(() => loosely(onEvent)(event))).toMatchObject({ code: "INVALID_ARGUMENT", path: "onEvent.event" });
});

describe("readTrigger()", () => {
  test.each([null, undefined, 5, "0 3 * * *", () => 1])("refuses %j, which is no object", (value) => {
    expect(errorOf(() => readTrigger(value, "options.trigger"))).toMatchObject({
      code: "INVALID_ARGUMENT",
      path: "options.trigger",
    });
  });

  test.each([{}, [], { type: 5 }, { type: "toString" }, { type: "__proto__" }, new Date()])(
    "refuses %j, which has no known type",
    (value) => {
      expect(errorOf(() => readTrigger(value))).toMatchObject({ code: "INVALID_ARGUMENT", path: "trigger.type" });
    },
  );

  test("gives the nearest type to one that is not known", () => {
    expect(errorOf(() => readTrigger({ type: "dayly", times: [] })).message).toContain('Did you mean "daily"?');
  });

  test("refuses a field that is not known, with the nearest one", () => {
    const error = errorOf(() =>
      readTrigger({ type: "cron", expression: "* * * * *", timeZone: "UTC" }, "file.trigger"),
    );

    expect(error).toBeInstanceOf(UnknownOptionError);
    expect(error).toMatchObject({ path: "file.trigger.timeZone" });
    expect(error.message).toContain('Did you mean "timezone"?');
  });

  test("takes a field that is undefined as left out", () => {
    expect(readTrigger({ type: "at", at: 5, timezone: undefined, name: undefined })).toEqual({ type: "at", at: 5 });
  });

  test("names the place of what is wrong inside", () => {
    expect(errorOf(() => readTrigger({ type: "daily", times: ["09:00", "nine"] }, "schedules[3]"))).toMatchObject({
      path: "schedules[3].times[1]",
    });
  });
});

describe("a slot", () => {
  test("follows the default zone where the trigger names none", () => {
    const timezone = "America/New_York";

    expect(nextSlot(daily("09:00"), Date.UTC(2026, 0, 1), { from: 0, timezone })).toBe(Date.UTC(2026, 0, 1, 14));
    expect(nextSlot(daily("09:00"), Date.UTC(2026, 6, 1), { from: 0, timezone })).toBe(Date.UTC(2026, 6, 1, 13));
    expect(nextSlot(daily("09:00", { timezone: "UTC" }), Date.UTC(2026, 6, 1), { from: 0, timezone })).toBe(
      Date.UTC(2026, 6, 1, 9),
    );
  });

  test("of a day comes on every day, whatever clocks do", () => {
    const trigger = daily(["02:30", "23:00"], { timezone: "Europe/Berlin" });
    const spring = slotsBetween(slots(trigger, { createdAt: 0 }), Date.UTC(2026, 2, 28, 20), Date.UTC(2026, 3, 1), 4);
    const autumn = slotsBetween(slots(trigger, { createdAt: 0 }), Date.UTC(2026, 9, 24, 20), Date.UTC(2026, 10, 1), 4);

    expect(spring).toEqual([
      Date.UTC(2026, 2, 28, 22),
      Date.UTC(2026, 2, 29, 1),
      Date.UTC(2026, 2, 29, 21),
      Date.UTC(2026, 2, 30, 0, 30),
    ]);
    expect(autumn).toEqual([
      Date.UTC(2026, 9, 24, 21),
      Date.UTC(2026, 9, 25, 0, 30),
      Date.UTC(2026, 9, 25, 22),
      Date.UTC(2026, 9, 26, 1, 30),
    ]);
  });

  test.each([
    ["30 2 * * *", ["01:00"], ["00:30"]],
    ["0,30 2 * * *", [], ["00:00", "00:30", "01:00", "01:30"]],
    ["*/30 2 * * *", [], ["00:00", "00:30", "01:00", "01:30"]],
    ["0 1-3 * * *", ["00:00", "01:00"], ["23:00", "00:00", "01:00", "02:00"]],
  ])("of %s in Berlin follows the rule for daylight saving", (expression, spring, autumn) => {
    const plan = slots(cron(expression, { timezone: "Europe/Berlin" }), { createdAt: 0 });
    const onDay = (midnight: number, hours: number): string[] =>
      slotsBetween(plan, midnight - 1, midnight + hours * 3_600_000 - 1, 9).map((slot) =>
        new Date(slot).toISOString().slice(11, 16),
      );

    expect(onDay(Date.UTC(2026, 2, 28, 23), 23)).toEqual(spring);
    expect(onDay(Date.UTC(2026, 9, 24, 22), 25)).toEqual(autumn);
  });

  test("of a week comes on its days only, week after week", () => {
    const trigger = weekly({ days: ["monday", "thursday"], time: "10:00" });
    const wednesday = Date.UTC(2026, 10, 18);

    expect(slotsBetween(slots(trigger, { createdAt: 0 }), wednesday, Date.UTC(2027, 0, 1), 3)).toEqual([
      Date.UTC(2026, 10, 19, 10),
      Date.UTC(2026, 10, 23, 10),
      Date.UTC(2026, 10, 26, 10),
    ]);
  });

  test("of a zone that Node.js does not know any more is refused with a code", () => {
    const trigger = { type: "daily", times: ["09:00"], timezone: "Mars/Olympus" } as const;

    expect(errorOf(() => nextSlot(trigger, 0, { from: 0 }))).toMatchObject({
      code: "INVALID_ARGUMENT",
      path: "timezone",
    });
  });

  test("of a month still comes today when its time is later", () => {
    const trigger = monthly({ days: [1, 31], time: "12:00" });

    expect(nextSlot(trigger, Date.UTC(2026, 0, 31, 9), { from: 0 })).toBe(Date.UTC(2026, 0, 31, 12));
    expect(nextSlot(trigger, Date.UTC(2026, 0, 31, 12), { from: 0 })).toBe(Date.UTC(2026, 1, 1, 12));
  });

  test("on the 31st is passed over where a month has none", () => {
    const trigger = monthly({ days: [31], time: "00:00" });

    expect(nextSlot(trigger, Date.UTC(2026, 0, 31), { from: 0 })).toBe(Date.UTC(2026, 2, 31));
  });

  test("on the last of a month comes in every month", () => {
    const trigger = monthly({ days: ["last"], time: "00:00" });

    expect(nextSlot(trigger, Date.UTC(2026, 0, 31), { from: 0 })).toBe(Date.UTC(2026, 1, 28));
    expect(nextSlot(trigger, Date.UTC(2028, 0, 31), { from: 0 })).toBe(Date.UTC(2028, 1, 29));
  });

  test("that clocks leap over to another day comes at the moment of the leap", () => {
    const nuuk = nextSlot(daily("23:30"), Date.UTC(2024, 2, 30, 12), { from: 0, timezone: "America/Nuuk" });
    const apia = nextSlot(cron("0 12 30 12 *"), Date.UTC(2011, 11, 1), { from: 0, timezone: "Pacific/Apia" });

    expect(nuuk).toBe(Date.UTC(2024, 2, 31, 1));
    expect(apia).toBe(Date.UTC(2011, 11, 30, 10));
  });

  test("of a zone whose offset has seconds is found", () => {
    expect(nextSlot(daily("00:00", { timezone: "Africa/Monrovia" }), 0, { from: 0 })).toBe(44 * 60_000 + 30_000);
  });

  test.each([cron("* * * * *"), daily("00:00"), monthly({ days: [31], time: "00:00" })])(
    "of $type lies from 1970 to the year 2999",
    (trigger) => {
      expect(nextSlot(trigger, Number.NEGATIVE_INFINITY, { from: 0 })).toBeGreaterThanOrEqual(0);
      expect(nextSlot(trigger, Date.UTC(2999, 11, 31), { from: 0 })).toBeUndefined();
      expect(nextSlot(trigger, 8.64e15, { from: 0 })).toBeUndefined();
    },
  );

  test("does not come by time where an event is awaited", () => {
    expect(nextSlot(onEvent("a"), 0, { from: 0 })).toBeUndefined();
  });
});

test.each([
  "0 0 29 2 *",
  "0 0 29 2 +MON",
  "0 0 29 2 +MON#5",
  "59 59 23 31 12 *",
  "0 0 31 12 +SUN#5",
  "*/7 2 29 2 +SUN",
  "0 0 31 2 *",
  "0 0 31 * +MON#1",
  "59 59 23 31 * +MON#1",
  "0 0 8-31 * +MON#1,TUE#1,WED#1,THU#1,FRI#1,SAT#1,SUN#1",
  "0 0 30W,31W,30,31 2 +MON#1,TUE#1,WED#1,THU#1,FRI#1,SAT#1,SUN#1",
  `0 0 ${Array.from({ length: 21 }, (_, index) => `${index + 10}W`).join(",")} * +MON#1`,
])("%s takes less than 50 ms to check, and to compute", (expression) => {
  const trigger = { type: "cron", expression, timezone: "Europe/Berlin" } as const;
  const taken = Array.from({ length: 15 }, () => {
    const start = performance.now();
    try {
      readTrigger(trigger);
      nextSlot(trigger, Date.UTC(2096, 2, 1), { from: 0 });
    } catch (error) {
      expect(error).toBeInstanceOf(NoSlotError);
    }
    return performance.now() - start;
  });

  // The least of them: a busy machine slows down any.
  expect(Math.min(...taken)).toBeLessThan(50);
});
