import type { EpochMs } from "../base/clock.ts";
import { InvalidArgumentError } from "../base/errors.ts";
import { readFields, readList, show } from "./given.ts";
import { readTimeOfDay, timesOnDays, type TimeOfDay } from "./time-of-day.ts";
import { nextMoment } from "./wall-times.ts";
import { dayMs, readTimezone } from "./zone.ts";

/** 1 to 31, or the last of the month. */
export type MonthDay = number | "last";

/** On some days of every month, at one time. */
export interface MonthlyTrigger {
  readonly type: "monthly";
  readonly days: readonly MonthDay[];
  readonly time: TimeOfDay;
  readonly timezone?: string;
}

export interface MonthlyOptions {
  readonly days: readonly MonthDay[];
  /** `"HH:MM"`. */
  readonly time: TimeOfDay;
  /** IANA name of the zone whose clocks count. Default: that of the scheduler, else UTC. */
  readonly timezone?: string | undefined;
}

/**
 * On `days` of every month at `time`: `monthly({ days: [1, 15, "last"], time: "12:00" })`. A month that has no such day
 * is passed over: 31 comes seven times a year, `"last"` twelve times. Daylight saving as for `daily`.
 *
 * @throws InvalidArgumentError when a day, the time or the zone is not known.
 */
export const monthly = (options: MonthlyOptions): MonthlyTrigger =>
  readMonthly({ ...options, type: "monthly" }, "monthly");

export function readMonthly(value: unknown, path: string): MonthlyTrigger {
  const { days, time, timezone } = readFields(value, path, ["type", "days", "time", "timezone"]);
  const given = new Set(readList(days, `${path}.days`, 32, readMonthDay));
  return {
    type: "monthly",
    days: [...given].sort((one, other) => (one === "last" ? 32 : one) - (other === "last" ? 32 : other)),
    time: readTimeOfDay(time, `${path}.time`),
    ...readTimezone(timezone, `${path}.timezone`),
  };
}

function readMonthDay(value: unknown, path: string): MonthDay {
  if (value === "last" || (Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 31)) {
    return value as MonthDay;
  }
  throw new InvalidArgumentError(path, `${show(value)} is not a day of a month: give 1 to 31, or "last".`);
}

export function nextMonthly({ days, time }: MonthlyTrigger, timezone: string, after: EpochMs): EpochMs | undefined {
  const isLast = (midnight: Date): boolean => new Date(midnight.getTime() + dayMs).getUTCDate() === 1;
  const isDay = (midnight: Date): boolean =>
    days.includes(midnight.getUTCDate()) || (days.includes("last") && isLast(midnight));
  return nextMoment(timesOnDays([time], isDay), timezone, after);
}
