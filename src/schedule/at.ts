import type { EpochMs } from "../base/clock.ts";
import { InvalidArgumentError } from "../base/errors.ts";
import { readFields, readMoment, show } from "./given.ts";
import { readTimezone, zoneOf } from "./zone.ts";

/** Fires once, at a fixed moment. */
export interface AtTrigger {
  readonly type: "at";
  readonly at: EpochMs;
}

export interface AtOptions {
  /** IANA name of the zone whose clocks show `moment`, where that is text without an offset. */
  readonly timezone?: string | undefined;
}

/**
 * Once, at `moment`: a Date, milliseconds since 1970, or text such as `"2026-07-01T09:00:00Z"`, where `Z`, an offset or
 * the option `timezone` says whose clocks show it. A moment in the past means now.
 *
 * @throws InvalidArgumentError when it is not a moment, or no day of the calendar.
 */
export const at = (moment: Date | EpochMs | string, options: AtOptions = {}): AtTrigger =>
  readAt({ ...options, type: "at", at: moment }, "at");

export function readAt(value: unknown, path: string): AtTrigger {
  const { at: moment, timezone } = readFields(value, path, ["type", "at", "timezone"]);
  const zone = readTimezone(timezone, `${path}.timezone`);
  const epochMs =
    typeof moment === "string" ? readText(moment, zone.timezone, `${path}.at`) : readMoment(moment, `${path}.at`);
  return { type: "at", at: epochMs };
}

function readText(text: string, timezone: string | undefined, path: string): EpochMs {
  const [, date, time, offset] = iso.exec(text) ?? [];
  const wall = Date.parse(`${date}T${time}Z`);
  // Date.parse takes the 31st of every month for a day of the next one.
  if (date === undefined || Number.isNaN(wall) || !new Date(wall).toISOString().startsWith(date)) {
    throw new InvalidArgumentError(path, `${show(text)} is not a moment: give text such as "2026-07-01T09:00:00Z".`);
  }
  if (offset !== undefined) return Date.parse(`${date}T${time}${offset}`);
  if (timezone !== undefined) return zoneOf(timezone).firstMomentOf(wall);
  throw new InvalidArgumentError(
    path,
    `${show(text)} says not whose clocks: append "Z" or "+02:00", or give a timezone.`,
  );
}

const iso =
  /^(\d{4}-\d\d-\d\d)T((?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,3})?)?)(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?$/;

export const nextAt = (trigger: AtTrigger, after: EpochMs): EpochMs | undefined =>
  trigger.at > after ? trigger.at : undefined;
