import type { EpochMs } from "../base/clock.ts";
import type { Plan } from "../schedule/firing.ts";
import type { ScheduleChange, ScheduleId, ScheduleStatus, StoredSchedule } from "../schedule/schedule.ts";
import type { ScheduleEventType } from "../task/event.ts";
import type { TaskError } from "../task/task.ts";
import type { NewTask } from "./storage.ts";

/*
 * What may be changed about schedules, and asked of them: a part of the contract in storage.ts.
 */

/**
 * Stores a schedule, or puts it in the place of the one with its id; what its tasks have become stays. With an `event`,
 * that is kept as well. One that waits for the end of its tasks, of which none is unfinished, is due at once.
 *
 * @throws VersionConflictError when the one with its id does not have the version `ifVersion`; 0 means that there is none.
 *   DuplicateNameError when another has its name.
 */
export interface PutSchedule {
  readonly type: "putSchedule";
  readonly schedule: Omit<StoredSchedule, "results">;
  readonly ifVersion: number;
  /** For its history, of which the newest 1,000 changes are kept. */
  readonly change?: ScheduleChange;
  readonly event?: ScheduleEventType;
  /** When the event happened. Default: `schedule.updatedAt`. */
  readonly now?: EpochMs;
  /** Of the event. */
  readonly error?: TaskError;
}

/** Forgets schedules and their history; their tasks stay. Answers, per id, whether it was there. */
export interface DeleteSchedules {
  readonly type: "deleteSchedules";
  readonly ids: readonly ScheduleId[];
  readonly now: EpochMs;
}

/**
 * Carries plans out: stores tasks of schedules, and the state that follows from it (`afterFiring`), with events. Answers,
 * per firing, with the tasks that were stored; `undefined` for the whole when the schedule is not there in this version,
 * and nothing was done about it. Never refused.
 */
export interface Fire {
  readonly type: "fire";
  readonly now: EpochMs;
  readonly firings: readonly Firing[];
  /** Whether it counts in `scheduleTotals`. */
  readonly isCounted: boolean;
}

export interface Firing {
  readonly id: ScheduleId;
  readonly version: number;
  /** Left out when it is fired by hand: its state stays as it is. */
  readonly plan?: Plan;
  /**
   * One per slot of the plan, in order. One that has its id already is left as it is, and answered with that id. While a
   * task of a schedule that does not overlap has not ended, no other is stored, unless `force`. A queue that is full
   * keeps nothing out: what has passed cannot be asked for again. Where a dedupe key is taken, `return` and `replace` of a
   * waiting task do as they do for `Enqueue`; otherwise nothing is stored for the slot, which then waits for no end.
   */
  readonly tasks: readonly NewTask[];
  readonly force?: boolean;
}

/** Filters are joined by "and". */
export interface ScheduleQuery {
  readonly ids?: readonly ScheduleId[];
  /** One that has this name: there is at most one. */
  readonly name?: string;
  readonly statuses?: readonly ScheduleStatus[];
  /** Of this task. */
  readonly task?: string;
  /** All of them. */
  readonly tags?: readonly string[];
  /** Active ones that fire on this event. */
  readonly event?: string;
  /** At most 1,000. */
  readonly limit: number;
  /** `SchedulePage.cursor` of the page before. */
  readonly cursor?: string;
}

export interface SchedulePage {
  readonly schedules: readonly StoredSchedule[];
  /** Where the next page starts; left out at the end. */
  readonly cursor?: string;
}

/** Counted where `Fire.isCounted`; the ends of tasks where the last firing of their schedule was. */
export interface ScheduleTotals {
  /** Of the schedules that there are, always counted. */
  readonly byStatus: Readonly<Partial<Record<ScheduleStatus, number>>>;
  readonly fired: number;
  readonly missed: number;
  readonly skipped: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Fired in the last 24 hours, to the hour. */
  readonly firedLastDay: number;
}
