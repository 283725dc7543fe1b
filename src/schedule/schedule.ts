import type { EpochMs } from "../base/clock.ts";
import type { Metadata, Payload, TaskId, TaskRequest } from "../task/task.ts";
import type { MissedPolicy } from "./missed.ts";
import type { Window } from "./slots.ts";
import type { Trigger } from "./trigger.ts";

/** Unique for the life of a store: a UUIDv7. */
export type ScheduleId = string;

/**
 * `active` schedules have slots to come, or wait for events. `paused`: not for now; what passes meanwhile is not missed.
 * `completed`: no slot is left, or `maxRuns` is reached. `cancelled`: by a caller, for good. `expired`: its `ttl` is over.
 */
export type ScheduleStatus = "active" | "paused" | "completed" | "cancelled" | "expired";

/** Which status may follow which. A new trigger, `endAt` or `maxRuns` brings a completed one back when asked for. */
export const scheduleMoves: { readonly [From in ScheduleStatus]: readonly ScheduleStatus[] } = Object.freeze({
  active: ["paused", "completed", "cancelled", "expired"],
  paused: ["active", "completed", "cancelled", "expired"],
  completed: ["active", "cancelled"],
  cancelled: [],
  expired: [],
});

/** What a firing does while a task of the schedule has not ended. */
export type Overlap = "allow" | "skip" | "coalesce";

/** What its tasks are asked to be: everything of a request that does not depend on the moment. */
export interface ScheduledRequest extends Omit<
  TaskRequest,
  "createdAt" | "runAt" | "expiresAt" | "schedule" | "tags" | "metadata"
> {
  /** How long a task of it may wait before it expires. */
  readonly ttlMs?: number;
}

/** What was asked for. A change makes a new version. */
export interface ScheduleDefinition {
  /** Unique in the store. */
  readonly name: string;
  readonly trigger: Trigger;
  readonly request: ScheduledRequest;
  /** Its tasks are for `request.version`, whatever else is defined; otherwise for the highest version there is then. */
  readonly pinsVersion?: boolean;
  readonly args: Payload;
  /** No slot before, or after. */
  readonly startAt?: EpochMs;
  readonly endAt?: EpochMs;
  /** Firings; those by hand do not count. */
  readonly maxRuns?: number;
  /** Expires then. */
  readonly expiresAt?: EpochMs;
  readonly overlap: Overlap;
  /** Where it differs from the scheduler's. */
  readonly missed?: Partial<MissedPolicy>;
  /** The zone of a trigger that names none, as it was when the schedule was made. */
  readonly timezone: string;
  /** When its trigger was last changed: slots count from there, as from a creation. The creation when left out. */
  readonly triggerSince?: EpochMs;
  /** Its own, and of its tasks. */
  readonly tags: readonly string[];
  readonly metadata: Metadata;
  /** Declared in a task module, under this key: stays one schedule over restarts. */
  readonly declared?: string;
}

/** How far a schedule has come. */
export interface ScheduleState {
  readonly status: ScheduleStatus;
  /** The slot that is planned next; none for events, after the last one, and while a fixed delay waits for an end. */
  readonly nextSlot?: EpochMs;
  /** A slot that waits until the task before it has ended. */
  readonly pendingSlot?: EpochMs;
  /** What to do about it could not be worked out: it is looked at again then. */
  readonly retryAt?: EpochMs;
  /** No slot up to this one fires any more: it has fired, was skipped or was missed. */
  readonly lastSlot?: EpochMs;
  /** When it last stored a task, by itself. */
  readonly lastRunAt?: EpochMs;
  readonly lastTaskId?: TaskId;
  /** Tasks that it has stored by itself. */
  readonly runCount: number;
  /** Slots that did not fire because they were found too late. */
  readonly missedCount: number;
  /**
   * Slots that did not fire because the task before had not ended, because a later one stood for them, or because the
   * scheduler was paused.
   */
  readonly skippedCount: number;
}

/** What has become of its tasks, those by hand included. Kept apart, because it changes with their ends. */
export interface ScheduleResults {
  /** Tasks of it that have not ended. */
  readonly unfinished: number;
  readonly successCount: number;
  /** Failed and expired. */
  readonly errorCount: number;
  /** Of those that succeeded. */
  readonly totalDurationMs: number;
  readonly lastResult?: "success" | "error" | "cancelled";
  /** When one of them last ended. */
  readonly lastFinishedAt?: EpochMs;
}

/** A schedule as a storage gives it back. */
export interface StoredSchedule {
  readonly id: ScheduleId;
  /** From 1, one more with every change of the definition. */
  readonly version: number;
  readonly createdAt: EpochMs;
  readonly updatedAt: EpochMs;
  readonly definition: ScheduleDefinition;
  readonly state: ScheduleState;
  readonly results: ScheduleResults;
}

/** A change of a definition, for the history. */
export interface ScheduleChange {
  /** The version that it made. */
  readonly version: number;
  readonly at: EpochMs;
  readonly changelog?: string;
  readonly before: ScheduleDefinition;
  readonly after: ScheduleDefinition;
}

export const newState = (nextSlot: EpochMs | undefined): ScheduleState => ({
  status: "active",
  ...(nextSlot === undefined ? {} : { nextSlot }),
  runCount: 0,
  missedCount: 0,
  skippedCount: 0,
});

export const noResults: ScheduleResults = Object.freeze({
  unfinished: 0,
  successCount: 0,
  errorCount: 0,
  totalDurationMs: 0,
});

/** Whether the end of its task is what it waits for. */
export const awaitsEnd = ({ definition: { trigger }, state }: Pick<StoredSchedule, "definition" | "state">): boolean =>
  state.status === "active" &&
  state.retryAt === undefined &&
  (state.pendingSlot !== undefined || (isDelayed(trigger) && state.nextSlot === undefined));

/** From when to when it has slots. */
export const windowOf = ({ createdAt, definition }: Pick<StoredSchedule, "createdAt" | "definition">): Window => {
  const { triggerSince = createdAt, startAt, endAt, timezone } = definition;
  return { createdAt: triggerSince, startAt, endAt, timezone };
};

/** Whether its slots count from the ends of its runs. */
export const isDelayed = (trigger: Trigger): boolean => trigger.type === "every" && trigger.mode === "fixed-delay";

/** When the scheduler has something to do about it; `undefined` while only a call, an event or an end can change that. */
export function dueAt({ definition, state }: Pick<StoredSchedule, "definition" | "state">): EpochMs | undefined {
  const { expiresAt } = definition;
  if (state.status !== "active") return state.status === "paused" ? expiresAt : undefined;
  const next = state.retryAt ?? nextWork(definition, state);
  return expiresAt === undefined ? next : Math.min(expiresAt, next ?? expiresAt);
}

function nextWork({ trigger, endAt }: ScheduleDefinition, state: ScheduleState): EpochMs | undefined {
  // Until the task before has ended, which makes it due at once, there is nothing to be done about slots.
  if (state.pendingSlot !== undefined) return undefined;
  // One that waits for events has no last slot to be completed with.
  return trigger.type === "onEvent" && endAt !== undefined ? endAt + 1 : state.nextSlot;
}
