import type { Duration } from "../base/duration.ts";
import type { CommonOptions } from "../task/definition.ts";
import type { MissedPolicy } from "./missed.ts";
import type { Trigger } from "./trigger.ts";

/** What becomes of slots that passed while nothing could run. */
export interface MissedOptions {
  /** `"coalesce"` (default): the last of them runs. `"trigger"`: the last `max` run, oldest first. `"skip"`: none runs. */
  readonly handling?: MissedPolicy["handling"] | undefined;
  /** From how much lateness on a slot counts as missed; a single one within it always runs. Default 5 min. */
  readonly threshold?: Duration | undefined;
  /** The most that `"trigger"` runs at a time, 1 to 1,000. Default 10. */
  readonly max?: number | undefined;
}

/** Options of tasks that a schedule may give for all of its tasks. */
type TasksOptions = Omit<CommonOptions, "delay" | "ttl" | "onConflict" | "onFull">;

/**
 * Options of a schedule, and of its tasks. What is left out is as the template says, else as the definition of the task
 * and the defaults of its queue say when the schedule is made; what they say later does not change it.
 */
export interface ScheduleOptions<A extends readonly unknown[] = readonly unknown[]> extends TasksOptions {
  /** Unique in the store: 1 to 200 bytes. Default: the name of the task, with something random. */
  readonly name?: string | undefined;
  /** Arguments of its tasks. Default: none. */
  readonly args?: A | undefined;
  /** No slot before; an `every` without an anchor has its first slot then. Default: the creation. */
  readonly startAt?: Date | number | undefined;
  /** No slot after. Then it is `completed`. */
  readonly endAt?: Date | number | undefined;
  /** How often it fires, until it is `completed`. Firing by hand does not count. */
  readonly maxRuns?: number | undefined;
  /** How long after its creation it is `expired`. Its tasks that are stored stay. */
  readonly ttl?: Duration | undefined;
  /** A task of it expires when it has not started this long after it was stored. Default: as the task's `ttl`. */
  readonly taskTtl?: Duration | undefined;
  /**
   * Whether it stores no task while one of it has not ended: `true` or `"skip"` leaves that slot out, `"coalesce"` makes
   * up for all that were left out with one, right after the end. Default `false`; `true` for declared ones.
   */
  readonly unique?: boolean | "skip" | "coalesce" | undefined;
  /** Where it differs from the scheduler's `missed`. */
  readonly missed?: MissedOptions | undefined;
  /** IANA name of the zone of a trigger that names none. Default: that of the scheduler. */
  readonly timezone?: string | undefined;
  /** Options to start from, see `template()`. */
  readonly template?: ScheduleTemplate | undefined;
  /**
   * Whether a schedule of this name is changed to this one where there is one: a new version if anything differs, and its
   * next slot stays unless the trigger or its window differs. One that was cancelled or has expired stays so.
   */
  readonly upsert?: boolean | undefined;
  /** What to do with an `at` whose moment is past: fire at once (default), or refuse it with NoSlotError. */
  readonly ifPast?: "run" | "error" | undefined;
}

/** Options that several schedules share. */
export interface ScheduleTemplate extends Omit<ScheduleOptions, "name" | "template"> {
  readonly trigger?: Trigger | undefined;
}

/**
 * What `update` changes about a schedule; what is left out stays. `null` takes something away. Another trigger or timezone
 * has its slots counted from now on, as if the schedule were new; the counters stay.
 */
export type ScheduleUpdate<A extends readonly unknown[] = readonly unknown[]> = Omit<
  ScheduleOptions<A>,
  "template" | "upsert" | "ifPast" | Removable
> & { readonly [K in Removable]?: ScheduleOptions[K] | null } & {
  /** A trigger, or a cron expression. */
  readonly trigger?: Trigger | string | undefined;
};

type Removable = "startAt" | "endAt" | "maxRuns" | "ttl" | "taskTtl" | "missed" | "timeout" | "stallTimeout";
