import type { EpochMs } from "../base/clock.ts";
import { InvalidArgumentError, UnknownOptionError } from "../base/errors.ts";
import { nearest } from "../base/names.ts";

/** What somebody gave for a trigger, by name. `undefined` counts as left out. */
export type Given<Names extends string> = Readonly<Partial<Record<Names, unknown>>>;

/**
 * `value` as an object that has no other fields than `known`. Its values are not checked yet.
 *
 * @throws InvalidArgumentError when it is not a plain object, UnknownOptionError for any other field.
 */
export function readFields<const Names extends string>(
  value: unknown,
  path: string,
  known: readonly Names[],
): Given<Names> {
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Date) {
    throw new InvalidArgumentError(path, `${show(value)} is not a trigger: give an object with ${known.join(", ")}.`);
  }
  for (const [name, one] of Object.entries(value)) {
    if (one !== undefined && !known.includes(name as Names)) {
      throw new UnknownOptionError(`${path}.${name}`, nearest(name, known), known);
    }
  }
  return value as Given<Names>;
}

/** A moment that a Date can hold: a Date, or milliseconds since 1970, in whole milliseconds. */
export function readMoment(value: unknown, path: string): EpochMs {
  const epochMs = value instanceof Date ? value.getTime() : value;
  // 8.64e15 ms is the last moment that a Date can hold. Adding zero turns -0 into 0.
  if (typeof epochMs === "number" && Math.abs(epochMs) <= 8.64e15) return Math.round(epochMs) + 0;
  throw new InvalidArgumentError(path, `${show(value)} is not a valid Date, nor milliseconds since 1970.`);
}

/** A list of 1 to `most` values, each read by `read`. */
export function readList<T>(value: unknown, path: string, most: number, read: (one: unknown, path: string) => T): T[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > most) {
    throw new InvalidArgumentError(path, `${show(value)} is not a list of 1 to ${most}.`);
  }
  return Array.from(value, (one, index) => read(one, `${path}[${index}]`));
}

/** The value as a message shows it: short, and never by calling into it. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value instanceof Date) return "a Date";
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value === "function") return "a function";
  return String(value);
}
