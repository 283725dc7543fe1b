import type { EpochMs } from "../base/clock.ts";
import { InvalidArgumentError, ScheduleEndedError } from "../base/errors.ts";
import { isSame } from "./canonical.ts";
import {
  isDelayed,
  newState,
  windowOf,
  type ScheduleDefinition,
  type ScheduleState,
  type StoredSchedule,
} from "./schedule.ts";
import { firstSlot, slots } from "./slots.ts";

/*
 * What calls make of a schedule. Pure: the moment is given.
 */

/** The state of a schedule that is made now. @throws InvalidArgumentError, NoSlotError, as `firstSlot`. */
export function createdState(definition: ScheduleDefinition, createdAt: EpochMs): ScheduleState {
  checkOverlap(definition);
  return newState(firstSlot(definition.trigger, windowOf({ createdAt, definition })));
}

function checkOverlap({ trigger, overlap }: ScheduleDefinition): void {
  if (overlap !== "coalesce" || trigger.type !== "onEvent") return;
  throw new InvalidArgumentError(
    "unique",
    '"coalesce" does not go with onEvent(): each event is another. Give "skip".',
  );
}

/** The state of a schedule that is paused now; `undefined` when it is not active. */
export function pausedState({ state }: StoredSchedule): ScheduleState | undefined {
  if (state.status !== "active") return undefined;
  const { pendingSlot, retryAt: _, ...rest } = state;
  const skipped = pendingSlot === undefined ? 0 : 1;
  return { ...rest, status: "paused", skippedCount: state.skippedCount + skipped };
}

/**
 * The state of a schedule that goes on now; `undefined` when it is active. What would have fired meanwhile does not.
 *
 * @throws ScheduleEndedError.
 */
export function resumedState(schedule: StoredSchedule, now: EpochMs): ScheduleState | undefined {
  const { id, state } = schedule;
  if (state.status === "active") return undefined;
  if (state.status !== "paused") throw new ScheduleEndedError(id, state.status);
  return goingOn(schedule, now);
}

/** The state of a schedule that is cancelled now; `undefined` when it has been, or has expired. */
export function cancelledState({ state }: StoredSchedule): ScheduleState | undefined {
  if (state.status === "cancelled" || state.status === "expired") return undefined;
  const { nextSlot: _, pendingSlot: __, retryAt: ___, ...rest } = state;
  return { ...rest, status: "cancelled" };
}

/**
 * The schedule, when it is asked to be `definition` from now on. With another trigger or zone it starts anew, with its
 * counters as they are; with another window, it goes on from now; otherwise its slots stay.
 *
 * @param reactivate whether one that is completed may come back.
 * @throws ScheduleEndedError for one that was cancelled or has expired. InvalidArgumentError, NoSlotError as `firstSlot`.
 */
export function changed(
  schedule: StoredSchedule,
  definition: ScheduleDefinition,
  now: EpochMs,
  reactivate = false,
): StoredSchedule {
  const { id, version, definition: before, state } = schedule;
  if (state.status === "cancelled" || state.status === "expired") throw new ScheduleEndedError(id, state.status);
  checkOverlap(definition);
  const isNewTrigger = !isSame(definition.trigger, before.trigger) || definition.timezone !== before.timezone;
  const isNewWindow = definition.startAt !== before.startAt || definition.endAt !== before.endAt;
  const after = { ...schedule, definition: isNewTrigger ? { ...definition, triggerSince: now } : definition };
  // Whatever cannot fire any more is refused, as it is when a schedule is made.
  if (isNewTrigger || isNewWindow) firstSlot(definition.trigger, windowOf(after));
  return {
    ...after,
    version: version + 1,
    updatedAt: now,
    state: changedState(after, now, isNewTrigger || isNewWindow, reactivate),
  };
}

function changedState(
  schedule: StoredSchedule,
  now: EpochMs,
  isReplanned: boolean,
  reactivate: boolean,
): ScheduleState {
  const { definition, state } = schedule;
  const isUsedUp = definition.maxRuns !== undefined && state.runCount >= definition.maxRuns;
  if (state.status === "completed") {
    return reactivate && !isUsedUp ? goingOn(schedule, now) : state;
  }
  if (isUsedUp) return completed(state);
  if (!isReplanned) return state;
  const next = goingOn(schedule, now);
  return state.status === "paused" ? { ...next, status: next.status === "active" ? "paused" : next.status } : next;
}

/** Its state when it goes on at `now`, with the first slot after that. */
function goingOn(schedule: StoredSchedule, now: EpochMs): ScheduleState {
  const { definition, state, results } = schedule;
  const { trigger } = definition;
  const { nextSlot: _, retryAt: __, ...rest } = state;
  const active: ScheduleState = { ...rest, status: "active" };
  if (trigger.type === "onEvent" || (isDelayed(trigger) && results.unfinished > 0)) return active;
  // A trigger that starts now may have a slot now: a moment that is past, or an immediate one.
  const { createdAt } = windowOf(schedule);
  const nextSlot = slots(trigger, windowOf(schedule)).next(createdAt === now ? now - 1 : now, now);
  return nextSlot === undefined ? completed(state) : { ...active, nextSlot };
}

function completed(state: ScheduleState): ScheduleState {
  const { nextSlot: _, pendingSlot: __, retryAt: ___, ...rest } = state;
  return { ...rest, status: "completed" };
}
