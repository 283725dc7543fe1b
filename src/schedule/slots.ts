import type { EpochMs } from "../base/clock.ts";
import { InvalidArgumentError, NoSlotError } from "../base/errors.ts";
import { countEvery } from "./every.ts";
import { nextSlot, type SlotContext, type Trigger } from "./trigger.ts";

/** From when to when a schedule has slots. */
export interface Window {
  readonly createdAt: EpochMs;
  /** No slot before; the first one of an `every` that names no anchor. */
  readonly startAt?: EpochMs | undefined;
  /** No slot after. */
  readonly endAt?: EpochMs | undefined;
  /** The zone of triggers that name none. Default: `"UTC"`. */
  readonly timezone?: string | undefined;
}

export interface SlotCount {
  readonly count: number;
  /** False when there are more: the count was not carried on. */
  readonly isExact: boolean;
}

/** The moments at which a schedule is to run. */
export interface Slots {
  /**
   * The first slot strictly after `after`.
   *
   * @param lastEndedAt when the last run ended; only an `every` with a fixed delay asks.
   */
  next(after: EpochMs, lastEndedAt?: EpochMs): EpochMs | undefined;
  /** How many lie after `after`, up to `to`: of a grid exactly, of others exactly up to `countLimit`. */
  count(after: EpochMs, to: EpochMs): SlotCount;
}

/** How many slots are counted one by one. */
export const countLimit = 1_000;

/**
 * The slots of `trigger` in a window, whose ends are part of it: from `startAt`, and not before the creation, to `endAt`.
 * The moment of an `at` that was past at the creation is the creation.
 */
export function slots(trigger: Trigger, window: Window): Slots {
  const { createdAt, startAt, endAt = Number.POSITIVE_INFINITY, timezone } = window;
  const begin = Math.max(createdAt, startAt ?? createdAt);
  const bound = boundTo(trigger, window);
  // A delay has no grid to come in on: it counts from when the schedule may run.
  const from = bound.type === "every" && bound.mode === "fixed-delay" ? begin : (startAt ?? createdAt);
  const next = (after: EpochMs, lastEndedAt?: EpochMs): EpochMs | undefined => {
    const context: SlotContext = { from, timezone, lastEndedAt };
    const slot = nextSlot(bound, Math.max(after, begin - 1), context);
    return slot === undefined || slot > endAt ? undefined : slot;
  };
  const count = (after: EpochMs, to: EpochMs): SlotCount => {
    if (bound.type === "every" && bound.mode === undefined) {
      return { count: countEvery(bound, Math.max(after, begin - 1), Math.min(to, endAt), { from }), isExact: true };
    }
    const found = slotsBetween({ next }, after, to, countLimit + 1).length;
    return { count: Math.min(found, countLimit), isExact: found <= countLimit };
  };
  return { next, count };
}

function boundTo(trigger: Trigger, { createdAt, startAt }: Window): Trigger {
  if (trigger.type === "at") return { ...trigger, at: Math.max(trigger.at, createdAt) };
  if (trigger.type === "every" && trigger.anchor === undefined && startAt !== undefined) {
    return { ...trigger, immediate: true };
  }
  return trigger;
}

/**
 * The slot to plan first when a schedule is made, or its trigger changed; `undefined` for events only.
 *
 * @throws InvalidArgumentError when the window ends before it starts; NoSlotError when no slot lies in it.
 */
export function firstSlot(trigger: Trigger, window: Window): EpochMs | undefined {
  const { startAt, endAt } = window;
  if (startAt !== undefined && endAt !== undefined && endAt < startAt) {
    throw new InvalidArgumentError("endAt", "is before startAt. Exchange them.");
  }
  if (trigger.type === "onEvent") return undefined;
  const first = slots(trigger, window).next(Number.NEGATIVE_INFINITY);
  if (first === undefined) throw new NoSlotError("trigger", "no slot lies between startAt and endAt.");
  return first;
}

/** The slots after `after`, up to `to`, oldest first: at most `limit` of them. */
export function slotsBetween(plan: Pick<Slots, "next">, after: EpochMs, to: EpochMs, limit: number): EpochMs[] {
  const found: EpochMs[] = [];
  let slot = plan.next(after);
  while (slot !== undefined && slot <= to && found.length < limit) {
    found.push(slot);
    slot = plan.next(slot);
  }
  return found;
}

/** The last slots after `after`, up to `to`, oldest first: at most `limit` of them. Does not walk over those before. */
export function lastSlotsBetween(plan: Pick<Slots, "next">, after: EpochMs, to: EpochMs, limit: number): EpochMs[] {
  const found: EpochMs[] = [];
  let [end, gap] = [to, 1_000];
  while (found.length < limit) {
    const slot = lastSlot(plan, after, end, gap);
    if (slot === undefined) break;
    // Most slots are as far from each other as the two after them.
    gap = Math.max(1, (found.at(-1) ?? slot + gap) - slot);
    end = slot - 1;
    found.push(slot);
  }
  return found.reverse();
}

/** The last slot after `after`, up to `to`; `gap` is a guess how far before `to` it is. */
function lastSlot({ next }: Pick<Slots, "next">, after: EpochMs, to: EpochMs, gap: number): EpochMs | undefined {
  let found: EpochMs | undefined;
  for (let reach = gap; found === undefined; reach *= 2) {
    const slot = next(Math.max(after, to - reach));
    if (slot !== undefined && slot <= to) found = slot;
    else if (to - reach <= after) return undefined;
  }
  for (let end = to; ;) {
    const following = next(found);
    if (following === undefined || following > end) return found;
    const middle = following + Math.floor((end - following) / 2);
    const slot = next(middle - 1);
    if (slot !== undefined && slot <= end) found = slot;
    else [found, end] = [following, middle - 1];
  }
}
