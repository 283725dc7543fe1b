import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { at } from "../../src/schedule/at.ts";
import { cron } from "../../src/schedule/cron.ts";
import { every } from "../../src/schedule/every.ts";
import type { MissedPolicy } from "../../src/schedule/missed.ts";
import type { Trigger } from "../../src/schedule/trigger.ts";
import { hour, june, minute, second } from "../support/schedules.ts";
import { TestScheduler } from "./test-scheduler.ts";

const minutes = (...counts: readonly number[]): number[] => counts.map((count) => june + count * minute);

interface Row {
  readonly name: string;
  readonly trigger: Trigger;
  readonly given?: { readonly endAt?: number; readonly maxRuns?: number };
  readonly handling?: MissedPolicy["handling"];
  readonly max?: number;
  /** How long nothing runs, from the creation on. */
  readonly downMs: number;
  readonly fires: readonly number[];
  readonly missed: number;
  readonly status?: string;
  /** The slot after. */
  readonly next?: number;
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

const matrix: readonly Row[] = [
  {
    name: "an occurrence that is late by no more than the threshold runs, as the one that was planned",
    trigger: cron("*/10 * * * *"),
    handling: "skip",
    downMs: 14 * minute,
    // That of the creation itself was due at once.
    fires: minutes(),
    missed: 2,
  },
  {
    name: "down for an hour of cron, coalesce: one, the latest",
    trigger: cron("1-59 * * * *"),
    downMs: hour - second,
    fires: minutes(59),
    missed: 58,
    next: june + hour + minute,
  },
  {
    name: "down for an hour of cron, trigger: the last few, oldest first",
    trigger: cron("1-59 * * * *"),
    handling: "trigger",
    max: 5,
    downMs: hour - second,
    fires: minutes(...range(55, 59)),
    missed: 54,
  },
  {
    name: "down for less than the most of trigger: all of them",
    trigger: cron("1-59 * * * *"),
    handling: "trigger",
    max: 10,
    downMs: 8 * minute,
    fires: minutes(...range(1, 8)),
    missed: 0,
  },
  {
    name: "down for an hour of cron, skip: none",
    trigger: cron("1-59 * * * *"),
    handling: "skip",
    downMs: hour - second,
    fires: [],
    missed: 59,
  },
  {
    name: "an interval stays on its grid",
    trigger: every("7m"),
    downMs: hour,
    fires: minutes(56),
    missed: 7,
    next: june + 63 * minute,
  },
  {
    name: "a moment that passed runs late",
    trigger: at(june + minute),
    downMs: hour,
    fires: minutes(1),
    missed: 0,
    status: "completed",
  },
  {
    name: "a moment that passed is completed under skip, and missed",
    trigger: at(june + minute),
    handling: "skip",
    downMs: hour,
    fires: [],
    missed: 1,
    status: "completed",
  },
  {
    name: "a slot before an endAt that has passed runs, and then it is completed",
    trigger: every("10m"),
    given: { endAt: june + 35 * minute },
    downMs: 2 * hour,
    fires: minutes(30),
    missed: 2,
    status: "completed",
  },
  {
    name: "maxRuns is kept by what was missed",
    trigger: every("10m"),
    given: { maxRuns: 2 },
    handling: "trigger",
    downMs: 35 * minute,
    fires: minutes(10, 20),
    missed: 0,
    status: "completed",
  },
];

describe.each([
  ["a downtime", (scheduler: TestScheduler, ms: number) => scheduler.restart(ms)],
  [
    "a clock that leaps forward",
    async (scheduler: TestScheduler, ms: number) => {
      scheduler.supervisor.clock.jumpTo(scheduler.now + ms);
      await scheduler.advance(0);
      await scheduler.supervisor.settle();
    },
  ],
] as const)("L02, after %s", (_, pass) => {
  test.each(matrix)(
    "$name",
    async ({ trigger, given, handling, max = 10, downMs, fires, missed, status = "active", next }) => {
      const policy = { threshold: 5 * minute, handling: handling ?? "coalesce", max };
      const scheduler = await TestScheduler.start({ scheduler: { missed: policy }, retention: { completedMs: 1e12 } });
      const id = await scheduler.add({ trigger, ...given });
      await pass(scheduler, downMs);

      expect(await scheduler.slots(id)).toEqual(fires);
      const { state } = await scheduler.get(id);
      expect({ missed: state.missedCount, status: state.status }).toEqual({ missed, status });
      if (next !== undefined) expect(state.nextSlot).toBe(next);
      const events = await scheduler.eventTypes(id);
      expect(events.includes("schedule.missed")).toBe(missed > 0);
      const totals = await scheduler.supervisor.storage.inner.scheduleTotals(scheduler.now);
      expect(totals.missed).toBe(missed);
    },
  );
});

test("a schedule's own policy stands before that of the scheduler", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add({ missed: { handling: "skip" } });
  await scheduler.restart(hour);

  expect(await scheduler.slots(id)).toEqual([]);
});

test("L11: a restart changes nothing about a slot that is to come", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add({ trigger: every("10m") });
  await scheduler.advance(4 * minute);
  await scheduler.restart(minute);
  expect((await scheduler.get(id)).state.nextSlot).toBe(june + 10 * minute);
  await scheduler.advance(5 * minute);

  expect(await scheduler.slots(id)).toEqual(minutes(10));
});

test("a clock that is put back fires nothing twice, and goes on when it has caught up", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add();
  await scheduler.advance(10 * minute);
  scheduler.supervisor.clock.jumpTo(june + 2 * minute);
  await scheduler.advance(10 * minute);

  expect(await scheduler.slots(id)).toEqual(minutes(...range(1, 12)));
  expect((await scheduler.get(id)).state.runCount).toBe(12);
});

describe("one at a time", () => {
  const long = { behave: () => ({ durationMs: 150 * second }) };

  test("O06: skip leaves slots out while a task has not ended, counts them and says so", async () => {
    const scheduler = await TestScheduler.start(long);
    const id = await scheduler.add({ overlap: "skip" });
    await scheduler.advance(10 * minute);

    expect(await scheduler.slots(id)).toEqual(minutes(1, 4, 7, 10));
    expect((await scheduler.get(id)).state).toMatchObject({ skippedCount: 6, missedCount: 0 });
    expect((await scheduler.eventTypes(id)).filter((type) => type === "schedule.skipped")).toHaveLength(6);
  });

  test("O06: coalesce makes up for what was left out with one, right after the end", async () => {
    const scheduler = await TestScheduler.start(long);
    const id = await scheduler.add({ overlap: "coalesce" });
    await scheduler.advance(10 * minute);

    const tasks = await scheduler.tasks(id);
    expect(tasks.map(({ request }) => request.createdAt - june)).toEqual([
      minute,
      minute + 150 * second,
      minute + 300 * second,
      minute + 450 * second,
    ]);
    expect(tasks.map(({ request }) => request.schedule?.slot)).toEqual(minutes(1, 2, 4, 7));
  });

  test("O06: never are two unfinished, also over a restart", async () => {
    const scheduler = await TestScheduler.start({ behave: () => ({ durationMs: 2 * second }) });
    const id = await scheduler.add({ trigger: every(500), overlap: "skip" });
    for (let step = 0; step < 40; step++) {
      if (step === 20) await scheduler.restart(100);
      await scheduler.advance(333);
      expect((await scheduler.get(id)).results.unfinished).toBeLessThanOrEqual(1);
    }
    expect((await scheduler.get(id)).state.runCount).toBeGreaterThanOrEqual(4);
  });

  test("O06: an end by cancellation counts as well", async () => {
    const scheduler = await TestScheduler.start({ queues: { default: { isPaused: true } } });
    const id = await scheduler.add({ overlap: "coalesce" });
    await scheduler.advance(2 * minute + second);
    const [task] = await scheduler.tasks(id);
    void scheduler.supervisor.cancel([task?.id ?? ""]);
    await scheduler.advance(second);

    expect(await scheduler.slots(id)).toEqual(minutes(1, 2));
  });

  test.each(["delete", "expire"] as const)("O06: a task that is gone is none that is waited for: %s", async (how) => {
    const scheduler = await TestScheduler.start({ queues: { default: { isPaused: true } } });
    const id = await scheduler.add({ overlap: "coalesce", request: how === "expire" ? { ttlMs: 90 * second } : {} });
    await scheduler.advance(2 * minute + second);
    const ids = (await scheduler.tasks(id)).map((task) => task.id);
    if (how === "delete") {
      await scheduler.supervisor.answered((reply) => ({ type: "delete", ids, force: false, reply }));
    }
    await scheduler.advance(minute - 2 * second);

    expect(await scheduler.slots(id)).toContain(june + 2 * minute);
  });

  test("a fixed delay counts from the end of the last run", async () => {
    const scheduler = await TestScheduler.start({ behave: () => ({ durationMs: 90 * second }) });
    const id = await scheduler.add({ trigger: every("1m", { mode: "fixed-delay" }) });
    await scheduler.advance(10 * minute);

    const starts = (await scheduler.tasks(id)).map(({ request }) => request.createdAt - june);
    expect(starts).toEqual([60, 210, 360, 510].map((count) => count * second));
  });

  test("a task that fails is retried as ever, and the next slot is not concerned", async () => {
    const scheduler = await TestScheduler.start({ behave: () => ({ durationMs: 10, end: "error" }) });
    const id = await scheduler.add({
      request: { maxRetries: 1, backoff: { type: "fixed", delayMs: 1_000, factor: 1, maxMs: 1_000, jitter: 0 } },
    });
    await scheduler.advance(2 * minute + 5 * second);

    expect(await scheduler.slots(id)).toEqual(minutes(1, 2));
    expect((await scheduler.tasks(id)).map(({ life }) => life.attempt)).toEqual([2, 2]);
    expect((await scheduler.get(id)).results).toMatchObject({ errorCount: 2, successCount: 0, lastResult: "error" });
  });
});

test("P5, L07: whatever the clock, restarts, crashes and edits do, no slot is stored twice, and none is missing", async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("advance" as const), ms: fc.integer({ min: 0, max: 5 * minute }) }),
    fc.record({ do: fc.constant("leap" as const), ms: fc.integer({ min: -5 * minute, max: 20 * minute }) }),
    fc.record({ do: fc.constant("restart" as const), ms: fc.integer({ min: 0, max: 20 * minute }) }),
    fc.record({ do: fc.constant("crash" as const), ms: fc.integer({ min: 0, max: minute }) }),
    fc.record({ do: fc.constant("edit" as const), ms: fc.constant(0) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.integer({ min: 1, max: 1_000 }), async (steps, seed) => {
      const scheduler = await TestScheduler.start({
        seed,
        scheduler: { missed: { handling: "trigger", threshold: 5 * minute, max: 1_000 } },
        retention: { completedMs: 1e12 },
      });
      const ids = [
        await scheduler.add({ trigger: every("1m") }),
        await scheduler.add({ trigger: cron("*/3 * * * *") }),
      ];
      let latest = scheduler.now;
      for (const { do: what, ms } of steps) {
        if (what === "leap") scheduler.supervisor.clock.jumpTo(scheduler.now + ms);
        else if (what === "restart") await scheduler.restart(ms);
        else if (what === "edit") {
          for (const id of ids)
            await scheduler.update(id, { changes: { definition: { tags: ["edited"] }, request: {} } });
        } else if (what === "crash") scheduler.supervisor.crash("scheduler");
        latest = Math.max(latest, scheduler.now);
        await scheduler.advance(what === "advance" || what === "crash" ? ms : 0);
        latest = Math.max(latest, scheduler.now);
      }
      scheduler.supervisor.clock.jumpTo(latest);
      await scheduler.advance(second);
      for (const [index, id] of ids.entries()) {
        const gap = index === 0 ? minute : 3 * minute;
        const first = index === 0 ? 1 : 0;
        const count = Math.floor((latest + second - june) / gap);
        expect(await scheduler.slots(id)).toEqual(range(first, count).map((slot) => june + slot * gap));
      }
    }),
    { numRuns: 40 },
  );
}, 120_000);
