import fc from "fast-check";
import { planFiring, type Plan } from "../../../src/schedule/firing.ts";
import {
  newState,
  type Overlap,
  type ScheduleId,
  type ScheduleStatus,
  type StoredSchedule,
} from "../../../src/schedule/schedule.ts";
import type { Trigger } from "../../../src/schedule/trigger.ts";
import type { Firing } from "../../../src/storage/schedule-storage.ts";
import type { Change, NewTask } from "../../../src/storage/storage.ts";
import { aSchedule } from "../../support/stored-schedules.ts";

/** One firing, of which nobody has asked whether it makes sense. */
interface Shot<Draft> {
  readonly pick: number;
  readonly isStale: boolean;
  readonly isByHand: boolean;
  readonly force: boolean;
  readonly drafts: readonly Draft[];
  readonly missed: number;
  readonly skipped: number;
  readonly nextIn: number | undefined;
  readonly status: ScheduleStatus;
}

export type ScheduleCommand<Draft> =
  | {
      readonly type: "putSchedule";
      /** Makes a new one where it is undefined. */
      readonly pick: number | undefined;
      readonly isStale: boolean;
      readonly name: string;
      readonly trigger: Trigger;
      readonly overlap: Overlap;
      readonly maxRuns: number | undefined;
      readonly expiresIn: number | undefined;
      readonly endIn: number | undefined;
      readonly nextIn: number | undefined;
      readonly pendingIn: number | undefined;
      readonly retryIn: number | undefined;
      readonly status: ScheduleStatus;
      readonly hasChange: boolean;
    }
  | { readonly type: "deleteSchedules"; readonly picks: readonly number[] }
  | { readonly type: "fire"; readonly shots: readonly Shot<Draft>[]; readonly isCounted: boolean };

export const isScheduleCommand = <C extends { readonly type: string }>(
  command: C,
): command is Extract<C, { readonly type: "putSchedule" | "deleteSchedules" | "fire" }> =>
  ["putSchedule", "deleteSchedules", "fire"].includes(command.type);

const oneIn = <T>(n: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: n - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
const rarely = (n: number): fc.Arbitrary<boolean> => fc.nat(n - 1).map((found) => found === 0);
const aPick = fc.nat(1_000);
const aStatus = fc.constantFrom<ScheduleStatus>("active", "active", "active", "paused", "completed", "expired");

const aTrigger: fc.Arbitrary<Trigger> = fc.oneof(
  fc.record({ type: fc.constant("every"), interval: fc.constantFrom(3, 10, 50) }),
  fc.record({
    type: fc.constant("every"),
    interval: fc.constantFrom(3, 10),
    mode: fc.constant("fixed-delay"),
  }),
  fc.record({ type: fc.constant("onEvent"), event: fc.constantFrom("sold", "bought") }),
  fc.record({ type: fc.constant("at"), at: fc.constantFrom(1_005, 1_500) }),
);

const anOverlap = fc.constantFrom<Overlap>("allow", "skip", "coalesce");

/** @param draft of a task. */
export const aScheduleCommand = <Draft>(draft: fc.Arbitrary<Draft>): fc.Arbitrary<ScheduleCommand<Draft>> => {
  const shot: fc.Arbitrary<Shot<Draft>> = fc.record({
    pick: aPick,
    isStale: rarely(8),
    isByHand: rarely(4),
    force: rarely(5),
    drafts: fc.array(draft, { maxLength: 3 }),
    missed: fc.constantFrom(0, 0, 2),
    skipped: fc.constantFrom(0, 0, 1),
    nextIn: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
    status: aStatus,
  });
  return fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant("putSchedule"),
        pick: fc.option(aPick, { nil: undefined, freq: 1 }),
        isStale: rarely(8),
        name: fc.constantFrom("a", "b", "c", "d", "e"),
        trigger: aTrigger,
        overlap: anOverlap,
        maxRuns: oneIn(4, fc.integer({ min: 1, max: 3 })),
        expiresIn: oneIn(4, fc.integer({ min: 0, max: 60 })),
        endIn: oneIn(4, fc.integer({ min: 0, max: 60 })),
        nextIn: fc.option(fc.integer({ min: 0, max: 40 }), { nil: undefined }),
        pendingIn: oneIn(5, fc.integer({ min: -5, max: 5 })),
        retryIn: oneIn(8, fc.integer({ min: 0, max: 5 })),
        status: aStatus,
        hasChange: fc.boolean(),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant("deleteSchedules"), picks: fc.array(aPick, { maxLength: 2 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        type: fc.constant("fire"),
        shots: fc.array(shot, { minLength: 1, maxLength: 3 }),
        isCounted: fc.boolean(),
      }),
    },
  ) as fc.Arbitrary<ScheduleCommand<Draft>>;
};

/** The schedules that are known from outside of a storage. */
export class ScheduleWorld {
  readonly #versions = new Map<ScheduleId, number>();
  /** All that ever were: tasks may outlive them. */
  readonly #ids: ScheduleId[] = [];
  #made = 0;

  /** @param tasksOf makes tasks of a schedule. */
  changeOf<Draft>(
    command: ScheduleCommand<Draft>,
    now: number,
    tasksOf: (draft: Draft, id: ScheduleId) => readonly NewTask[],
  ): Change {
    switch (command.type) {
      case "putSchedule":
        return this.#putOf(command, now);
      case "deleteSchedules":
        return { type: "deleteSchedules", ids: command.picks.map((pick) => this.#idAt(pick)), now };
      case "fire":
        return {
          type: "fire",
          now,
          isCounted: command.isCounted,
          firings: command.shots.map(({ pick, isStale, isByHand, force, drafts, ...shot }): Firing => {
            const id = this.#idAt(pick);
            const { missed, skipped, nextIn, status } = shot;
            const tasks = drafts.flatMap((draft) => tasksOf(draft, id));
            const plan: Plan = {
              slots: tasks.map((_, index) => now - tasks.length + index),
              missed,
              skipped,
              status,
              ...(nextIn === undefined ? {} : { nextSlot: now + nextIn }),
            };
            const version = (this.#versions.get(id) ?? 1) + (isStale ? 1 : 0);
            return { id, version, tasks, ...(isByHand ? {} : { plan }), ...(force ? { force } : {}) };
          }),
        };
    }
  }

  /** What a scheduler does about schedules that are due. */
  fire<Draft>(
    due: readonly StoredSchedule[],
    draft: Draft,
    now: number,
    tasksOf: (draft: Draft, id: ScheduleId) => readonly NewTask[],
  ): Change {
    const firings = due.map((schedule): Firing => {
      const { id, version } = schedule;
      const plan = planFiring(schedule, now);
      return { id, version, plan, tasks: plan.slots.flatMap(() => tasksOf(draft, id)) };
    });
    return { type: "fire", now, firings, isCounted: true };
  }

  /** The schedule that a task is of. */
  idFor(pick: number): ScheduleId | undefined {
    return this.#ids[pick % this.#ids.length];
  }

  learn(change: Change): void {
    if (change.type === "putSchedule") {
      const { id, version } = change.schedule;
      this.#versions.set(id, version);
      if (!this.#ids.includes(id)) this.#ids.push(id);
    }
    if (change.type === "deleteSchedules") for (const id of change.ids) this.#versions.delete(id);
  }

  #idAt(pick: number): ScheduleId {
    const ids = [...this.#versions.keys()];
    return ids[pick % ids.length] ?? "nobody";
  }

  #putOf(command: Extract<ScheduleCommand<unknown>, { type: "putSchedule" }>, now: number): Change {
    const { pick, isStale, name, trigger, overlap, maxRuns, expiresIn, endIn, status, hasChange } = command;
    const { nextIn, pendingIn, retryIn } = command;
    this.#made += 1;
    // Neither rising nor falling.
    const made = `01900000-0000-7000-8000-${((this.#made * 7) % 10).toString(16)}${String(this.#made).padStart(11, "0")}`;
    const known = pick === undefined || this.#versions.size === 0 ? undefined : this.#idAt(pick);
    const id = known ?? made;
    const ifVersion = this.#versions.get(id) ?? 0;
    const version = ifVersion + (hasChange || known === undefined ? 1 : 0);
    const schedule = aSchedule({
      id,
      version,
      updatedAt: now,
      name,
      trigger,
      overlap,
      ...(maxRuns === undefined ? {} : { maxRuns }),
      ...(expiresIn === undefined ? {} : { expiresAt: now + expiresIn }),
      ...(endIn === undefined ? {} : { endAt: now + endIn }),
    });
    const state = {
      ...newState(nextIn === undefined ? undefined : now + nextIn),
      status,
      ...(pendingIn === undefined ? {} : { pendingSlot: now + pendingIn }),
      ...(retryIn === undefined ? {} : { retryAt: now + retryIn }),
    };
    const { definition } = schedule;
    return {
      type: "putSchedule",
      schedule: { ...schedule, state },
      ifVersion: ifVersion + (isStale ? 1 : 0),
      ...(hasChange ? { change: { version, at: now, before: definition, after: definition } } : {}),
      event: known === undefined ? "schedule.created" : "schedule.updated",
    };
  }
}
