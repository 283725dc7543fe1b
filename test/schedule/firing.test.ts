import { CronDate } from "croner";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { uuidBytes } from "../../src/base/id.ts";
import { at } from "../../src/schedule/at.ts";
import { cron } from "../../src/schedule/cron.ts";
import { every } from "../../src/schedule/every.ts";
import { eventTaskId, planEvent, planFiring, planSkipping, slotTaskId } from "../../src/schedule/firing.ts";
import type { MissedPolicy } from "../../src/schedule/missed.ts";
import { onEvent } from "../../src/schedule/on-event.ts";
import { dueAt, type StoredSchedule } from "../../src/schedule/schedule.ts";
import { aSchedule, fired, hour, june, minute, second } from "../support/schedules.ts";

const policy = (handling: MissedPolicy["handling"], max = 10): MissedPolicy => ({
  handling,
  threshold: 5 * minute,
  max,
});

describe("a slot that is due", () => {
  test("fires as the slot that it is, however late within the threshold it is found", () => {
    const schedule = aSchedule();

    expect(planFiring(schedule, june + minute + 40)).toEqual({
      slots: [june + minute],
      missed: 0,
      skipped: 0,
      nextSlot: june + 2 * minute,
      status: "active",
    });
  });

  test("that is still to come does not fire", () => {
    const plan = planFiring(aSchedule(), june + minute - 1);

    expect(plan).toMatchObject({ slots: [], missed: 0, skipped: 0, nextSlot: june + minute });
  });

  test("is counted with the task that was stored for it, and when", () => {
    const schedule = aSchedule();
    const now = june + minute + 5;
    const { state } = fired(schedule, planFiring(schedule, now), now);

    expect(state).toEqual({
      status: "active",
      nextSlot: june + 2 * minute,
      lastSlot: now,
      lastRunAt: now,
      lastTaskId: `task-${june + minute}`,
      runCount: 1,
      missedCount: 0,
      skippedCount: 0,
    });
  });

  test("completes a schedule that has no other", () => {
    const schedule = aSchedule({ trigger: at(june + hour) });
    const { state } = fired(schedule, planFiring(schedule, june + hour), june + hour);

    expect(state).toMatchObject({ status: "completed", runCount: 1 });
    expect(state.nextSlot).toBeUndefined();
    expect(dueAt({ ...schedule, state })).toBeUndefined();
  });

  test("completes a schedule whose maxRuns it reaches", () => {
    const schedule = aSchedule({ maxRuns: 3, state: { runCount: 2 } });
    const { state } = fired(schedule, planFiring(schedule, june + minute), june + minute);

    expect(state).toMatchObject({ status: "completed", runCount: 3 });
    expect(state.nextSlot).toBeUndefined();
  });

  test("is on endAt, and the last", () => {
    const schedule = aSchedule({ endAt: june + 2 * minute, state: { nextSlot: june + 2 * minute } });

    expect(planFiring(schedule, june + 2 * minute)).toMatchObject({
      slots: [june + 2 * minute],
      status: "completed",
    });
  });
});

describe("slots of an hour of downtime", () => {
  const schedule = aSchedule();
  const now = june + 60 * minute + 1;
  const after = (handling: MissedPolicy["handling"], max?: number): unknown =>
    planFiring(schedule, now, policy(handling, max));

  test("become the last one under coalesce, and the others are missed", () => {
    expect(after("coalesce")).toMatchObject({ slots: [june + 60 * minute], missed: 59, skipped: 0 });
  });

  test("become the last few, oldest first, under trigger", () => {
    const last = [58, 59, 60].map((count) => june + count * minute);

    expect(after("trigger", 3)).toMatchObject({ slots: last, missed: 57, skipped: 0 });
  });

  test("do not fire under skip, and the schedule goes on from now", () => {
    expect(after("skip")).toMatchObject({ slots: [], missed: 60, nextSlot: june + 61 * minute, status: "active" });
  });

  test("obey the schedule's own policy before the scheduler's", () => {
    const own = aSchedule({ missed: { handling: "skip" } });

    expect(planFiring(own, now, policy("coalesce"))).toMatchObject({ slots: [], missed: 60 });
  });

  test("fire no more often than maxRuns allows", () => {
    const limited = aSchedule({ maxRuns: 5, state: { runCount: 3 } });
    const plan = planFiring(limited, now, policy("trigger", 4));

    expect(plan.slots).toEqual([57, 58].map((count) => june + count * minute));
    expect(fired(limited, plan, now).state).toMatchObject({ status: "completed", runCount: 5 });
  });

  test("keep their policy where endAt has passed as well, and complete it", () => {
    const ended = aSchedule({ endAt: june + 30 * minute });

    expect(planFiring(ended, now)).toMatchObject({ slots: [june + 30 * minute], missed: 29, status: "completed" });
    expect(planFiring(ended, now, policy("skip"))).toMatchObject({ slots: [], missed: 30, status: "completed" });
  });
});

test("several slots of a stall within the threshold are skipped, not missed, where another stands for them", () => {
  const schedule = aSchedule({ trigger: every("1s") });
  const plan = planFiring(schedule, june + 3 * second);

  expect(plan).toMatchObject({ slots: [june + 3 * second], missed: 0, skipped: 2 });
  expect(fired(schedule, plan, june + 3 * second).state).toMatchObject({ missedCount: 0, skippedCount: 2 });
});

test("a moment that passed during a downtime is missed under skip, and completed: never silently lost", () => {
  const schedule = aSchedule({ trigger: at(june + minute) });

  expect(planFiring(schedule, june + hour, policy("skip"))).toMatchObject({
    slots: [],
    missed: 1,
    status: "completed",
  });
  expect(planFiring(schedule, june + hour)).toMatchObject({ slots: [june + minute], status: "completed" });
});

describe("a schedule whose ttl is over", () => {
  test("expires without firing, also while it is paused", () => {
    const schedule = aSchedule({ expiresAt: june + minute });
    const paused = aSchedule({ expiresAt: june + minute, state: { status: "paused" } });

    for (const one of [schedule, paused]) {
      expect(dueAt(one)).toBe(june + minute);
      expect(planFiring(one, june + minute)).toEqual({ slots: [], missed: 0, skipped: 0, status: "expired" });
    }
  });

  test("has no next slot", () => {
    const schedule = aSchedule({ expiresAt: june + minute });
    const { state } = fired(schedule, planFiring(schedule, june + minute), june + minute);

    expect(state).toMatchObject({ status: "expired" });
    expect(state.nextSlot).toBeUndefined();
  });
});

test("a paused schedule does nothing", () => {
  const schedule = aSchedule({ state: { status: "paused" } });

  expect(dueAt(schedule)).toBeUndefined();
  expect(planFiring(schedule, june + hour)).toMatchObject({ slots: [], missed: 0, status: "paused" });
});

describe("while a task of it has not ended", () => {
  const now = june + minute;
  const blocked = (overlap: "skip" | "coalesce"): StoredSchedule => {
    const schedule = aSchedule({ overlap });
    return fired(schedule, planFiring(schedule, now), now, () => false);
  };

  test("a slot is left out and counted under skip", () => {
    expect(blocked("skip").state).toMatchObject({ runCount: 0, skippedCount: 1, nextSlot: june + 2 * minute });
    expect(blocked("skip").state.pendingSlot).toBeUndefined();
  });

  test("a slot waits for the end under coalesce, and nothing is due before", () => {
    const { state } = blocked("coalesce");

    expect(state).toMatchObject({ pendingSlot: now, runCount: 0, skippedCount: 0, status: "active" });
    expect(dueAt(blocked("coalesce"))).toBeUndefined();
  });

  test("the slot that waited stands for all since, and the grid goes on", () => {
    const schedule = blocked("coalesce");
    const end = june + 3 * minute + 30 * second;
    const plan = planFiring(schedule, end);

    expect(plan).toMatchObject({ slots: [now], skipped: 2, missed: 0, nextSlot: june + 4 * minute });
    expect(fired(schedule, plan, end).state).toMatchObject({ runCount: 1, skippedCount: 2 });
    expect(fired(schedule, plan, end).state.pendingSlot).toBeUndefined();
  });

  test("the last slot of a schedule waits before it is completed", () => {
    const schedule = aSchedule({ overlap: "coalesce", endAt: now });
    const waiting = fired(schedule, planFiring(schedule, now), now, () => false);
    expect(waiting.state).toMatchObject({ status: "active", pendingSlot: now });

    const done = fired(waiting, planFiring(waiting, now + second), now + second);

    expect(done.state).toMatchObject({ status: "completed", runCount: 1 });
  });

  test("of several slots at once, those behind the first wait as one", () => {
    const schedule = aSchedule({ overlap: "coalesce" });
    const plan = planFiring(schedule, june + 3 * minute, policy("trigger"));
    const { state } = fired(schedule, plan, june + 3 * minute, (index) => index === 0);

    expect(state).toMatchObject({ runCount: 1, skippedCount: 1, pendingSlot: june + 3 * minute });
  });
});

describe("a fixed delay", () => {
  const delayed = every("10m", { mode: "fixed-delay" });

  test("waits for the end of what it fired, and counts from there", () => {
    const schedule = aSchedule({ trigger: delayed });
    const first = june + 10 * minute;
    const waiting = fired(schedule, planFiring(schedule, first), first);
    expect(waiting.state).toMatchObject({ status: "active", runCount: 1 });
    expect(dueAt(waiting)).toBeUndefined();

    const ended = { ...waiting, results: { ...waiting.results, lastFinishedAt: first + 7 * minute } };

    expect(planFiring(ended, first + 7 * minute)).toMatchObject({ slots: [], nextSlot: first + 17 * minute });
  });

  test("goes on from its last firing where its task was deleted, or ended by a clock that was behind", () => {
    const first = june + 10 * minute;
    const schedule = aSchedule({ trigger: delayed });
    const waiting = fired(schedule, planFiring(schedule, first), first);
    const behind = { ...waiting, results: { ...waiting.results, lastFinishedAt: first - hour } };

    expect(planFiring(waiting, first + minute)).toMatchObject({ nextSlot: first + 10 * minute, status: "active" });
    expect(planFiring(behind, first + minute)).toMatchObject({ nextSlot: first + 10 * minute, status: "active" });
  });

  test("goes on from now where what was missed does not run", () => {
    const schedule = aSchedule({ trigger: delayed });
    const now = june + 5 * hour;

    expect(planFiring(schedule, now, policy("skip"))).toMatchObject({
      slots: [],
      missed: 1,
      nextSlot: now + 10 * minute,
      status: "active",
    });
  });
});

describe("skipping what was planned up to now", () => {
  test("counts it as skipped, and goes on with the next slot", () => {
    const schedule = aSchedule();
    const now = june + 5 * minute + second;
    const plan = planSkipping(schedule, now);

    expect(plan).toEqual({ slots: [], missed: 0, skipped: 5, nextSlot: june + 6 * minute, status: "active" });
    expect(fired(schedule, plan, now).state).toMatchObject({ skippedCount: 5, missedCount: 0, runCount: 0 });
  });

  test("leaves a slot alone that is still to come", () => {
    expect(planSkipping(aSchedule(), june)).toMatchObject({ skipped: 0, nextSlot: june + minute });
  });

  test("completes what has no other slot", () => {
    expect(planSkipping(aSchedule({ trigger: at(june + 1) }), june + 2)).toMatchObject({
      skipped: 1,
      status: "completed",
    });
  });

  test("forgets a slot that waited", () => {
    const schedule = aSchedule({
      overlap: "coalesce",
      state: { pendingSlot: june + minute, nextSlot: june + 2 * minute },
    });
    const plan = planSkipping(schedule, june + 2 * minute);

    expect(plan).toMatchObject({ slots: [], skipped: 2, nextSlot: june + 3 * minute });
    expect(fired(schedule, plan, june + 2 * minute).state.pendingSlot).toBeUndefined();
  });

  test("has a fixed delay count from now", () => {
    const schedule = aSchedule({ trigger: every("10m", { mode: "fixed-delay" }) });

    expect(planSkipping(schedule, june + hour)).toMatchObject({ skipped: 1, nextSlot: june + hour + 10 * minute });
  });
});

describe("an event", () => {
  const waiting = (given: Parameters<typeof aSchedule>[0] = {}): StoredSchedule =>
    aSchedule({ trigger: onEvent("stock.low"), ...given });

  test("has no slots, and is never due", () => {
    expect(dueAt(waiting())).toBeUndefined();
    expect(planFiring(waiting(), june + hour)).toMatchObject({ slots: [], status: "active" });
  });

  test("fires at the moment it is emitted, and the schedule goes on", () => {
    const plan = planEvent(waiting(), june + 5);

    expect(plan).toEqual({ slots: [june + 5], missed: 0, skipped: 0, status: "active" });
  });

  test("completes the schedule that it has fired maxRuns times", () => {
    const schedule = waiting({ maxRuns: 1 });
    const plan = planEvent(schedule, june + 5);
    const done = fired(schedule, plan ?? expect.fail(), june + 5);

    expect(done.state.status).toBe("completed");
    expect(planEvent(done, june + 6)).toBeUndefined();
  });

  test.each([
    ["is paused", waiting({ state: { status: "paused" } })],
    ["has not started", waiting({ startAt: june + minute })],
    ["has ended", waiting({ endAt: june + 1 })],
    ["has outlived its ttl", waiting({ expiresAt: june + 5 })],
    ["has fired maxRuns times", waiting({ maxRuns: 2, state: { runCount: 2 } })],
  ])("is nothing to a schedule that %s", (_, schedule) => {
    expect(planEvent(schedule, june + 5)).toBeUndefined();
  });

  test("completes the schedule when its window ends, though there is no last slot", () => {
    const schedule = waiting({ endAt: june + hour });

    expect(planEvent(schedule, june + hour)).toBeDefined();
    expect(dueAt(schedule)).toBe(june + hour + 1);
    expect(planFiring(schedule, june + hour + 1)).toMatchObject({ slots: [], status: "completed" });
  });
});

test("what could not be worked out is looked at again later, and as what it was", () => {
  const schedule = aSchedule({ state: { retryAt: june + 10 * minute } });
  expect(dueAt(schedule)).toBe(june + 10 * minute);

  const { state } = fired(schedule, planFiring(schedule, june + 10 * minute), june + 10 * minute);

  expect(state.retryAt).toBeUndefined();
  expect(state).toMatchObject({ runCount: 1, missedCount: 9 });
});

test("the next slot of a schedule is never one that has fired, whatever the clock does", () => {
  const clock = fc.array(fc.integer({ min: -2 * hour, max: 2 * hour }), { maxLength: 30 });
  const trigger = fc.constantFrom(every("7m"), cron("*/5 * * * *"), every("3m", { anchor: june - 1_234 }));
  fc.assert(
    fc.property(
      trigger,
      clock,
      fc.constantFrom("coalesce" as const, "trigger" as const, "skip" as const),
      (when, jumps, handling) => {
        let schedule = aSchedule({ trigger: when });
        let now = june;
        const seen = new Set<number>();
        for (const jump of jumps) {
          now += jump;
          if ((dueAt(schedule) ?? now) > now) continue;
          const plan = planFiring(schedule, now, policy(handling, 1_000));
          for (const slot of plan.slots) {
            expect(seen).not.toContain(slot);
            expect(slot).toBeLessThanOrEqual(now);
            seen.add(slot);
          }
          schedule = fired(schedule, plan, now);
          expect(schedule.state.nextSlot).toBeGreaterThan(now);
        }
      },
    ),
    { numRuns: 200 },
  );
});

test("under trigger, with room enough, no slot is missing", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 40 * minute }), { minLength: 1, maxLength: 20 }), (steps) => {
      let schedule = aSchedule({ trigger: every("1m") });
      let now = june;
      const all: number[] = [];
      for (const step of steps) {
        now += step;
        const plan = planFiring(schedule, now, policy("trigger", 1_000));
        all.push(...plan.slots);
        schedule = fired(schedule, plan, now);
      }
      expect(all).toEqual(
        Array.from({ length: Math.floor((now - june) / minute) }, (_, index) => june + (index + 1) * minute),
      );
    }),
    { numRuns: 100 },
  );
});

test("ten thousand schedules with one expression have their slots worked out once", () => {
  const increment = vi.spyOn(CronDate.prototype, "increment");
  const trigger = cron("17 4 * * MON-FRI", { timezone: "Europe/Berlin" });
  for (let count = 0; count < 10_000; count++)
    planFiring(aSchedule({ trigger, createdAt: june + 5 }), june + 30 * hour);

  expect(increment.mock.calls.length).toBeLessThan(100);
  expect(increment.mock.calls.length).toBeGreaterThan(0);
  increment.mockRestore();
});

describe("the id of the task of a slot", () => {
  const id = "01900000-0000-7000-8000-000000000000";

  test("is the same whenever it is worked out, and another for every slot and schedule", () => {
    expect(slotTaskId(id, june)).toBe(slotTaskId(id, june));
    expect(new Set([slotTaskId(id, june), slotTaskId(id, june + 1), slotTaskId("other", june)]).size).toBe(3);
  });

  test("is a UUIDv7 of the moment of its slot", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 8.64e15 }), (slot) => {
        const text = slotTaskId(id, slot);
        const time = uuidBytes(text)?.readUIntBE(0, 6);

        expect(text).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        expect(time).toBe(Math.min(slot, 2 ** 48 - 1));
      }),
    );
  });

  test("of an event is another for every emission of one moment", () => {
    expect(eventTaskId(id, "first", june)).not.toBe(eventTaskId(id, "second", june));
  });
});
