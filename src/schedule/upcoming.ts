import type { EpochMs } from "../base/clock.ts";
import { isDelayed, windowOf, type StoredSchedule } from "./schedule.ts";
import { slots, slotsBetween } from "./slots.ts";

/**
 * When a schedule will fire from `now` on, as far as that is known: at most `count` moments, the next first. None while it
 * is paused, for events, and for what is over; of a fixed delay only the next, because all others depend on its runs.
 */
export function upcoming(schedule: StoredSchedule, now: EpochMs, count: number): EpochMs[] {
  const { definition, state } = schedule;
  const { trigger, maxRuns, expiresAt = Number.POSITIVE_INFINITY } = definition;
  if (state.status !== "active" || trigger.type === "onEvent") return [];
  const left = maxRuns === undefined ? count : Math.min(count, Math.max(0, maxRuns - state.runCount));
  const until = expiresAt - 1;
  if (isDelayed(trigger))
    return state.nextSlot === undefined || state.nextSlot > until ? [] : [state.nextSlot].slice(0, left);
  // One that is due now has not fired yet.
  const from = Math.max(now, state.nextSlot ?? now) - 1;
  return slotsBetween(slots(trigger, windowOf(schedule)), from, until, left);
}
