import { InvalidArgumentError } from "../base/errors.ts";
import type { Backoff } from "../task/retry.ts";
import { readGiven, type Given, type Options } from "./read.ts";
import type { taskOptions } from "./task-options.ts";

/**
 * Options of tasks, checked: lengths and moments are milliseconds. `backoff` speaks for `retryDelay`, too, and `runAt`
 * for `schedule`.
 */
export type TaskChoices = Readonly<Given<typeof taskOptions>>;

/**
 * Checks one layer of options. Those that exclude each other may not both be in it.
 *
 * @param options the part of `taskOptions` that may be given here.
 */
export function readChoices(options: Options, value: unknown, path: string): TaskChoices {
  const given = readGiven(options, value, path) as Given<typeof taskOptions>;
  for (const [one, other] of exclusive) {
    if (given[one] === undefined || given[other] === undefined) continue;
    throw new InvalidArgumentError(`${path}.${other}`, `does not go with "${one}". Give one of them.`);
  }
  if (given.retryDelay !== undefined) given.backoff = fixedBackoff(given.retryDelay);
  if (given.schedule !== undefined) given.runAt = given.schedule;
  return given;
}

const exclusive = [
  ["delay", "runAt"],
  ["delay", "schedule"],
  ["runAt", "schedule"],
  ["retryDelay", "backoff"],
] as const;

const fixedBackoff = (delayMs: number): Backoff => ({ type: "fixed", delayMs, factor: 1, maxMs: delayMs, jitter: 0 });
