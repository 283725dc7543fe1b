import { describe, expect, test } from "vitest";
import { NoSlotError, ScheduleEndedError } from "../../src/base/errors.ts";
import { at } from "../../src/schedule/at.ts";
import { cancelledState, changed, createdState, pausedState, resumedState } from "../../src/schedule/changing.ts";
import { cron } from "../../src/schedule/cron.ts";
import { every } from "../../src/schedule/every.ts";
import { planFiring } from "../../src/schedule/firing.ts";
import { onEvent } from "../../src/schedule/on-event.ts";
import { scheduleMoves, type ScheduleStatus, type StoredSchedule } from "../../src/schedule/schedule.ts";
import { upcoming } from "../../src/schedule/upcoming.ts";
import { aDefinition, aSchedule, fired, hour, june, minute, second } from "../support/schedules.ts";

const now = june + hour + second;

describe("C16: a schedule", () => {
  const statuses = Object.keys(scheduleMoves) as ScheduleStatus[];
  const inStatus = (status: ScheduleStatus): StoredSchedule => aSchedule({ state: { status } });

  test.each(statuses)("that is %s becomes only what the table of moves says", (status) => {
    const schedule = inStatus(status);
    const results = [pausedState(schedule), cancelledState(schedule)].map((state) => state?.status);
    try {
      results.push(resumedState(schedule, now)?.status);
    } catch (error) {
      expect(error).toBeInstanceOf(ScheduleEndedError);
    }
    for (const next of results) if (next !== undefined) expect(scheduleMoves[status]).toContain(next);
  });

  test("is paused only when it is active, and resumed only when it is paused", () => {
    const isPaused = statuses.filter((status) => pausedState(inStatus(status)) !== undefined);

    expect(isPaused).toEqual(["active"]);
    expect(resumedState(inStatus("active"), now)).toBeUndefined();
    expect(resumedState(inStatus("paused"), now)?.status).toBe("active");
  });

  test.each(["completed", "cancelled", "expired"] as const)("that is %s cannot be resumed", (status) => {
    expect(() => resumedState(inStatus(status), now)).toThrow(ScheduleEndedError);
  });

  test("that is cancelled is so for good", () => {
    expect(scheduleMoves.cancelled).toEqual([]);
    expect(cancelledState(inStatus("cancelled"))).toBeUndefined();
    expect(cancelledState(inStatus("expired"))).toBeUndefined();
    expect(cancelledState(inStatus("active"))?.nextSlot).toBeUndefined();
  });
});

describe("C13: a schedule that was paused", () => {
  test("goes on with the next slot of its grid, and nothing is missed", () => {
    const state = resumedState(aSchedule({ state: { status: "paused" } }), now);

    expect(state).toMatchObject({ status: "active", nextSlot: june + hour + minute, missedCount: 0 });
  });

  test("is completed where its last slot has passed", () => {
    expect(resumedState(aSchedule({ trigger: at(june + 1), state: { status: "paused" } }), now)?.status).toBe(
      "completed",
    );
  });

  test("forgets the slot that waited for the end of a task", () => {
    const state = pausedState(aSchedule({ overlap: "coalesce", state: { pendingSlot: june + minute } }));

    expect(state).toMatchObject({ status: "paused", skippedCount: 1 });
    expect(state?.pendingSlot).toBeUndefined();
  });

  test("with a fixed delay waits for its task, if that has not ended", () => {
    const trigger = every("10m", { mode: "fixed-delay" });
    const paused = aSchedule({ trigger, state: { status: "paused" } });

    expect(resumedState(paused, now)?.nextSlot).toBe(now + 10 * minute);
    expect(resumedState({ ...paused, results: { ...paused.results, unfinished: 1 } }, now)?.nextSlot).toBeUndefined();
  });
});

describe("M03: a schedule that is changed", () => {
  const before = aSchedule({ state: { runCount: 7, missedCount: 2 } });

  test("has its next version, and keeps its slot where neither trigger nor window is another", () => {
    const after = changed(before, { ...before.definition, tags: ["other"], timezone: "UTC" }, now);

    expect(after).toMatchObject({ version: 2, updatedAt: now, createdAt: june, state: before.state });
  });

  test("with another trigger has its slots counted from now, and keeps its counters", () => {
    const after = changed(before, { ...before.definition, trigger: every("10m") }, now);

    expect(after.state).toMatchObject({ nextSlot: now + 10 * minute, runCount: 7, missedCount: 2 });
    expect(planFiring(after, now + 20 * minute, { handling: "trigger", threshold: hour, max: 10 }).slots).toEqual([
      now + 10 * minute,
      now + 20 * minute,
    ]);
  });

  test("with another zone has its slots there", () => {
    const daily = aSchedule({ trigger: cron("0 9 * * *") });
    const after = changed(daily, { ...daily.definition, timezone: "America/New_York" }, now);

    expect(after.state.nextSlot).toBe(june + 13 * hour);
  });

  test("to a moment that is past fires at once", () => {
    expect(changed(before, { ...before.definition, trigger: at(june) }, now).state.nextSlot).toBe(now);
  });

  test("to another window goes on from now", () => {
    const after = changed(before, { ...before.definition, startAt: june + 2 * hour }, now);

    expect(after.state.nextSlot).toBe(june + 2 * hour);
  });

  test("to a window that has closed is completed", () => {
    const after = changed(before, { ...before.definition, endAt: june + hour }, now);

    expect(after.state.status).toBe("completed");
    expect(after.state.nextSlot).toBeUndefined();
  });

  test("to a window without slots is refused", () => {
    const change = (): unknown => changed(before, { ...before.definition, endAt: june + second }, now);

    expect(change).toThrow(NoSlotError);
  });

  test("to fewer maxRuns than it has had is completed", () => {
    expect(changed(before, { ...before.definition, maxRuns: 7 }, now).state.status).toBe("completed");
  });

  test("stays paused where it is", () => {
    const paused = aSchedule({ state: { status: "paused" } });

    expect(changed(paused, { ...paused.definition, trigger: every("10m") }, now).state.status).toBe("paused");
  });

  test("comes back from completed only when that is asked for", () => {
    const done = aSchedule({ endAt: june + hour, state: { status: "completed" } });
    const longer = { ...done.definition, endAt: june + 2 * hour };

    expect(changed(done, longer, now).state.status).toBe("completed");
    expect(changed(done, longer, now, true).state).toMatchObject({ status: "active", nextSlot: june + hour + minute });
  });

  test.each(["cancelled", "expired"] as const)("cannot be one that is %s", (status) => {
    const over = aSchedule({ state: { status } });

    expect(() => changed(over, over.definition, now, true)).toThrow(ScheduleEndedError);
  });

  test("cannot wait for events and make up for those that were left out", () => {
    const definition = aDefinition({ trigger: onEvent("stock.low"), overlap: "coalesce" });

    expect(() => changed(before, definition, now)).toThrow("unique");
    expect(() => createdState(definition, now)).toThrow("unique");
  });
});

describe("V01: the next runs of a schedule", () => {
  const moments = (schedule: StoredSchedule, count = 3): number[] => upcoming(schedule, now, count);

  test("are what will happen", () => {
    let schedule = aSchedule({ trigger: cron("*/7 * * * *"), endAt: june + 2 * hour });
    const foretold = upcoming(schedule, june, 1_000);
    const happened: number[] = [];
    while (schedule.state.nextSlot !== undefined) {
      const at = schedule.state.nextSlot;
      const plan = planFiring(schedule, at);
      happened.push(...plan.slots);
      schedule = fired(schedule, plan, at);
    }
    expect(foretold).toEqual(happened);
    expect(foretold.length).toBeGreaterThan(10);
  });

  test("end with endAt, maxRuns and ttl", () => {
    expect(moments(aSchedule({ endAt: june + hour + minute }))).toEqual([june + hour + minute]);
    expect(moments(aSchedule({ maxRuns: 9, state: { runCount: 7 } }))).toHaveLength(2);
    expect(moments(aSchedule({ expiresAt: june + hour + minute }))).toEqual([]);
  });

  test.each(["paused", "completed", "cancelled", "expired"] as const)("are none while it is %s", (status) => {
    expect(moments(aSchedule({ state: { status } }))).toEqual([]);
  });

  test("are none for events", () => {
    expect(moments(aSchedule({ trigger: onEvent("stock.low") }))).toEqual([]);
  });

  test("are only the next where the others depend on its runs", () => {
    const schedule = aSchedule({ trigger: every("2h", { mode: "fixed-delay" }) });

    expect(moments(schedule)).toEqual([june + 2 * hour]);
  });
});
