import type { Clock } from "../base/clock.ts";
import type { Turns } from "./turns.ts";

/** Everything that actors need from outside. Hand in a virtual clock, seeded turns and seeded chance to replay a run. */
export interface Environment {
  readonly clock: Clock;
  readonly turns: Turns;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly log: Log;
}

/** Where crashes, restarts given up and undelivered messages are reported. Must not throw. */
export interface Log {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
