import { InvalidArgumentError } from "../base/errors.ts";
import { readList, show } from "./given.ts";
import type { WallTimes } from "./wall-times.ts";
import { dayMs } from "./zone.ts";

/** `"HH:MM"`, from `"00:00"` to `"23:59"`. */
export type TimeOfDay = string;

/** `value` as a time of day, with two digits for the hour: `"9:00"` becomes `"09:00"`. */
export function readTimeOfDay(value: unknown, path: string): TimeOfDay {
  const [, hour = "", minute = ""] = (typeof value === "string" && /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(value)) || [];
  if (hour === "")
    throw new InvalidArgumentError(path, `${show(value)} is not a time of day: give "00:00" to "23:59".`);
  return `${hour.padStart(2, "0")}:${minute}`;
}

/** Distinct times of day, in order. */
export const readTimesOfDay = (value: unknown, path: string): TimeOfDay[] =>
  [...new Set(readList(value, path, minutesOfDay, readTimeOfDay))].sort();

const minutesOfDay = 1_440;

/** `times` of every day that `isDay` takes, which must not refuse 70 days in a row. They are fixed. */
export function timesOnDays(times: readonly TimeOfDay[], isDay: (midnight: Date) => boolean): WallTimes {
  const offsets = times.map((time) => (Number(time.slice(0, 2)) * 60 + Number(time.slice(3))) * 60_000);
  return {
    isFixed: true,
    next(wall) {
      for (let midnight = Math.floor(wall / dayMs) * dayMs; ; midnight += dayMs) {
        if (!isDay(new Date(midnight))) continue;
        const offset = offsets.find((one) => midnight + one > wall);
        if (offset !== undefined) return midnight + offset;
      }
    },
  };
}
