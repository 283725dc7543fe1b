import type { ActorRef, Self } from "../actor/actor.ts";
import type { EpochMs } from "../base/clock.ts";
import { UnknownScheduleError } from "../base/errors.ts";
import type { ResolvedScheduler } from "../config/scheduler-options.ts";
import type { ScheduleId, StoredSchedule } from "../schedule/schedule.ts";
import type { ScheduleQuery } from "../storage/schedule-storage.ts";
import type { Storage } from "../storage/storage.ts";
import type { QueueMessage, SchedulerMessage, SchedulerMode } from "./protocol.ts";

/** Whether schedules fire. Shared by all lives of the actor, and read by whoever wants to know. */
export interface SchedulerCourse {
  mode: SchedulerMode;
  /** Since when it is not stopped. */
  startedAt: EpochMs | undefined;
}

/** What was found to be due when the scheduler started. */
export interface RecoveryReport {
  readonly schedules: number;
  readonly fired: number;
  readonly missed: number;
  readonly skipped: number;
}

/** What the scheduler actor is made with. */
export interface SchedulerParts {
  readonly storage: Storage;
  readonly settings: ResolvedScheduler;
  readonly course: SchedulerCourse;
  readonly queue: () => ActorRef<QueueMessage>;
  /** The version of a task that new tasks are for, as it is defined now. */
  readonly versionOf: (name: string) => string | undefined;
  readonly onError: (scheduleId: ScheduleId, error: unknown) => void;
  readonly onRecovered: (report: RecoveryReport) => void;
}

/** The protocol, and what only this actor tells itself. */
export type Inbox = SchedulerMessage | { readonly type: "wake" };

export interface SchedulerState extends SchedulerParts {
  /** When the next schedule is due; none while nothing is planned. */
  dueAt: EpochMs | undefined;
  /** What was due when it started, until it has caught up. */
  recovery: (RecoveryReport & { readonly startedAt: EpochMs }) | undefined;
}

/** Sleeps until the next schedule is due, or no longer than the clock may be wrong; for good where nothing is planned. */
export async function lookAhead(state: SchedulerState, self: Self<Inbox>): Promise<void> {
  const { schedule } = state.course.mode === "running" ? await state.storage.nextDue() : {};
  state.dueAt = schedule;
  sleep(state, self);
}

export function sleep({ dueAt, settings }: SchedulerState, self: Self<Inbox>): void {
  const at = dueAt === undefined ? undefined : Math.min(dueAt, self.clock.now() + settings.checkIntervalMs);
  if (at === undefined) self.cancelTimer("wake");
  else self.setTimer("wake", at, { type: "wake" });
}

/** @throws UnknownScheduleError. */
export async function scheduleOf({ storage }: SchedulerState, id: ScheduleId): Promise<StoredSchedule> {
  const schedule = await find(storage, { ids: [id] });
  if (schedule === undefined) throw new UnknownScheduleError(id);
  return schedule;
}

/** The first schedule that matches. */
export async function find(
  storage: Storage,
  query: Pick<ScheduleQuery, "ids" | "name">,
): Promise<StoredSchedule | undefined> {
  const { schedules } = await storage.schedules({ ...query, limit: 1 });
  return schedules[0];
}

/** All schedules that match. */
export async function findAll(
  storage: Storage,
  query: Omit<ScheduleQuery, "limit" | "cursor">,
): Promise<StoredSchedule[]> {
  const found: StoredSchedule[] = [];
  for (let cursor: string | undefined, isMore = true; isMore; isMore = cursor !== undefined) {
    const page = await storage.schedules({ ...query, limit: 1_000, ...(cursor === undefined ? {} : { cursor }) });
    found.push(...page.schedules);
    cursor = page.cursor;
  }
  return found;
}
