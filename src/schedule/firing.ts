import { createHash } from "node:crypto";
import type { EpochMs } from "../base/clock.ts";
import { bytesToUuid, uuidBytes } from "../base/id.ts";
import type { TaskId } from "../task/task.ts";
import { defaultMissedPolicy, missedSlots, type MissedPolicy } from "./missed.ts";
import {
  isDelayed,
  windowOf,
  type ScheduleId,
  type ScheduleState,
  type ScheduleStatus,
  type StoredSchedule,
} from "./schedule.ts";
import { slots, type Slots } from "./slots.ts";

/** What is to be done about a schedule. */
export interface Plan {
  /** The slots to fire, oldest first. No slot up to the moment of the plan fires after that. */
  readonly slots: readonly EpochMs[];
  /** How many slots were found too late, and do not fire. */
  readonly missed: number;
  /** How many others do not fire: another stands for them, or they were not wanted. */
  readonly skipped: number;
  /** The slot to plan next. */
  readonly nextSlot?: EpochMs;
  /** What it is when that is done and nothing has to wait. */
  readonly status: ScheduleStatus;
}

type Planned = Omit<StoredSchedule, "id">;

/** What to do at `now` about an active or paused schedule that is due. */
export function planFiring(schedule: Planned, now: EpochMs, byDefault: MissedPolicy = defaultMissedPolicy): Plan {
  const { definition, state } = schedule;
  const { trigger, maxRuns } = definition;
  const over = endOf(schedule, now);
  if (over !== undefined) return over;
  const course = slots(trigger, windowOf(schedule));
  if (state.pendingSlot !== undefined) {
    const nextSlot = isDelayed(trigger) ? undefined : course.next(now);
    const skipped = course.count(state.pendingSlot, now).count;
    return { slots: [state.pendingSlot], missed: 0, skipped, ...after(nextSlot, isDelayed(trigger)) };
  }
  const planned = plannedSlot(schedule, course);
  if (planned === undefined) return { ...noFiring, ...after(undefined, trigger.type === "onEvent") };
  const found = missedSlots({ ...byDefault, ...definition.missed }, course, planned, now);
  const due = found.run.slice(0, maxRuns === undefined ? undefined : Math.max(0, maxRuns - state.runCount));
  const left = found.due.count - found.run.length;
  const isLate = found.missed.count > 0;
  // A delay counts from the end of what fires now.
  const waits = isDelayed(trigger) && due.length > 0;
  return {
    slots: due,
    missed: isLate ? left : 0,
    skipped: isLate ? 0 : left,
    ...after(waits ? undefined : found.next, waits),
  };
}

/** What to do at `now` about a schedule that is due, when nothing that was planned up to now is wanted any more. */
export function planSkipping(schedule: Planned, now: EpochMs): Plan {
  const { definition, state } = schedule;
  const { trigger } = definition;
  const over = endOf(schedule, now);
  if (over !== undefined) return over;
  const course = slots(trigger, windowOf(schedule));
  const planned = state.pendingSlot ?? plannedSlot(schedule, course);
  if (planned === undefined) return { ...noFiring, ...after(undefined, trigger.type === "onEvent") };
  if (planned > now) return { ...noFiring, ...after(planned, false) };
  return { ...noFiring, skipped: course.count(planned, now).count + 1, ...after(course.next(now, now), false) };
}

/** What to do at `now` about a schedule whose event has been emitted; `undefined` when it does not want it now. */
export function planEvent({ definition, state }: Planned, now: EpochMs): Plan | undefined {
  const { startAt = now, endAt = now, expiresAt, maxRuns } = definition;
  const isOver = endAt < now || (expiresAt !== undefined && expiresAt <= now);
  if (state.status !== "active" || now < startAt || isOver) return undefined;
  if (maxRuns !== undefined && state.runCount >= maxRuns) return undefined;
  return { ...noFiring, slots: [now], status: "active" };
}

/** What there is left to do about a schedule that is paused, or over. */
function endOf({ definition, state }: Planned, now: EpochMs): Plan | undefined {
  const { trigger, endAt, expiresAt } = definition;
  if (expiresAt !== undefined && expiresAt <= now) return { ...noFiring, status: "expired" };
  if (state.status !== "active") return { ...noFiring, ...nextOf(state.nextSlot), status: state.status };
  if (trigger.type === "onEvent" && endAt !== undefined && endAt < now) return { ...noFiring, status: "completed" };
  return undefined;
}

function plannedSlot({ state, results }: Planned, course: Slots): EpochMs | undefined {
  if (state.nextSlot !== undefined) return state.nextSlot;
  const { lastSlot = Number.NEGATIVE_INFINITY } = state;
  // A task that was deleted has not ended, and one may have ended by a clock that was behind: a delay goes on all the same.
  const lastEndedAt = Math.max(results.lastFinishedAt ?? lastSlot, lastSlot);
  return course.next(lastSlot, lastEndedAt === Number.NEGATIVE_INFINITY ? undefined : lastEndedAt);
}

const noFiring = { slots: [], missed: 0, skipped: 0 } as const;

const nextOf = (nextSlot: EpochMs | undefined): Pick<Plan, "nextSlot"> => (nextSlot === undefined ? {} : { nextSlot });

const after = (nextSlot: EpochMs | undefined, goesOn: boolean): Pick<Plan, "nextSlot" | "status"> => ({
  ...nextOf(nextSlot),
  status: nextSlot === undefined && !goesOn ? "completed" : "active",
});

/**
 * The state of a schedule when its plan was carried out at `now`.
 *
 * @param stored per slot of the plan the task that was stored; `undefined` where the task before had not ended.
 */
export function afterFiring(
  { definition, state }: Pick<StoredSchedule, "definition" | "state">,
  plan: Plan,
  stored: readonly (TaskId | undefined)[],
  now: EpochMs,
): ScheduleState {
  const { pendingSlot: _, nextSlot: __, retryAt: ___, ...rest } = state;
  const blocked = plan.slots.filter((_slot, index) => stored[index] === undefined);
  const pendingSlot = definition.overlap === "coalesce" ? blocked.at(-1) : undefined;
  const lastTaskId = stored.findLast((id) => id !== undefined);
  const runCount = state.runCount + plan.slots.length - blocked.length;
  const isUsedUp = definition.maxRuns !== undefined && runCount >= definition.maxRuns;
  const status = isUsedUp && plan.status === "active" ? "completed" : plan.status;
  const waits = status === "completed" && !isUsedUp && pendingSlot !== undefined;
  const goesOn = status === "active" || status === "paused" || waits;
  return {
    ...rest,
    status: waits ? "active" : status,
    ...(goesOn ? nextOf(plan.nextSlot) : {}),
    ...(goesOn && pendingSlot !== undefined ? { pendingSlot } : {}),
    ...(plan.slots.length + plan.missed + plan.skipped === 0 ? {} : { lastSlot: Math.max(now, state.lastSlot ?? now) }),
    ...(lastTaskId === undefined ? {} : { lastRunAt: now, lastTaskId }),
    runCount,
    missedCount: state.missedCount + plan.missed,
    skippedCount: state.skippedCount + plan.skipped + blocked.length - (pendingSlot === undefined ? 0 : 1),
  };
}

// The first 48 bits of a UUIDv7 are its moment.
const latestSlot = 2 ** 48 - 1;

/**
 * The id of the task of a slot: the same whenever, and wherever, that is worked out. It is the id of the schedule with the
 * moment of the slot, so tasks of one slot lie beside each other, in the order of their schedules, among UUIDv7s.
 */
export function slotTaskId(id: ScheduleId, slot: EpochMs): TaskId {
  const bytes = uuidBytes(id);
  return bytes === undefined ? idFor(`${id} ${slot}`, slot) : bytesToUuid(atMoment(bytes, slot));
}

/** The id of the task of an event that was emitted at `at`. */
export const eventTaskId = (id: ScheduleId, emission: string, at: EpochMs): TaskId => idFor(`${id} ${emission}`, at);

function atMoment(bytes: Buffer, at: EpochMs): Buffer {
  bytes.writeUIntBE(Math.min(Math.max(0, at), latestSlot), 0, 6);
  return bytes;
}

function idFor(text: string, at: EpochMs): TaskId {
  const bytes = atMoment(createHash("sha256").update(text).digest(), at);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return bytesToUuid(bytes);
}
