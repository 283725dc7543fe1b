import type { EpochMs } from "../base/clock.ts";
import { InvalidArgumentError } from "../base/errors.ts";
import { show } from "./given.ts";
import { interned } from "./interned.ts";

/**
 * What clocks on the wall show, as the moment at which clocks in UTC show the same. Only `Zone` turns one into a moment.
 */
export type WallMs = number;

export const dayMs = 86_400_000;

/**
 * How far apart two moments may be to look for a change of the offset between them: no zone has changed it twice within
 * six days since 1970, and no change was of more than 24 hours.
 */
export const changeSpanMs = 2 * dayMs;

/** The offsets of a time zone from UTC, as the time zone data of Node.js knows them. */
export class Zone {
  /** Left out for UTC, which needs none. */
  readonly #format: Intl.DateTimeFormat | undefined;

  /** @throws RangeError when there is no zone of this name. */
  constructor(name: string) {
    // The least that brings the offset with it: more fields take more time.
    const format = new Intl.DateTimeFormat("en-US", { timeZone: name, timeZoneName: "longOffset", day: "numeric" });
    this.#format = format.resolvedOptions().timeZone === "UTC" ? undefined : format;
  }

  /** What is added to `moment` to have what clocks show then, in ms. */
  offsetAt(moment: EpochMs): number {
    if (this.#format === undefined) return 0;
    // "1, GMT+02:00", "1, GMT-00:44:30", "1, GMT"
    const text = this.#format.format(moment);
    const start = text.indexOf("GMT") + 3;
    if (start === text.length) return 0;
    const digits = (from: number): number => Number(text.slice(start + from, start + from + 2));
    const seconds = digits(1) * 3_600 + digits(4) * 60 + digits(7);
    return (text[start] === "+" ? seconds : -seconds) * 1_000;
  }

  /** The moment after `from`, up to `to`, at which the offset changes. They are no more than `changeSpanMs` apart. */
  changeBetween(from: EpochMs, to: EpochMs): EpochMs | undefined {
    const offset = this.offsetAt(from);
    if (this.offsetAt(to) === offset) return undefined;
    let [before, after] = [from, to];
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if (this.offsetAt(middle) === offset) before = middle;
      else after = middle;
    }
    return after;
  }

  /** When clocks show `wall` for the first time; where they leap over it, the moment of the leap. */
  firstMomentOf(wall: WallMs): EpochMs {
    const [from, to] = [wall - dayMs, wall + dayMs];
    const [before, after] = [this.offsetAt(from), this.offsetAt(to)];
    if (before === after) return wall - before;
    for (const offset of [Math.max(before, after), Math.min(before, after)]) {
      if (this.offsetAt(wall - offset) === offset) return wall - offset;
    }
    return this.changeBetween(from, to) ?? wall - after;
  }
}

/**
 * The zone of a name.
 *
 * @throws InvalidArgumentError when Node.js knows no zone of this name, or knows it no more.
 */
export const zoneOf = interned(500, (name) => {
  try {
    return new Zone(name);
  } catch (cause) {
    throw new InvalidArgumentError("timezone", `${show(name)} ${advice}`, { cause });
  }
});

const advice = 'is not a time zone. Give a name such as "Europe/Berlin", or "UTC".';

/**
 * `{ timezone }`, as the name was given; nothing where none was.
 *
 * @throws InvalidArgumentError when it names no zone. Offsets such as "+02:00" are no names: not every version of Node.js
 * takes them.
 */
export function readTimezone(value: unknown, path: string): { timezone?: string } {
  if (value === undefined) return {};
  if (typeof value !== "string" || !/^[a-z]/i.test(value))
    throw new InvalidArgumentError(path, `${show(value)} ${advice}`);
  try {
    zoneOf(value);
  } catch (cause) {
    throw new InvalidArgumentError(path, `${show(value)} ${advice}`, { cause });
  }
  return { timezone: value };
}
