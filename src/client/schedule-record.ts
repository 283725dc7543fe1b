import type { EpochMs } from "../base/clock.ts";
import type { MissedPolicy } from "../schedule/missed.ts";
import type {
  ScheduleChange,
  ScheduleDefinition,
  ScheduleId,
  ScheduleResults,
  ScheduledRequest,
  ScheduleStatus as StatusName,
  StoredSchedule,
} from "../schedule/schedule.ts";
import type { Trigger } from "../schedule/trigger.ts";
import { decode } from "../task/codec.ts";
import type { Metadata, TaskId } from "../task/task.ts";

/** What was asked for. Moments are Dates, lengths are milliseconds. */
export interface ScheduleDetails extends Omit<ScheduledRequest, "name" | "version" | "ttlMs"> {
  /** Unique in the store. */
  readonly name: string;
  /** Whose tasks it stores. */
  readonly task: string;
  /** The version of the task that it is for; the highest there is when left out. */
  readonly taskVersion?: string;
  readonly trigger: Trigger;
  /** The arguments, decoded when they are first read. */
  readonly args: readonly unknown[];
  readonly startAt?: Date;
  readonly endAt?: Date;
  readonly maxRuns?: number;
  /** When it expires. */
  readonly expiresAt?: Date;
  /** How long its tasks may wait. */
  readonly taskTtlMs?: number;
  readonly unique: false | "skip" | "coalesce";
  readonly missed?: Partial<MissedPolicy>;
  /** Of a trigger that names none. */
  readonly timezone: string;
  readonly tags: readonly string[];
  readonly metadata: Metadata;
}

/** A schedule as it is stored. */
export interface ScheduleRecord extends ScheduleDetails {
  readonly id: ScheduleId;
  /** From 1, one more with every change of what was asked for. */
  readonly version: number;
  readonly status: StatusName;
  readonly createdAt: Date;
  /** When what was asked for was last changed. */
  readonly updatedAt: Date;
  /** The slot that is planned next; left out for events, and after the last. */
  readonly nextRunAt?: Date;
  /** When it last stored a task. */
  readonly lastRunAt?: Date;
  readonly lastTaskId?: TaskId;
  /** Of the task of it that ended last. */
  readonly lastResult?: "success" | "error" | "cancelled";
  readonly lastFinishedAt?: Date;
  /** Tasks that it has stored; those by hand do not count. */
  readonly runCount: number;
  readonly successCount: number;
  /** Tasks that failed or expired. */
  readonly errorCount: number;
  /** Slots that did not fire because they were found too late. */
  readonly missedCount: number;
  /** Slots that did not fire because the task before had not ended, another stood for them, or the scheduler was paused. */
  readonly skippedCount: number;
  /** Tasks of it that have not ended. */
  readonly unfinished: number;
  /** Whether a task module declares it; `false` when none does any more. Left out for one that was made by a call. */
  readonly declared?: boolean;
}

/** How a schedule is doing. */
export interface ScheduleStatus {
  readonly name: string;
  readonly status: StatusName;
  /** Of its definition. */
  readonly version: number;
  /** When it last stored a task. */
  readonly lastRun: Date | undefined;
  readonly lastResult: "success" | "error" | "cancelled" | undefined;
  readonly nextRun: Date | undefined;
  readonly runCount: number;
  readonly successCount: number;
  readonly errorCount: number;
  /** Of its tasks that succeeded. */
  readonly averageDurationMs: number | undefined;
  readonly missedCount: number;
  readonly skippedCount: number;
  /** Whether a handler for its tasks is defined: otherwise they are parked until one is. */
  readonly isRegistered: boolean;
}

/** A change of a schedule. */
export interface ScheduleHistoryEntry {
  /** That it made. */
  readonly version: number;
  readonly at: Date;
  readonly changelog?: string;
  readonly before: ScheduleDetails;
  readonly after: ScheduleDetails;
}

const date = <K extends string>(key: K, at: EpochMs | undefined): { [P in K]?: Date } =>
  at === undefined ? {} : ({ [key]: new Date(at) } as { [P in K]: Date });

const given = <K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { [P in K]: V });

function detailsOf(definition: ScheduleDefinition): ScheduleDetails {
  const { name, trigger, args, request, startAt, endAt, expiresAt, maxRuns, overlap, missed } = definition;
  const { name: task, version, ttlMs, ...asked } = request;
  let decoded: readonly unknown[] | undefined;
  return {
    ...asked,
    name,
    task,
    ...given("taskVersion", definition.pinsVersion === true ? version : undefined),
    trigger,
    get args() {
      return (decoded ??= decode(args) as readonly unknown[]);
    },
    ...date("startAt", startAt),
    ...date("endAt", endAt),
    ...given("maxRuns", maxRuns),
    ...date("expiresAt", expiresAt),
    ...given("taskTtlMs", ttlMs),
    unique: overlap === "allow" ? false : overlap,
    ...given("missed", missed),
    timezone: definition.timezone,
    tags: definition.tags,
    metadata: definition.metadata,
  };
}

/** @param isDeclared whether a task module declares it. */
export function scheduleRecordOf(schedule: StoredSchedule, isDeclared: (key: string) => boolean): ScheduleRecord {
  const { id, version, createdAt, updatedAt, definition, state, results } = schedule;
  const { nextSlot, lastRunAt, lastTaskId, runCount, missedCount, skippedCount, status } = state;
  const { declared } = definition;
  // Assigned, not spread: arguments are decoded when somebody reads them.
  return Object.assign(detailsOf(definition), {
    id,
    version,
    status,
    createdAt: new Date(createdAt),
    updatedAt: new Date(updatedAt),
    ...date("nextRunAt", nextSlot),
    ...date("lastRunAt", lastRunAt),
    ...given("lastTaskId", lastTaskId),
    ...resultsOf(results),
    runCount,
    missedCount,
    skippedCount,
    ...given("declared", declared === undefined ? undefined : isDeclared(declared)),
  });
}

const resultsOf = ({ lastResult, lastFinishedAt, successCount, errorCount, unfinished }: ScheduleResults) => ({
  ...given("lastResult", lastResult),
  ...date("lastFinishedAt", lastFinishedAt),
  successCount,
  errorCount,
  unfinished,
});

export function scheduleStatusOf(schedule: StoredSchedule, isRegistered: boolean): ScheduleStatus {
  const { version, definition, state, results } = schedule;
  const { status, lastRunAt, nextSlot, runCount, missedCount, skippedCount } = state;
  const { lastResult, successCount, errorCount, totalDurationMs } = results;
  const moment = (at: EpochMs | undefined): Date | undefined => (at === undefined ? undefined : new Date(at));
  return {
    name: definition.name,
    status,
    version,
    lastRun: moment(lastRunAt),
    lastResult,
    nextRun: status === "active" ? moment(nextSlot) : undefined,
    runCount,
    successCount,
    errorCount,
    averageDurationMs: successCount === 0 ? undefined : totalDurationMs / successCount,
    missedCount,
    skippedCount,
    isRegistered,
  };
}

export const historyEntryOf = ({ version, at, changelog, before, after }: ScheduleChange): ScheduleHistoryEntry => ({
  version,
  at: new Date(at),
  ...given("changelog", changelog),
  before: detailsOf(before),
  after: detailsOf(after),
});
