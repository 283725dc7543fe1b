import type { Duration } from "../base/duration.ts";
import type { MissedPolicy } from "../schedule/missed.ts";
import type { MissedOptions } from "../schedule/schedule-options.ts";
import { boolean, duration, group, name, type Complete, type Table } from "./read.ts";
import { missedOptions, timezone } from "./schedule-options.ts";

/** What `open` may say of schedules. */
export interface SchedulerOptions {
  /** Whether schedules fire from the start; otherwise `omniq.scheduler.start()` has them fire. Default `true`. */
  readonly enabled?: boolean | undefined;
  /** IANA name of the zone of schedules that name none. Default `"UTC"`. */
  readonly timezone?: string | undefined;
  /** The longest that a change of the machine's clock goes unnoticed while something is planned. Default 1 s. */
  readonly checkInterval?: Duration | undefined;
  /** What becomes of slots that passed while nothing could run, where a schedule does not say. */
  readonly missed?: MissedOptions | undefined;
  /** The queue of tasks of schedules where neither the schedule nor the task names one. Default `"default"`. */
  readonly queue?: string | undefined;
  /** Whether firings are counted, for `omniq.scheduler.stats()`. Default `true`. */
  readonly metrics?: boolean | undefined;
}

export const schedulerOptions = {
  enabled: {
    type: "boolean",
    default: true,
    description: "Whether schedules fire from the start; otherwise `omniq.scheduler.start()` has them fire.",
    read: boolean,
  },
  timezone: {
    type: "string",
    default: "UTC",
    description: "IANA name of the zone of schedules that name none.",
    read: timezone,
  },
  checkInterval: {
    type: "Duration",
    unit: "ms",
    default: "1s",
    description:
      "The longest that a change of the machine's clock goes unnoticed while something is planned. At least 10.",
    read: duration(10),
  },
  missed: {
    type: "MissedOptions",
    default: {},
    defaultText: "see below",
    description: "What becomes of slots that passed while nothing could run, where a schedule does not say.",
    read: group(missedOptions),
    fields: missedOptions,
  },
  queue: {
    type: "string",
    defaultText: '`"default"`',
    description: "The queue of tasks of schedules where neither the schedule nor the task names one.",
    read: name,
  },
  metrics: {
    type: "boolean",
    default: true,
    description: "Whether firings are counted, for `omniq.scheduler.stats()`.",
    read: boolean,
  },
} satisfies Table<SchedulerOptions>;

export interface ResolvedScheduler {
  readonly enabled: boolean;
  readonly timezone: string;
  readonly checkIntervalMs: number;
  readonly missed: MissedPolicy;
  readonly queue?: string;
  readonly metrics: boolean;
}

export const resolveScheduler = ({ checkInterval, ...same }: Complete<typeof schedulerOptions>): ResolvedScheduler => ({
  ...same,
  checkIntervalMs: checkInterval,
});
