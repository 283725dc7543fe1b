import type { EpochMs } from "../base/clock.ts";
import { toMs, type Duration } from "../base/duration.ts";
import { InvalidArgumentError } from "../base/errors.ts";
import { readFields, readMoment, show } from "./given.ts";
import { readTimezone } from "./zone.ts";

/** Again and again, one length of time apart. */
export interface EveryTrigger {
  readonly type: "every";
  /** In ms. */
  readonly interval: number;
  /** A moment of the grid, and the first. Left out: the schedule's start, or one interval after its creation. */
  readonly anchor?: EpochMs;
  /** Fires at the schedule's start as well. */
  readonly immediate?: true;
  /** Left out: on a fixed grid. */
  readonly mode?: "fixed-delay";
  readonly timezone?: string;
}

export interface EveryOptions {
  /** The first moment of the grid: a Date, or milliseconds since 1970. Default: one interval after the creation. */
  readonly anchor?: Date | EpochMs | undefined;
  /** Whether to fire when the schedule starts, before the first interval is over. Default: false. */
  readonly immediate?: boolean | undefined;
  /**
   * `"fixed-rate"`: on the grid, however long the runs take. `"fixed-delay"`: one interval after the end of the last run.
   * Default: `"fixed-rate"`.
   */
  readonly mode?: "fixed-rate" | "fixed-delay" | undefined;
  /** Is taken and kept, as by all triggers; a length of time is the same in all zones. */
  readonly timezone?: string | undefined;
}

/** What an `every` has to know of its schedule. */
export interface Course {
  /** When the schedule starts. */
  readonly from: EpochMs;
  /** When the last run ended; left out before there was one. Only `"fixed-delay"` asks. */
  readonly lastEndedAt?: EpochMs | undefined;
}

/**
 * Every `interval`, of 1 ms to 100 years: `every("5m")`. The k-th slot is `anchor + k × interval` exactly, however late
 * or long the runs are. Daylight saving does not matter: a day has 24 hours here; see `daily` for the same time of day.
 *
 * @throws InvalidArgumentError when the interval is no whole number of milliseconds, or the options do not fit.
 */
export const every = (interval: Duration, options: EveryOptions = {}): EveryTrigger =>
  readEvery({ ...options, type: "every", interval }, "every");

export function readEvery(value: unknown, path: string): EveryTrigger {
  const fields = ["type", "interval", "anchor", "immediate", "mode", "timezone"] as const;
  const { interval, anchor, immediate = false, mode = "fixed-rate", timezone } = readFields(value, path, fields);
  if (typeof immediate !== "boolean") {
    throw new InvalidArgumentError(`${path}.immediate`, `${show(immediate)} is not true or false.`);
  }
  if (mode !== "fixed-rate" && mode !== "fixed-delay") {
    throw new InvalidArgumentError(`${path}.mode`, `${show(mode)} is no mode: give "fixed-rate" or "fixed-delay".`);
  }
  if (mode === "fixed-delay" && anchor !== undefined) {
    throw new InvalidArgumentError(`${path}.anchor`, 'does not go with "fixed-delay", which has no grid.');
  }
  return {
    type: "every",
    interval: readInterval(interval, `${path}.interval`),
    ...(anchor === undefined ? {} : { anchor: readMoment(anchor, `${path}.anchor`) }),
    ...(immediate ? { immediate } : {}),
    ...(mode === "fixed-delay" ? { mode } : {}),
    ...readTimezone(timezone, `${path}.timezone`),
  };
}

function readInterval(value: unknown, path: string): number {
  try {
    const interval = toMs(value as Duration);
    if (interval > 0 && (typeof value !== "number" || value === interval)) return interval;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  const advice = 'give whole milliseconds from 1 to 100 years, or text such as "30s", "5m", "2h".';
  throw new InvalidArgumentError(path, `${show(value)} is not an interval: ${advice}`);
}

export function nextEvery(trigger: EveryTrigger, after: EpochMs, { from, lastEndedAt }: Course): EpochMs | undefined {
  const { interval, immediate, mode } = trigger;
  if (mode === "fixed-delay") {
    const slot = lastEndedAt === undefined ? from + (immediate ? 0 : interval) : lastEndedAt + interval;
    return slot > after ? slot : undefined;
  }
  const anchor = anchorOf(trigger, from);
  const slot = anchor + Math.max(0, Math.floor((after - anchor) / interval) + 1) * interval;
  return immediate && from > after ? Math.min(from, slot) : slot;
}

/** How many slots of the grid lie after `after`, up to `to`. */
export function countEvery(trigger: EveryTrigger, after: EpochMs, to: EpochMs, { from }: Course): number {
  const anchor = anchorOf(trigger, from);
  const upTo = (moment: EpochMs): number => Math.max(0, Math.floor((moment - anchor) / trigger.interval) + 1);
  const isOffGrid = from < anchor || (from - anchor) % trigger.interval !== 0;
  const extra = trigger.immediate && isOffGrid && from > after && from <= to ? 1 : 0;
  return Math.max(0, upTo(to) - upTo(after)) + extra;
}

const anchorOf = ({ anchor, immediate, interval }: EveryTrigger, from: EpochMs): EpochMs =>
  anchor ?? (immediate ? from : from + interval);
