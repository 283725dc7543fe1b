import ms from "ms";

/** A length of time: milliseconds, or text such as `"250ms"`, `"30s"`, `"5m"`, `"2h"`, `"1d"`. */
export type Duration = number | string;

/** The longest length of time that is accepted: 100 years. */
export const longestDurationMs = 100 * 365.25 * 86_400_000;

/**
 * `duration` in whole milliseconds.
 *
 * @throws RangeError when it is not a length of time, is negative or exceeds 100 years.
 */
export function toMs(duration: Duration): number {
  const value = typeof duration === "string" ? parse(duration) : duration;
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0 || value > longestDurationMs) {
    throw new RangeError(
      `${describe(duration)} is not a length of time: give milliseconds from 0 to 100 years, or text such as "30s", "5m", "2h".`,
    );
  }
  return Math.round(value);
}

function parse(text: string): number | undefined {
  // ms() throws on empty and over-long text, and gives undefined or NaN for what it cannot read.
  return text.length > 0 && text.length <= 100 ? ms(text as ms.StringValue) : undefined;
}

const describe = (value: unknown): string =>
  typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : String(value);
