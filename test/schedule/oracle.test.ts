import { describe, expect, test } from "vitest";
import { cron } from "../../src/schedule/cron.ts";
import { daily } from "../../src/schedule/daily.ts";
import { monthly } from "../../src/schedule/monthly.ts";
import { nextSlot, type Trigger } from "../../src/schedule/trigger.ts";
import { weekly, type Weekday } from "../../src/schedule/weekly.ts";
import {
  changesOf,
  describeCron,
  describeDaily,
  describeMonthly,
  describeWeekly,
  minutesOf,
  slotsOf,
  wallAt,
  type Broken,
  type Described,
} from "../support/schedule-oracle.ts";

/** OMNIQ_TEST_SLOTS=all looks at ten times as many, in some minutes. */
const isEverything = process.env["OMNIQ_TEST_SLOTS"] === "all";
const triggersPerChange = isEverything ? 100 : 10;

const zones = [
  "America/New_York",
  "Europe/Berlin",
  "Australia/Lord_Howe",
  "America/Santiago",
  "Africa/Cairo",
  "Asia/Beirut",
  "Antarctica/Troll",
  "Pacific/Apia",
  "Africa/Casablanca",
  "America/Nuuk",
  "Antarctica/Casey",
  "Asia/Gaza",
];

const hourMs = 3_600_000;

/** Numbers from 0 to `below`, the same ones in every run. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A trigger around the hour at which clocks are changed. */
function aTrigger(pick: (below: number) => number, wall: number): [Trigger, Described] {
  const one = <T>(...values: T[]): T => values[pick(values.length)] as T;
  const date = new Date(wall);
  const hour = (date.getUTCHours() + pick(5) + 22) % 24;
  const minute = one(0, 15, 30, 45, pick(60));
  const time = `${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}`;
  const day = Math.min(31, Math.max(1, date.getUTCDate() - 1 + pick(3)));
  const range = `${Math.min(hour, 20)}-${Math.min(hour, 20) + 3}`;
  const weekday = (date.getUTCDay() + pick(3) + 6) % 7;
  if (pick(10) === 0) {
    const times = [time, one("00:00", "12:00", "23:59", "02:30"), "02:15"];
    return [daily(times), describeDaily(times)];
  }
  if (pick(20) === 0) {
    const days: Weekday[] = [one("saturday", "sunday", "friday"), "thursday"];
    return [weekly({ days, time }), describeWeekly(days, time)];
  }
  if (pick(20) === 0) {
    const days = [day, one(1, 30, 31), one<number | "last">("last", 15)];
    return [monthly({ days, time }), describeMonthly(days, time)];
  }
  const minutes = one(...Array<string>(6).fill(String(minute)), "*", "*/15", "*/30", "0,30", "10-50/20", "7,8,9");
  const hours = one(
    ...Array<string>(6).fill(String(hour)),
    "*",
    "*/2",
    "*/3",
    "1,2",
    `${hour},13`,
    range,
    `${range}/2`,
  );
  const days = one(...Array<string>(8).fill("* * *"), `${day} * *`, `* * ${weekday}`, `${day} * ${weekday}`, "L * *");
  const rare = one(
    days,
    days,
    days,
    `* ${date.getUTCMonth() + 1} *`,
    "* * SUN#L",
    "* * SAT,SUN",
    `${day}W * *`,
    "* * 6#1",
  );
  const expression = `${minutes} ${hours} ${rare}`;
  return [cron(expression), describeCron(expression)];
}

interface Tally {
  cases: number;
  changes: number;
  readonly wrong: string[];
}

/** Compares slots around every change of clocks in a zone. */
function compare(zone: string, from: number, to: number, broken: Broken = {}): Tally {
  const tally: Tally = { cases: 0, changes: 0, wrong: [] };
  for (const change of changesOf(zone, from, to)) {
    tally.changes++;
    const pick = numbersFrom(change / 1_000);
    const [start, end] = [change - 26 * hourMs, change + 26 * hourMs];
    const minutes = minutesOf(zone, start, end);
    for (let index = 0; index < triggersPerChange; index++) {
      const [trigger, described] = aTrigger(pick, wallAt(zone, change - 1));
      const slots = slotsOf(described, minutes, broken);
      // From far away, the way there is another one. What comes before the minutes that were looked at is not known.
      const fromAfar = nextSlot(trigger, change - 30 * 24 * hourMs, { from: 0, timezone: zone });
      tally.cases++;
      if (fromAfar !== undefined && fromAfar > start && fromAfar !== slots[0] && fromAfar <= end) {
        tally.wrong.push(`${zone} ${JSON.stringify(trigger)}: ${fromAfar} from afar, not ${slots[0]}`);
      }
      const near = slots.filter((slot) => Math.abs(slot - change) <= 2 * hourMs).slice(0, 8);
      const anywhere = Array.from({ length: 4 }, () => change + (pick(300) - 150) * 60_000 + pick(60_000));
      for (const after of [start, ...near, ...near.map((slot) => slot - 1), change - 1, change, ...anywhere]) {
        const expected = slots.find((slot) => slot > after);
        const found = nextSlot(trigger, after, { from: 0, timezone: zone });
        tally.cases++;
        const isRight = expected === undefined ? found === undefined || found > end : found === expected;
        if (!isRight) tally.wrong.push(`${zone} ${JSON.stringify(trigger)} after ${after}: ${found}, not ${expected}`);
      }
    }
  }
  return tally;
}

describe("all changes of clocks from 1970 to 2037", { timeout: 1_200_000 }, () => {
  let cases = 0;

  test.each(zones)("in %s, slots are those that looking at every minute finds", (zone) => {
    const tally = compare(zone, 0, Date.UTC(2038, 0, 1));

    expect(tally.wrong).toEqual([]);
    expect(tally.changes).toBeGreaterThan(10);
    cases += tally.cases;
  });

  test("are compared in at least 10,000 cases for each trigger of a change", () => {
    process.stdout.write(`${cases} slots compared\n`);

    expect(cases).toBeGreaterThan(10_000 * triggersPerChange);
  });
});

// What the search for changes rests on. Takes a minute.
test.runIf(isEverything)("no zone puts its clocks twice within two days", { timeout: 1_200_000 }, () => {
  const distances = Intl.supportedValuesOf("timeZone").flatMap((zone) => {
    const changes = changesOf(zone, 0, Date.UTC(2038, 0, 1));
    return changes.map((change, index) => change - (changes[index - 1] ?? 0)).slice(1);
  });

  expect(distances.length).toBeGreaterThan(1_000);
  expect(distances.filter((distance) => distance <= 48 * hourMs)).toEqual([]);
});

test.each<[string, Broken]>([
  ["skipped fixed times that are leapt over", { gap: "skips fixed times" }],
  ["repeated fixed times that are shown twice", { overlap: "repeats fixed times" }],
  ["dropped repeated times of lists, steps and wildcards", { overlap: "drops the second pass" }],
])("an oracle that %s disagrees", (_, broken) => {
  const tally = compare("Europe/Berlin", Date.UTC(2020, 0, 1), Date.UTC(2030, 0, 1), broken);

  expect(tally.wrong).not.toEqual([]);
});
