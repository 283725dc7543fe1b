import { describe, expect, test } from "vitest";
import { StoreFullError } from "../../src/base/errors.ts";
import { at } from "../../src/schedule/at.ts";
import { cron } from "../../src/schedule/cron.ts";
import { daily } from "../../src/schedule/daily.ts";
import { every } from "../../src/schedule/every.ts";
import { slotTaskId } from "../../src/schedule/firing.ts";
import { decode } from "../../src/task/codec.ts";
import { aDraft, hour, june, minute, second } from "../support/schedules.ts";
import { TestScheduler } from "./test-scheduler.ts";

test("C02: a task of a schedule is what was asked for, and says where it comes from", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add({
    name: "nightly",
    request: { queue: "reports", priority: 10, maxRetries: 3, timeoutMs: 5_000, ttlMs: hour },
    tags: ["report"],
    metadata: { team: "finance" },
  });
  await scheduler.advance(minute);

  const [task] = await scheduler.tasks(id);
  expect(task?.request).toMatchObject({
    name: "greet",
    queue: "reports",
    priority: 10,
    maxRetries: 3,
    timeoutMs: 5_000,
    createdAt: june + minute,
    expiresAt: june + minute + hour,
    tags: ["report"],
    metadata: { team: "finance", scheduleId: id, scheduledFor: "2026-06-01T00:01:00.000Z" },
    schedule: { id, name: "nightly", slot: june + minute },
  });
  expect(task === undefined ? undefined : decode(task.args)).toEqual(["Ada"]);
  expect(task?.id).toBe(slotTaskId(id, june + minute));
});

test("C03, trap 6: a thousand runs of an interval stay on its grid, however late each is found", async () => {
  const scheduler = await TestScheduler.start({ latencyMs: 7 });
  const id = await scheduler.add({ trigger: every("1s"), startAt: june, missed: { handling: "trigger", max: 1_000 } });
  const random = (index: number): number => (index * 7_919) % 900;
  for (let run = 1; run <= 1_000; run++) {
    // The clock leaps, as it does while a machine is suspended for a moment.
    scheduler.supervisor.clock.jumpTo(june + run * second + random(run));
    await scheduler.advance(0);
    await scheduler.advance(10);
  }
  await scheduler.advance(30);

  expect(await scheduler.slots(id)).toEqual(Array.from({ length: 1_000 }, (_, run) => june + (run + 1) * second));
});

test("C03: an interval that names a start has its first run then", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add({ trigger: every("10m"), startAt: june + 25 * minute });
  await scheduler.advance(hour);

  expect(await scheduler.slots(id)).toEqual([25, 35, 45, 55].map((count) => june + count * minute));
});

test("C05, trap 4: a moment fires once, and the schedule is completed", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add({ trigger: at(june + hour) });
  await scheduler.advance(3 * hour);

  expect(await scheduler.slots(id)).toEqual([june + hour]);
  expect((await scheduler.get(id)).state).toMatchObject({ status: "completed", runCount: 1 });
  expect(await scheduler.eventTypes(id)).toEqual(["schedule.created", "schedule.fired", "schedule.completed"]);
});

test("C05: a moment that is past when it is given means now", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add({ trigger: at(june - hour) });
  await scheduler.advance(0);

  expect(await scheduler.slots(id)).toEqual([june]);
});

test("C10, C11: nothing fires before startAt or after endAt, both included, and then it is completed", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add({
    trigger: cron("*/10 * * * *"),
    startAt: june + 20 * minute,
    endAt: june + 40 * minute,
  });
  await scheduler.advance(2 * hour);

  expect(await scheduler.slots(id)).toEqual([20, 30, 40].map((count) => june + count * minute));
  const { status, nextSlot } = (await scheduler.get(id)).state;
  expect({ status, nextSlot }).toEqual({ status: "completed", nextSlot: undefined });
});

test("C12, L07, trap 5: a task and the next slot of its schedule are stored in one transaction", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add();
  scheduler.supervisor.storage.commits.splice(0);
  await scheduler.advance(minute);

  const [firing, ...others] = scheduler.supervisor.storage.commitsOf("fire");
  expect(others).toEqual([]);
  expect(firing).toEqual([
    expect.objectContaining({
      firings: [expect.objectContaining({ id, plan: expect.objectContaining({ nextSlot: june + 2 * minute }) })],
    }),
  ]);
  expect((await scheduler.get(id)).state).toMatchObject({ lastRunAt: june + minute, nextSlot: june + 2 * minute });
});

test("C14: maxRuns counts firings, over a restart in the middle and beside those by hand", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add({ maxRuns: 3 });
  await scheduler.advance(minute);
  await scheduler.trigger(id);
  await scheduler.restart(second);
  await scheduler.advance(hour);

  expect(await scheduler.tasks(id)).toHaveLength(4);
  expect((await scheduler.get(id)).state).toMatchObject({ status: "completed", runCount: 3 });
});

test("C15: nothing fires after the ttl; the schedule is expired, and its tasks stay", async () => {
  const scheduler = await TestScheduler.start({ queues: { default: { isPaused: true } } });
  const id = await scheduler.add({ ttlMs: 150 * second });
  await scheduler.advance(hour);

  expect(await scheduler.slots(id)).toEqual([june + minute, june + 2 * minute]);
  expect((await scheduler.get(id)).state.status).toBe("expired");
  expect((await scheduler.tasks(id)).map(({ life }) => life.state)).toEqual(["ready", "ready"]);
  expect(await scheduler.eventTypes(id)).toContain("schedule.expired");
});

test("O03: the task of an important schedule overtakes others that wait", async () => {
  const scheduler = await TestScheduler.start({ threads: 1, behave: () => ({ durationMs: 100 }) });
  const low = await scheduler.add({ trigger: at(june + minute) });
  const high = await scheduler.add({ trigger: at(june + minute), request: { priority: 10 } });
  await scheduler.advance(2 * minute);

  const start = async (id: string): Promise<number> => (await scheduler.tasks(id))[0]?.life.startedAt ?? 0;
  expect(await start(high)).toBeLessThan(await start(low));
});

test("O04: nine in New York is 14:00 UTC in winter and 13:00 UTC in summer", async () => {
  const winter = Date.UTC(2026, 2, 7);
  const scheduler = await TestScheduler.start({ now: winter, retention: { completedMs: 100 * 24 * hour } });
  const id = await scheduler.add({ trigger: daily("09:00"), timezone: "America/New_York" });
  await scheduler.advance(2 * 24 * hour);

  expect(await scheduler.slots(id)).toEqual([Date.UTC(2026, 2, 7, 14), Date.UTC(2026, 2, 8, 13)]);
});

describe("L01: the scheduler sleeps", () => {
  test("for good while there are no schedules", async () => {
    const scheduler = await TestScheduler.start();
    await scheduler.advance(0);

    expect(scheduler.supervisor.clock.next()).toBeUndefined();
  });

  test("no longer than the check interval while something is planned, and reads nothing then", async () => {
    const scheduler = await TestScheduler.start();
    await scheduler.add({ trigger: at(june + hour) });
    let reads = 0;
    const { storage } = scheduler.supervisor;
    const { nextDue, dueSchedules } = storage;
    Object.assign(storage, {
      nextDue: () => ((reads += 1), nextDue()),
      dueSchedules: (now: number, limit: number) => ((reads += 1), dueSchedules(now, limit)),
    });
    await scheduler.advance(10 * minute);

    expect(scheduler.supervisor.clock.next()).toBe(scheduler.now + second);
    expect(reads).toBe(0);
  });

  test("and notices a clock that leaps over a slot", async () => {
    const scheduler = await TestScheduler.start({ scheduler: { checkIntervalMs: 250 } });
    const id = await scheduler.add({ trigger: at(june + hour) });
    scheduler.supervisor.clock.jumpTo(june + hour + minute);
    await scheduler.advance(250);

    expect(await scheduler.slots(id)).toEqual([june + hour]);
  });

  test("until the very millisecond of the next slot", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add({ trigger: every(1_337) });
    await scheduler.advance(10 * 1_337);

    const lateness = (await scheduler.tasks(id)).map(
      ({ request }) => request.createdAt - (request.schedule?.slot ?? 0),
    );
    expect(lateness).toEqual(Array.from({ length: 10 }, () => 0));
  });
});

test("ten thousand schedules that are due together all fire, in bounded transactions", async () => {
  const scheduler = await TestScheduler.start({ queues: { default: { isPaused: true } } });
  const trigger = cron("30 9 * * MON-FRI", { timezone: "Europe/Berlin" });
  await scheduler.put(...Array.from({ length: 10_000 }, () => aDraft({ trigger })));
  await scheduler.advance(8 * hour);

  expect(await scheduler.supervisor.counts()).toEqual({ ready: 10_000 });
  const sizes = scheduler.supervisor.storage
    .commitsOf("fire")
    .flatMap((changes) => changes.map((change) => (change.type === "fire" ? change.firings.length : 0)));
  expect(Math.max(...sizes)).toBeLessThanOrEqual(500);
});

describe("L06: all schedules together", () => {
  test("are paused: none fires by time or event, and the queue goes on", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add();
    expect(await scheduler.order("pause")).toBe(true);
    expect(await scheduler.order("pause")).toBe(false);
    const byHand = await scheduler.trigger(id);
    await scheduler.advance(hour);

    expect(await scheduler.slots(id)).toEqual([june]);
    expect((await scheduler.supervisor.life(byHand ?? "")).state).toBe("completed");
  });

  test("are resumed: what passed is skipped, not missed", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add();
    const once = await scheduler.add({ trigger: at(june + minute) });
    await scheduler.order("pause");
    await scheduler.advance(10 * minute + second);
    expect(await scheduler.order("resume")).toBe(true);
    expect(await scheduler.order("resume")).toBe(false);
    await scheduler.advance(minute);

    expect(await scheduler.slots(id)).toEqual([june + 11 * minute]);
    expect((await scheduler.get(id)).state).toMatchObject({ missedCount: 0, skippedCount: 10, runCount: 1 });
    expect((await scheduler.get(once)).state).toMatchObject({ status: "completed", skippedCount: 1 });
    expect(await scheduler.eventTypes(once)).toContain("schedule.skipped");
  });

  test("are shut down and started: what passed is missed, and obeys the policy", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add();
    expect(await scheduler.order("shutdown")).toBe(true);
    expect(await scheduler.order("shutdown")).toBe(false);
    await scheduler.advance(10 * minute);
    expect(await scheduler.slots(id)).toEqual([]);

    expect(await scheduler.order("start")).toBe(true);
    expect(await scheduler.order("start")).toBe(false);
    await scheduler.advance(0);

    expect(await scheduler.slots(id)).toEqual([june + 10 * minute]);
    expect((await scheduler.get(id)).state.missedCount).toBe(9);
  });

  test("do not fire before they are started where that was asked for", async () => {
    const scheduler = await TestScheduler.start({ scheduler: { enabled: false } });
    const id = await scheduler.add();
    await scheduler.advance(2 * minute);
    expect(await scheduler.slots(id)).toEqual([]);
    expect(scheduler.supervisor.clock.next()).toBeUndefined();

    await scheduler.order("start");
    await scheduler.advance(minute);

    expect(await scheduler.slots(id)).toContain(june + 3 * minute);
  });

  test("stay paused when the actor crashes", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add();
    await scheduler.order("pause");
    scheduler.supervisor.crash("scheduler");
    await scheduler.advance(hour);

    expect(await scheduler.slots(id)).toEqual([]);
  });
});

describe("L10: a schedule that cannot be fired", () => {
  test("is told of, put off for a minute, and keeps no other from firing", async () => {
    const scheduler = await TestScheduler.start();
    const broken = await scheduler.add({ trigger: daily("00:01") });
    const good = await scheduler.add({ trigger: at(june + minute) });
    const { definition, results: _, ...stored } = await scheduler.get(broken);
    // As a version of Node.js that does not know the zone any more would find it.
    await scheduler.supervisor.storage.inner.commit([
      {
        type: "putSchedule",
        ifVersion: 1,
        schedule: { ...stored, definition: { ...definition, timezone: "Europe/Atlantis" } },
      },
    ]);
    await scheduler.advance(3 * minute);

    expect(await scheduler.slots(good)).toEqual([june + minute]);
    expect(await scheduler.slots(broken)).toEqual([]);
    expect(scheduler.supervisor.scheduleErrors.map(({ id }) => id)).toEqual([broken, broken, broken]);
    expect((await scheduler.get(broken)).state).toMatchObject({ status: "active", nextSlot: june + minute });
    expect(await scheduler.eventTypes(broken)).toContain("schedule.error");
  });

  test("is told apart from others of its transaction", async () => {
    const scheduler = await TestScheduler.start();
    const [broken, ...good] = await Promise.all([0, 1, 2].map(() => scheduler.add({ trigger: at(june + minute) })));
    scheduler.supervisor.storage.refuse = (changes) =>
      changes.some((change) => change.type === "fire" && change.firings.some(({ id }) => id === broken))
        ? new RangeError("too long a key")
        : undefined;
    await scheduler.advance(minute);

    for (const id of good) expect(await scheduler.slots(id)).toEqual([june + minute]);
    expect(scheduler.supervisor.scheduleErrors).toEqual([{ id: broken, error: new RangeError("too long a key") }]);
    expect(scheduler.supervisor.crashes).toEqual([]);
  });
});

test("a disk that is full is waited for, and no slot is lost", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add();
  const { storage } = scheduler.supervisor;
  storage.refuse = (changes) =>
    changes.some(({ type }) => type === "fire") ? new StoreFullError("/data", 0, 1_000) : undefined;
  await scheduler.advance(minute + 5 * second);
  expect(await scheduler.slots(id)).toEqual([]);

  storage.refuse = undefined;
  await scheduler.advance(second);

  expect(await scheduler.slots(id)).toEqual([june + minute]);
  expect(scheduler.supervisor.crashes).toEqual([]);
});

test("M09: what was due when the runtime was opened is reported once", async () => {
  const scheduler = await TestScheduler.start();
  await scheduler.add();
  await scheduler.add({ trigger: at(june + hour) });
  await scheduler.restart(2 * hour);
  await scheduler.advance(minute);

  expect(scheduler.supervisor.recovered).toEqual([{ schedules: 2, fired: 2, missed: 119, skipped: 0 }]);
});

test("nothing is reported where nothing was due", async () => {
  const scheduler = await TestScheduler.start();
  await scheduler.add();
  await scheduler.restart(second);
  await scheduler.advance(minute);

  expect(scheduler.supervisor.recovered).toEqual([]);
});

test("a crash of the scheduler loses no slot, and no other actor", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add();
  await scheduler.advance(minute + 30 * second);
  scheduler.supervisor.crash("scheduler");
  await scheduler.advance(minute);

  expect(await scheduler.slots(id)).toEqual([june + minute, june + 2 * minute]);
  expect(scheduler.supervisor.crashes).toEqual(["scheduler"]);
});

test("T16: a task is of the version that is the newest when it is fired, unless the schedule pins one", async () => {
  let newest: string | undefined = "1";
  const scheduler = await TestScheduler.start({ versionOf: () => newest });
  const free = await scheduler.add({ request: { version: "1" } });
  const pinned = await scheduler.add({ request: { version: "1" }, pinsVersion: true });
  await scheduler.advance(minute);
  newest = "2";
  await scheduler.advance(minute);
  newest = undefined;
  await scheduler.advance(minute);

  const versions = async (id: string): Promise<unknown[]> =>
    (await scheduler.tasks(id)).map(({ request }) => request.version);
  expect(await versions(free)).toEqual(["1", "2", "1"]);
  expect(await versions(pinned)).toEqual(["1", "1", "1"]);
});

test("M10, ruling 17: a schedule of a task that nobody defines fires into parked tasks", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add({ request: { name: "gone" } });
  await scheduler.advance(2 * minute);

  expect((await scheduler.get(id)).state.status).toBe("active");
  expect((await scheduler.tasks(id)).map(({ life }) => life.parked)).toEqual([true, true]);
});
