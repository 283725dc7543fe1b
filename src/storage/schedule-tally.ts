import type { EpochMs } from "../base/clock.ts";
import type { ScheduleTotals } from "./schedule-storage.ts";

/** What schedules have done, all together. Never changed, but replaced. */
export interface ScheduleTally extends Pick<ScheduleTotals, "fired" | "missed" | "skipped" | "succeeded" | "failed"> {
  /** Hours since 1970 in which something fired, oldest first, with how often: those that `firedLastDay` may ask for. */
  readonly hours: readonly (readonly [hour: number, fired: number])[];
}

export const noTally: ScheduleTally = Object.freeze({
  fired: 0,
  missed: 0,
  skipped: 0,
  succeeded: 0,
  failed: 0,
  hours: Object.freeze([]),
});

const hourOf = (at: EpochMs): number => Math.floor(at / 3_600_000);

/** The hours of which some part may lie in the last 24. */
const keptHours = 25;

export function tallied(
  tally: ScheduleTally,
  { fired, missed, skipped }: Pick<ScheduleTally, "fired" | "missed" | "skipped">,
  now: EpochMs,
): ScheduleTally {
  return {
    ...tally,
    fired: tally.fired + fired,
    missed: tally.missed + missed,
    skipped: tally.skipped + skipped,
    hours: fired === 0 ? tally.hours : withFired(tally.hours, fired, hourOf(now)),
  };
}

function withFired(hours: ScheduleTally["hours"], fired: number, hour: number): ScheduleTally["hours"] {
  const earlier = hours.filter(([at]) => at > hour - keptHours && at < hour);
  // A clock that was set back makes nothing undone.
  const inHour = hours.reduce((sum, [at, count]) => (at >= hour ? sum + count : sum), fired);
  return [...earlier, [hour, inHour]];
}

export const firedLastDay = ({ hours }: ScheduleTally, now: EpochMs): number =>
  hours.reduce((sum, [hour, fired]) => (hour > hourOf(now) - keptHours ? sum + fired : sum), 0);
