import type { EpochMs } from "../base/clock.ts";
import { changeSpanMs, zoneOf, type WallMs, type Zone } from "./zone.ts";

/** Times that clocks show, of which each is a slot; in whole seconds. */
export interface WallTimes {
  /** Each is meant to come exactly once: daylight saving moves or repeats none of them. */
  readonly isFixed: boolean;
  /** The first strictly after `wall`; `undefined` when there is none before the year 3000. Asked before it only. */
  next(wall: WallMs): WallMs | undefined;
}

/**
 * The first moment strictly after `after` at which clocks in the zone show one of `times`, from 1970 to 2999.
 *
 * Fixed times that clocks leap over come at the moment of the leap; those that clocks show twice come the first time.
 * Times that are not fixed come whenever clocks show them: not where they are leapt over, twice where they are repeated.
 */
export function nextMoment(times: WallTimes, timezone: string, after: EpochMs): EpochMs | undefined {
  if (after >= end) return undefined;
  const zone = zoneOf(timezone);
  const from = Math.max(Math.floor(after), -1);
  return times.isFixed ? nextFixed(times, zone, from) : nextShown(times, zone, from);
}

const end = Date.UTC(2999, 11, 31);

function nextFixed(times: WallTimes, zone: Zone, after: EpochMs): EpochMs | undefined {
  let wall = times.next(after + zone.offsetAt(after));
  while (wall !== undefined) {
    const moment = zone.firstMomentOf(wall);
    if (moment > after) return moment;
    wall = times.next(wall);
  }
  return undefined;
}

function nextShown(times: WallTimes, zone: Zone, after: EpochMs): EpochMs | undefined {
  let from = after;
  let offset = zone.offsetAt(from);
  let wall = times.next(from + offset);
  while (wall !== undefined) {
    const moment = wall - offset;
    const change = zone.changeBetween(from, Math.min(moment, from + changeSpanMs));
    if (change === undefined && moment <= from + changeSpanMs) return moment;
    // From a change on, what clocks show at it counts as well. With none near, only one close to the moment matters.
    from = change ?? moment - changeSpanMs;
    offset = zone.offsetAt(from);
    wall = times.next(from + offset - 1);
  }
  return undefined;
}
