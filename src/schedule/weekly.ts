import type { EpochMs } from "../base/clock.ts";
import { InvalidArgumentError } from "../base/errors.ts";
import { nearest } from "../base/names.ts";
import { readFields, readList, show } from "./given.ts";
import { readTimeOfDay, timesOnDays, type TimeOfDay } from "./time-of-day.ts";
import { nextMoment } from "./wall-times.ts";
import { readTimezone } from "./zone.ts";

const weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] as const;

export type Weekday = (typeof weekdays)[number];

/** On some days of every week, at one time. */
export interface WeeklyTrigger {
  readonly type: "weekly";
  readonly days: readonly Weekday[];
  readonly time: TimeOfDay;
  readonly timezone?: string;
}

export interface WeeklyOptions {
  readonly days: readonly Weekday[];
  /** `"HH:MM"`. */
  readonly time: TimeOfDay;
  /** IANA name of the zone whose clocks count. Default: that of the scheduler, else UTC. */
  readonly timezone?: string | undefined;
}

/**
 * On `days` of every week at `time`: `weekly({ days: ["monday", "thursday"], time: "10:00" })`. Daylight saving as for
 * `daily`.
 *
 * @throws InvalidArgumentError when a day, the time or the zone is not known.
 */
export const weekly = (options: WeeklyOptions): WeeklyTrigger => readWeekly({ ...options, type: "weekly" }, "weekly");

export function readWeekly(value: unknown, path: string): WeeklyTrigger {
  const { days, time, timezone } = readFields(value, path, ["type", "days", "time", "timezone"]);
  const given = readList(days, `${path}.days`, weekdays.length, readWeekday);
  return {
    type: "weekly",
    days: weekdays.filter((day) => given.includes(day)),
    time: readTimeOfDay(time, `${path}.time`),
    ...readTimezone(timezone, `${path}.timezone`),
  };
}

function readWeekday(value: unknown, path: string): Weekday {
  const weekday = weekdays.find((known) => known === value);
  if (weekday !== undefined) return weekday;
  const meant = typeof value === "string" ? nearest(value.slice(0, 20), weekdays) : undefined;
  const advice = meant === undefined ? `Give ${weekdays.join(", ")}.` : `Did you mean "${meant}"?`;
  throw new InvalidArgumentError(path, `${show(value)} is not a day of the week. ${advice}`);
}

export function nextWeekly({ days, time }: WeeklyTrigger, timezone: string, after: EpochMs): EpochMs | undefined {
  // Date counts from Sunday.
  const isDay = (midnight: Date): boolean =>
    days.some((day) => (weekdays.indexOf(day) + 1) % 7 === midnight.getUTCDay());
  return nextMoment(timesOnDays([time], isDay), timezone, after);
}
