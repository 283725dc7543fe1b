import type { EpochMs } from "../base/clock.ts";
import { lastSlotsBetween, type SlotCount, type Slots } from "./slots.ts";

/** What becomes of slots that passed while nothing could run. */
export interface MissedPolicy {
  /** `"coalesce"`: the last of them runs. `"trigger"`: the last `max` of them run. `"skip"`: none runs. */
  readonly handling: "coalesce" | "trigger" | "skip";
  /** From how much lateness on a slot counts as missed, in ms. */
  readonly threshold: number;
  /** The most that `"trigger"` runs at a time, up to 1,000. */
  readonly max: number;
}

export const defaultMissedPolicy: MissedPolicy = { handling: "coalesce", threshold: 300_000, max: 10 };

/** What to do with the slots that are due, and what to report. */
export interface Overdue {
  /** The slots to run, oldest first. */
  readonly run: readonly EpochMs[];
  /** All slots that were due; those of `run` among them. */
  readonly due: SlotCount;
  /** Those that were late by more than the threshold. */
  readonly missed: SlotCount;
  /** The slot to plan next. */
  readonly next: EpochMs | undefined;
}

/**
 * Decides at `now` about `planned`, a slot that has not run yet, and all slots after it that are due by now.
 *
 * A single one that is not missed runs, whatever the policy. Otherwise the policy decides about all of them, missed or
 * not: so a stall and a restart have the same effect, and no slot runs a second time.
 */
export function missedSlots(policy: MissedPolicy, slots: Slots, planned: EpochMs, now: EpochMs): Overdue {
  const none: SlotCount = { count: 0, isExact: true };
  if (planned > now) return { run: [], due: none, missed: none, next: planned };

  const due = withPlanned(slots.count(planned, now));
  const lastMissed = now - policy.threshold - 1;
  const missed = planned <= lastMissed ? withPlanned(slots.count(planned, lastMissed)) : none;
  const isInTime = due.count === 1 && missed.count === 0;
  const most = isInTime || policy.handling === "coalesce" ? 1 : policy.handling === "trigger" ? policy.max : 0;
  const later = most === 0 ? [] : lastSlotsBetween(slots, planned, now, most);
  const run = later.length < most ? [planned, ...later] : later;
  // What does not run does not end: a delay goes on from now.
  return { run, due, missed, next: run.length === 0 ? slots.next(now, now) : slots.next(now) };
}

const withPlanned = ({ count, isExact }: SlotCount): SlotCount => ({ count: count + 1, isExact });
