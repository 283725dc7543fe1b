import type { EpochMs } from "../base/clock.ts";
import { InvalidArgumentError } from "../base/errors.ts";

/** Fires once, at a fixed moment. */
export interface AtTrigger {
  readonly type: "at";
  readonly at: EpochMs;
}

/**
 * Once, at `moment`: a Date, or milliseconds since 1970. A moment in the past means now.
 *
 * @throws InvalidArgumentError when it is not a moment.
 */
export function at(moment: Date | EpochMs): AtTrigger {
  const epochMs = Number(moment);
  if (!(moment instanceof Date || typeof moment === "number") || Number.isNaN(new Date(epochMs).getTime())) {
    throw new InvalidArgumentError("at(moment)", "give a valid Date, or milliseconds since 1970.");
  }
  return { type: "at", at: Math.round(epochMs) };
}
