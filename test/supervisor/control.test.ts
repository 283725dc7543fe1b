import { describe, expect, test } from "vitest";
import { aTask } from "../support/tasks.ts";
import type { Behaviour } from "./simulated-executor.ts";
import { birth, stateOf, TestSupervisor } from "./test-supervisor.ts";

const endless: Behaviour = { durationMs: Infinity, onStop: "obey" };
const deaf: Behaviour = { durationMs: Infinity };

async function withRunning(behaviour: Behaviour, latencyMs = 0): Promise<[TestSupervisor, string]> {
  const supervisor = await TestSupervisor.start({ behave: () => behaviour, latencyMs });
  const task = aTask({ maxRetries: 5 });
  await supervisor.enqueue(task);
  await supervisor.advance(5);
  return [supervisor, task.id];
}

describe("cancel", () => {
  test("ends waiting tasks at once and tells who waits; the others are answered as they are", async () => {
    const supervisor = await TestSupervisor.start({ queues: { still: { isPaused: true } } });
    const ready = aTask({ queue: "still" });
    const scheduled = aTask({ runAt: birth + 1_000 });
    const done = aTask();
    await supervisor.enqueue(ready, scheduled, done);
    await supervisor.advance(20);

    const answers = supervisor.cancel([ready.id, "nowhere", done.id, scheduled.id]);
    await supervisor.settle();

    expect(await answers).toEqual([true, false, false, true]);
    expect(await supervisor.life(ready.id)).toMatchObject({ state: "cancelled", reason: "on request" });
    expect(supervisor.listener.of(scheduled.id)).toMatchObject([{ state: "cancelled", reason: "on request" }]);
    expect(supervisor.listener.of(done.id)).toMatchObject([{ state: "completed" }]);
  });

  test("ends a task that waits for its next attempt", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 5, end: "error" }) });
    const task = aTask({ maxRetries: 9 });
    await supervisor.enqueue(task);
    await supervisor.advance(10);

    const answers = supervisor.cancel([task.id]);
    await supervisor.advance(60_000);

    expect(await answers).toEqual([true]);
    expect(supervisor.startsOf(task.id)).toHaveLength(1);
    expect(supervisor.listener.of(task.id)).toEqual([
      { id: task.id, state: "cancelled", attempt: 1, reason: "on request" },
    ]);
  });

  test("ends a task that is claimed and has not been given to a worker", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => deaf });
    const tasks = [aTask(), aTask(), aTask()];
    await supervisor.enqueue(...tasks);
    const buffered = tasks[2]?.id ?? "";
    expect((await supervisor.life(buffered)).state).toBe("running");

    const answers = supervisor.cancel([buffered], "signal");
    await supervisor.settle();

    expect(await answers).toEqual([true]);
    expect(await supervisor.life(buffered)).toMatchObject({ state: "cancelled" });
    expect(supervisor.startsOf(buffered)).toEqual([]);
  });

  test("ends a task that waits at a worker, and its companions run elsewhere", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 8 }) });
    const tasks = [aTask(), aTask(), aTask()];
    await supervisor.enqueue(...tasks);
    const waiting = tasks[1]?.id ?? "";

    const answers = supervisor.cancel([waiting], "signal");
    await supervisor.advance(100);

    expect(await answers).toEqual([true]);
    expect(supervisor.startsOf(waiting)).toEqual([]);
    expect(supervisor.executor.starts).toHaveLength(2);
  });

  test('leaves running tasks alone with "no"', async () => {
    const [supervisor, id] = await withRunning(endless);

    const answers = supervisor.cancel([id], "no");
    await supervisor.advance(1_000);

    expect(await answers).toEqual([false]);
    expect((await supervisor.life(id)).state).toBe("running");
  });

  test.each(["signal", "terminate"] as const)("with %s stops a running task that listens", async (mode) => {
    const [supervisor, id] = await withRunning(endless);

    const answers = supervisor.cancel([id], mode);
    await supervisor.settle();

    expect(await answers).toEqual([true]);
    expect(await supervisor.life(id)).toMatchObject({ state: "cancelled", reason: "on request", attempt: 1 });
  });

  test("with signal waits for a task that does not listen", async () => {
    const [supervisor, id] = await withRunning(deaf);

    const answers = supervisor.cancel([id], "signal");
    await supervisor.advance(100_000);

    expect(await stateOf(answers)).toBe("pending");
  });

  test("with terminate ends the worker of a task that does not listen, after the grace", async () => {
    const [supervisor, id] = await withRunning(deaf);

    const answers = supervisor.cancel([id], "terminate", 70);
    await supervisor.advance(69);
    expect(await stateOf(answers)).toBe("pending");
    await supervisor.advance(1);

    expect(await answers).toEqual([true]);
    expect((await supervisor.life(id)).state).toBe("cancelled");
  });

  test("loses against a value: the work was done", async () => {
    const [supervisor, id] = await withRunning({ durationMs: Infinity, onStop: "value" });

    const answers = supervisor.cancel([id], "terminate");
    await supervisor.settle();

    expect(await answers).toEqual([false]);
    expect((await supervisor.life(id)).state).toBe("completed");
  });

  test("wins against an error that is being stored as it comes", async () => {
    const supervisor = await TestSupervisor.start({ latencyMs: 4, behave: () => ({ durationMs: 5, end: "error" }) });
    const task = aTask({ maxRetries: 5 });
    await supervisor.enqueue(task);
    while (supervisor.startsOf(task.id).length === 0) await supervisor.advance(1);
    await supervisor.advance(4);

    // It is found running, but when that is on disk the error has been given to the store already.
    const answers = supervisor.cancel([task.id], "signal");
    await supervisor.advance(60_000);

    expect(supervisor.storage.ends[0]?.end.to).toBe("retrying");
    expect(await answers).toEqual([true]);
    expect((await supervisor.life(task.id)).state).toBe("cancelled");
    expect(supervisor.startsOf(task.id)).toHaveLength(1);
  });

  test("answers everyone who asks for the same task", async () => {
    const [supervisor, id] = await withRunning(deaf);

    const answers = [supervisor.cancel([id], "signal"), supervisor.cancel([id], "terminate", 10)];
    await supervisor.advance(100);

    expect(await stateOf(Promise.all(answers))).not.toBe("rejected");
    expect((await supervisor.storage.inner.counts()).totals.late).toBe(0);
  });
});

describe("delete", () => {
  const remove = (supervisor: TestSupervisor, ids: readonly string[], force: boolean) =>
    supervisor.ask<readonly boolean[]>((reply) => ({ type: "delete", ids, force, reply }));

  test("refuses a running task", async () => {
    const [supervisor, id] = await withRunning(endless);

    const answer = remove(supervisor, [id], false);
    await supervisor.settle();

    await expect(answer).rejects.toMatchObject({ code: "TASK_BUSY" });
  });

  test("with force forgets a running task, tells who waits, stops it, and uses its place again", async () => {
    const [supervisor, id] = await withRunning(deaf);
    const next = aTask();
    await supervisor.enqueue(next);

    const answer = remove(supervisor, [id, "nowhere"], true);
    await supervisor.advance(200);

    expect(await answer).toEqual([true, false]);
    expect(supervisor.listener.of(id)).toMatchObject([{ state: "unknown" }]);
    expect(await supervisor.task(id)).toBeUndefined();
    expect(supervisor.startsOf(next.id)).toHaveLength(1);
  });
});

describe("requeue", () => {
  test("runs failed and cancelled tasks again, and leaves others as they are", async () => {
    const supervisor = await TestSupervisor.start({
      behave: ({ life }) => ({ durationMs: 5, ...(life.attempt === 1 ? { end: { isRetryable: false } } : {}) }),
    });
    const task = aTask();
    await supervisor.enqueue(task);
    await supervisor.advance(10);

    const found = supervisor.ask((reply) => ({ type: "requeue", ids: [task.id, "nowhere"], reply }));
    await supervisor.advance(10);

    expect(await found).toEqual(["failed", undefined]);
    expect(await supervisor.life(task.id)).toMatchObject({ state: "completed", attempt: 2 });
  });
});

describe("purge", () => {
  test("deletes what matches over many pages, spares what runs, and tells who waits", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => deaf });
    const tasks = Array.from({ length: 1_300 }, () => aTask());
    await supervisor.enqueue(...tasks, aTask({ queue: "other", id: "kept" }));
    const running = (await supervisor.counts()).running ?? 0;

    const answer = supervisor.ask<number>((reply) => ({ type: "purge", query: { queue: "default" }, reply }));
    await supervisor.settle();

    expect(await answer).toBe(1_300 - running);
    expect(await supervisor.counts()).toEqual({ running });
    expect(await supervisor.task("kept")).toBeDefined();
    expect(supervisor.listener.outcomes).toHaveLength(1_300 - running);
  });
});
