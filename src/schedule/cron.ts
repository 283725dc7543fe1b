import { CronDate, CronPattern } from "croner";
import type { EpochMs } from "../base/clock.ts";
import { InvalidArgumentError, InvalidCronError, NoSlotError } from "../base/errors.ts";
import { readFields, show } from "./given.ts";
import { interned } from "./interned.ts";
import { nextMoment, type WallTimes } from "./wall-times.ts";
import { readTimezone } from "./zone.ts";

/** Whenever clocks show what a cron expression describes. */
export interface CronTrigger {
  readonly type: "cron";
  readonly expression: string;
  readonly timezone?: string;
}

export interface CronOptions {
  /** IANA name of the zone whose clocks count. Default: that of the scheduler, else UTC. */
  readonly timezone?: string | undefined;
}

/**
 * Whenever clocks show what `expression` describes: minute, hour, day of month, month, day of week; with six fields, the
 * second comes first. Fields take `*`, values, lists, ranges `1-5`, steps of `*` and of ranges `10-40/5`, and names of
 * months and days; 0 and 7 are Sunday. The day of month also takes `L` (the last), `15W` (the weekday nearest to the 15th)
 * and `LW`; the day of week `FRI#2` (the second) and `FRI#L` (the last). `@hourly`, `@daily`, `@weekly`, `@monthly` and
 * `@yearly` are known.
 *
 * Where both the day of month and the day of week are other than `*`, a day that fits one of them is enough, as in Vixie
 * cron; `+` before the day of week asks for both: `0 0 13 * +FRI`.
 *
 * Daylight saving: where second, minute and hour are one value each, a time that clocks leap over comes at the moment of
 * the leap, and one that they show twice comes the first time only. All others come whenever clocks show them.
 *
 * @throws InvalidCronError naming the field; NoSlotError when no year has such a day; InvalidArgumentError for the zone.
 */
export const cron = (expression: string, options: CronOptions = {}): CronTrigger =>
  readCron({ ...options, type: "cron", expression }, "cron");

export function readCron(value: unknown, path: string): CronTrigger {
  const { expression, timezone } = readFields(value, path, ["type", "expression", "timezone"]);
  if (typeof expression !== "string" || expression.length > longestExpression) {
    throw new InvalidArgumentError(
      `${path}.expression`,
      `${show(expression)} is not a cron expression: give text of at most ${longestExpression} characters.`,
    );
  }
  const text = expression.trim().split(/\s+/).join(" ");
  check(text, `${path}.expression`);
  return {
    type: "cron",
    expression: text,
    ...readTimezone(timezone, `${path}.timezone`),
  };
}

export const nextCron = ({ expression }: CronTrigger, timezone: string, after: EpochMs): EpochMs | undefined =>
  nextMoment(timesOf(expression), timezone, after);

/** Every value of every field, written out, is shorter. */
const longestExpression = 600;

const fields = ["second", "minute", "hour", "day of month", "month", "day of week"] as const;

const advice: Readonly<Record<(typeof fields)[number], string>> = {
  second: "0 to 59",
  minute: "0 to 59",
  hour: "0 to 23",
  "day of month": "1 to 31, L, LW or 15W",
  month: "1 to 12 or JAN to DEC",
  "day of week": "0 to 7, SUN to SAT, FRI#2 or FRI#L",
};

function check(text: string, path: string): void {
  try {
    timesOf(text);
  } catch (cause) {
    if (cause instanceof NoSlotError) throw new NoSlotError(path, `${show(text)} fits no day of any year.`);
    const parts = text.split(" ");
    if (parts.length !== 5 && parts.length !== 6) {
      throw new InvalidCronError(path, undefined, `${show(text)} has not five fields, nor six with seconds first.`, {
        cause,
      });
    }
    const all = parts.length === 5 ? ["0", ...parts] : parts;
    const index = all.findIndex((part, place) => !isPattern(all.map((_, other) => (other === place ? part : "*"))));
    const field = fields[index];
    const problem =
      field === undefined
        ? `${show(text)} is not a cron expression.`
        : `${show(all[index])} is not a ${field}. Give ${advice[field]}; *, lists 1,2, ranges 1-5, steps */5 or 1-9/2.`;
    throw new InvalidCronError(path, field, problem, { cause });
  }
}

function isPattern(parts: readonly string[]): boolean {
  try {
    return parse(parts.join(" ")).pattern !== "";
  } catch {
    return false;
  }
}

const parse = (text: string): CronPattern => new CronPattern(text, undefined, { mode: "5-or-6-parts" });

// Seven starting days, leap years and others: one of each of the fourteen kinds of years.
const kinds = new Set([2000, 2001, 2002, 2003, 2004, 2005, 2006, 2008, 2009, 2010, 2012, 2016, 2020, 2024]);

// croner looks at the entry of each year that it comes to; past the last entry it would go on to the year 10,000.
const everyKindOfYear = Array.from({ length: 10_000 }, (_, year) => (kinds.has(year) ? 1 : 0));

/**
 * croner walks the calendar, as if there were UTC only; the zone is our part. Its own way through a zone takes ten times
 * as long, and lets a fixed time that is leapt over fall out where the leap ends on another day: 23:30 in
 * America/Nuuk on 30 March 2024, 12:00 in Pacific/Apia on 30 December 2011.
 */
const timesOf = interned(1_000, (text): WallTimes => {
  const pattern = parse(text);
  const next = (wall: number): number | undefined =>
    new CronDate(new Date(wall), 0).increment(pattern, { domAndDow: false }, false)?.getTime();

  // Restricted to a few years, croner notices that there is no such day before it has tried hundreds.
  pattern.starYear = false;
  pattern.year = everyKindOfYear;
  if (next(Date.UTC(2000, 0, 1) - 1) === undefined) throw new NoSlotError("expression", "no year has such a day.");
  pattern.starYear = true;
  // Of 10,000 entries, and not looked at when all years count.
  pattern.year = [];
  return { isFixed: pattern.isFixedTime, next };
});
