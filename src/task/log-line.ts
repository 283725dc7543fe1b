import type { EpochMs } from "../base/clock.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** A line that a handler has logged, kept with its task. */
export interface LogLine {
  readonly attempt: number;
  readonly at: EpochMs;
  readonly level: LogLevel;
  readonly message: string;
  /** Plain JSON data. */
  readonly fields?: Readonly<Record<string, unknown>>;
}
