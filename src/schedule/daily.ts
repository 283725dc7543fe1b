import type { EpochMs } from "../base/clock.ts";
import { readFields } from "./given.ts";
import { readTimesOfDay, timesOnDays, type TimeOfDay } from "./time-of-day.ts";
import { nextMoment } from "./wall-times.ts";
import { readTimezone } from "./zone.ts";

/** Every day, at one or more times. */
export interface DailyTrigger {
  readonly type: "daily";
  readonly times: readonly TimeOfDay[];
  readonly timezone?: string;
}

export interface DailyOptions {
  /** IANA name of the zone whose clocks count. Default: that of the scheduler, else UTC. */
  readonly timezone?: string | undefined;
}

/**
 * Every day at each of `times`: `daily(["09:00", "17:30"])`. Each comes once on every day: one that clocks leap over comes
 * at the moment of the leap, one that they show twice comes the first time.
 *
 * @throws InvalidArgumentError when a time is not from `"00:00"` to `"23:59"`, or the zone is not known.
 */
export const daily = (times: TimeOfDay | readonly TimeOfDay[], options: DailyOptions = {}): DailyTrigger =>
  readDaily({ ...options, type: "daily", times: typeof times === "string" ? [times] : times }, "daily");

export function readDaily(value: unknown, path: string): DailyTrigger {
  const { times, timezone } = readFields(value, path, ["type", "times", "timezone"]);
  return {
    type: "daily",
    times: readTimesOfDay(times, `${path}.times`),
    ...readTimezone(timezone, `${path}.timezone`),
  };
}

export const nextDaily = ({ times }: DailyTrigger, timezone: string, after: EpochMs): EpochMs | undefined =>
  nextMoment(
    timesOnDays(times, () => true),
    timezone,
    after,
  );
