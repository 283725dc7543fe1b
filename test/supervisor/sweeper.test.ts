import { expect, test } from "vitest";
import { aTask } from "../support/tasks.ts";
import { birth, TestSupervisor, type SupervisorOptions } from "./test-supervisor.ts";

const brief = { completedMs: 200, failedMs: 5_000, eventsMs: 100_000 };

/** Notes when it prunes. */
async function start(options: SupervisorOptions = {}): Promise<[TestSupervisor, number[]]> {
  const supervisor = await TestSupervisor.start({ retention: brief, ...options });
  const sweeps: number[] = [];
  supervisor.storage.refuse = (changes) => {
    if (changes.some(({ type }) => type === "prune")) sweeps.push(supervisor.clock.now());
    return undefined;
  };
  return [supervisor, sweeps];
}

test("tasks are forgotten when their retention has ended, failed ones later", async () => {
  const [supervisor] = await start({
    behave: ({ request }) => ({ durationMs: 5, ...(request.name === "other" ? { end: "error" as const } : {}) }),
  });
  const [good, bad] = [aTask(), aTask({ name: "other" })];
  await supervisor.enqueue(good, bad);

  await supervisor.advance(1_500);
  expect(await supervisor.task(good.id)).toBeUndefined();
  expect(await supervisor.task(bad.id)).toBeDefined();
  await supervisor.advance(5_000);

  expect(await supervisor.task(bad.id)).toBeUndefined();
});

test("nothing is swept more often than once a second, however often something falls due", async () => {
  const [supervisor, sweeps] = await start({ behave: () => ({ durationMs: 1 }) });

  for (let round = 0; round < 100; round++) {
    await supervisor.enqueue(aTask());
    await supervisor.advance(50);
  }

  expect(sweeps.length).toBeGreaterThanOrEqual(3);
  sweeps.slice(1).forEach((at, index) => expect(at - (sweeps[index] ?? 0)).toBeGreaterThanOrEqual(1_000));
});

test("nothing is swept while nothing falls due", async () => {
  const [supervisor, sweeps] = await start();

  await supervisor.advance(1e7);

  expect(sweeps).toEqual([]);
});

test("sweeping goes on after everything was forgotten once", async () => {
  const [supervisor] = await start();
  for (let round = 0; round < 3; round++) {
    const task = aTask();
    await supervisor.enqueue(task);
    await supervisor.advance(10_000);

    expect(await supervisor.task(task.id)).toBeUndefined();
  }
});

test("a task that expired is forgotten, too", async () => {
  const [supervisor] = await start({ queues: { still: { isPaused: true } } });
  await supervisor.enqueue(aTask({ id: "expired", queue: "still", expiresAt: birth + 10 }));
  await supervisor.advance(20);
  expect((await supervisor.life("expired")).state).toBe("expired");

  await supervisor.advance(3_000);

  expect(await supervisor.task("expired")).toBeUndefined();
});

test("a task that was cancelled is forgotten, too", async () => {
  const [supervisor] = await start({ queues: { still: { isPaused: true } } });
  await supervisor.enqueue(aTask({ id: "cancelled", queue: "still" }));
  void supervisor.cancel(["cancelled"]);

  await supervisor.advance(3_000);

  expect(await supervisor.task("cancelled")).toBeUndefined();
});

test("events are forgotten at their own time, though no task is", async () => {
  const [supervisor] = await start({ retention: { completedMs: 1e9, failedMs: 1e9, eventsMs: 2_000 } });
  await supervisor.enqueue(aTask());
  await supervisor.advance(100);
  expect(await supervisor.storage.inner.events({ limit: 10 })).not.toEqual([]);

  await supervisor.advance(4_000);

  expect(await supervisor.storage.inner.events({ limit: 10 })).toEqual([]);
});

test("what is due already is swept after a restart", async () => {
  const [supervisor, sweeps] = await start();
  await supervisor.enqueue(aTask({ id: "task" }));
  await supervisor.advance(100);

  supervisor.crash("sweeper");
  await supervisor.advance(2_000);

  expect(sweeps).toHaveLength(1);
  expect(await supervisor.task("task")).toBeUndefined();
});

test("a sweep goes on until nothing is left, and tells how much it was", async () => {
  const [supervisor, sweeps] = await start({
    threads: 4,
    behave: () => ({ durationMs: 0 }),
    retention: { ...brief, eventsMs: 1e9 },
  });
  await supervisor.enqueue(...Array.from({ length: 2_500 }, () => aTask()));
  await supervisor.advance(199);
  // The queue is told that nothing ends any more, so that nobody sweeps before the call.
  expect(await supervisor.counts()).toEqual({ completed: 2_500 });
  await supervisor.advance(50);
  expect(sweeps).toEqual([]);

  const swept = supervisor.sweeper.ask<{ tasks: number }>((reply) => ({ type: "sweep", reply }), 1e12);
  await supervisor.settle();

  expect((await swept).tasks).toBe(2_500);
  expect(sweeps.length).toBeGreaterThanOrEqual(3);
  expect(await supervisor.counts()).toEqual({});
});
