import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { StoreFullError } from "../../src/base/errors.ts";
import type { Backoff } from "../../src/task/retry.ts";
import { aTask } from "../support/tasks.ts";
import type { Behaviour } from "./simulated-executor.ts";
import { birth, TestSupervisor } from "./test-supervisor.ts";

const exact: Backoff = { type: "exponential", delayMs: 100, factor: 2, maxMs: 300, jitter: 0 };
const failing: Behaviour = { durationMs: 5, end: "error" };

const after = (...ms: number[]): number[] => ms.map((offset) => birth + offset);

describe("retries", () => {
  test("come at exactly the times of the backoff, to its limit, and then the task has failed", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => failing });
    const task = aTask({ maxRetries: 4, backoff: exact });
    await supervisor.enqueue(task);

    await supervisor.advance(10_000);

    expect(supervisor.startsOf(task.id)).toEqual(after(0, 105, 310, 615, 920));
    expect(await supervisor.life(task.id)).toMatchObject({ state: "failed", reason: "error", attempt: 5, failures: 5 });
    expect(supervisor.listener.of(task.id)).toMatchObject([{ state: "failed", attempt: 5, reason: "error" }]);
  });

  test("vary within the band of the jitter, by the seed alone", async () => {
    const startsWith = async (seed: number): Promise<number[]> => {
      const supervisor = await TestSupervisor.start({ seed, behave: () => failing });
      const task = aTask({ id: "task", maxRetries: 3, backoff: { ...exact, type: "fixed", jitter: 0.25 } });
      await supervisor.enqueue(task);
      await supervisor.advance(1_000);
      return supervisor.startsOf(task.id);
    };
    const seen = new Set<number>();
    await fc.assert(
      fc.asyncProperty(fc.nat(1_000), async (seed) => {
        const starts = await startsWith(seed);
        expect(starts).toHaveLength(4);
        starts.slice(1).forEach((at, index) => {
          const delay = at - (starts[index] ?? 0) - failing.durationMs;
          seen.add(delay);
          expect(delay).toBeGreaterThanOrEqual(75);
          expect(delay).toBeLessThanOrEqual(125);
        });
        expect(await startsWith(seed)).toEqual(starts);
      }),
      { numRuns: 15 },
    );
    expect(seen.size).toBeGreaterThan(10);
  });

  test("obey RetryLater to the millisecond", async () => {
    const supervisor = await TestSupervisor.start({
      behave: ({ life }) => (life.attempt === 1 ? { durationMs: 5, end: { retryDelayMs: 1_234 } } : { durationMs: 5 }),
    });
    const task = aTask({ maxRetries: 1, backoff: exact });
    await supervisor.enqueue(task);

    await supervisor.advance(5_000);

    expect(supervisor.startsOf(task.id)).toEqual(after(0, 5 + 1_234));
    expect(await supervisor.life(task.id)).toMatchObject({ state: "completed", failures: 1 });
  });

  test("do not follow RetryLater when none are left", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 5, end: { retryDelayMs: 1 } }) });
    const task = aTask({ maxRetries: 0 });
    await supervisor.enqueue(task);

    await supervisor.advance(5_000);

    expect(await supervisor.life(task.id)).toMatchObject({ state: "failed", attempt: 1 });
  });

  test("are not made of what must not be retried: NonRetryable, or retryIf that says no", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 5, end: { isRetryable: false } }) });
    const task = aTask({ maxRetries: 9, backoff: exact });
    await supervisor.enqueue(task);

    await supervisor.advance(10_000);

    expect(supervisor.startsOf(task.id)).toHaveLength(1);
    expect(await supervisor.life(task.id)).toMatchObject({ state: "failed", reason: "error" });
  });
});

describe("a timeout", () => {
  test("asks the handler to stop when its time is up, and tries again", async () => {
    const supervisor = await TestSupervisor.start({
      behave: ({ life }) => ({ durationMs: life.attempt === 1 ? Infinity : 10, onStop: "obey" }),
    });
    const task = aTask({ timeoutMs: 50, maxRetries: 1, backoff: exact });
    await supervisor.enqueue(task);

    await supervisor.advance(1_000);

    expect(supervisor.startsOf(task.id)).toEqual(after(0, 150));
    const { state, failed } = await supervisor.life(task.id);
    expect(state).toBe("completed");
    expect(failed).toMatchObject([{ attempt: 1, at: birth + 50, reason: "timeout", error: { code: "TIMEOUT" } }]);
  });

  test("ends the worker 100 ms later when the handler does not stop", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: Infinity }) });
    const task = aTask({ timeoutMs: 50 });
    await supervisor.enqueue(task);

    await supervisor.advance(149);
    expect((await supervisor.life(task.id)).state).toBe("running");
    await supervisor.advance(1);

    expect(await supervisor.life(task.id)).toMatchObject({
      state: "failed",
      reason: "timeout",
      finishedAt: birth + 150,
    });
  });

  test("leaves those alone that stay within their time", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 50 }) });
    const tasks = Array.from({ length: 4 }, () => aTask({ timeoutMs: 51 }));
    await supervisor.enqueue(...tasks);

    await supervisor.advance(1_000);

    expect(supervisor.listener.outcomes.map(({ state }) => state)).toEqual(tasks.map(() => "completed"));
  });

  test("counts from the start of the handler also within a batch", async () => {
    let isLearning = true;
    const supervisor = await TestSupervisor.start({
      behave: ({ request }) => ({
        durationMs: isLearning ? 0 : request.timeoutMs === undefined ? 8 : 4,
        onStop: "obey",
      }),
    });
    await supervisor.enqueue(...Array.from({ length: 20 }, () => aTask()));
    await supervisor.advance(50);
    isLearning = false;
    const second = aTask({ timeoutMs: 5 });
    await supervisor.enqueue(aTask(), second);

    await supervisor.advance(500);

    expect(supervisor.executor.batches.at(-1)).toContain(second.id);
    expect((await supervisor.life(second.id)).state).toBe("completed");
  });

  test("counts from the start of the handler, not from when its batch was made", async () => {
    const supervisor = await TestSupervisor.start({
      behave: ({ request }) => ({ durationMs: request.name === "long" ? 60 : 20, onStop: "obey" }),
    });
    // The second one waits at the worker for the first.
    const second = aTask({ timeoutMs: 25 });
    await supervisor.enqueue(aTask({ name: "long" }), second);

    await supervisor.advance(500);

    expect((await supervisor.life(second.id)).state).toBe("completed");
  });
});

describe("a worker that dies", () => {
  test("makes its task poison at the third crash", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 5, end: "crash" }) });
    const task = aTask({ maxRetries: 50 });
    await supervisor.enqueue(task);

    await supervisor.advance(60_000);

    expect(supervisor.startsOf(task.id)).toHaveLength(3);
    expect(await supervisor.life(task.id)).toMatchObject({
      state: "failed",
      reason: "poison",
      crashes: 3,
      failures: 0,
    });
    expect(supervisor.listener.of(task.id)).toMatchObject([{ state: "failed", reason: "poison" }]);
  });

  test("costs the companions of its task nothing", async () => {
    const supervisor = await TestSupervisor.start({
      threads: 2,
      behave: ({ request }) => (request.name === "other" ? { durationMs: 0.01, end: "crash" } : { durationMs: 0.01 }),
    });
    await supervisor.enqueue(...Array.from({ length: 50 }, () => aTask({ name: "short" })));
    await supervisor.advance(10);
    const companions = Array.from({ length: 200 }, () => aTask({ name: "short" }));
    const bad = aTask({ name: "other" });
    await supervisor.enqueue(...companions.slice(0, 20), bad, ...companions.slice(20));

    await supervisor.advance(60_000);

    expect((await supervisor.life(bad.id)).reason).toBe("poison");
    for (const { id } of companions) {
      expect(await supervisor.life(id)).toMatchObject({ state: "completed", attempt: 1, crashes: 0, failures: 0 });
    }
  });
});

describe("a full disk", () => {
  const full = new StoreFullError("/store", 10, 20);

  test("keeps the ends of attempts until there is space, and repeats no work", async () => {
    const supervisor = await TestSupervisor.start();
    const tasks = Array.from({ length: 4 }, () => aTask());
    await supervisor.enqueue(...tasks);
    supervisor.storage.refuse = () => full;
    await supervisor.advance(10_000);
    expect(supervisor.storage.ends).toEqual([]);

    supervisor.storage.refuse = undefined;
    await supervisor.advance(1_500);

    expect(supervisor.crashes).toEqual([]);
    expect(supervisor.listener.outcomes.map(({ state }) => state)).toEqual(tasks.map(() => "completed"));
    for (const { id } of tasks) expect(supervisor.startsOf(id)).toHaveLength(1);
  });

  test("delays what falls due, and stops nothing for good", async () => {
    const supervisor = await TestSupervisor.start({ retention: { completedMs: 100 } });
    const task = aTask({ runAt: birth + 2_000 });
    await supervisor.enqueue(aTask(), task);
    await supervisor.advance(50);
    supervisor.storage.refuse = () => full;
    await supervisor.advance(100_000);

    supervisor.storage.refuse = undefined;
    await supervisor.advance(1_050);

    expect(supervisor.crashes).toEqual([]);
    expect((await supervisor.life(task.id)).state).toBe("completed");
  });

  test("gives tasks that a crashed dispatcher had buffered back when there is space, and they run", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 5_000 }) });
    const tasks = Array.from({ length: 3 }, () => aTask());
    await supervisor.enqueue(...tasks);
    await supervisor.advance(20);
    supervisor.storage.refuse = () => full;
    supervisor.crash("dispatcher");
    await supervisor.settle();
    supervisor.storage.refuse = undefined;
    // A claim that looks before they are back, and finds nothing.
    await supervisor.configure("other", {});

    await supervisor.advance(30_000);

    for (const { id } of tasks) expect((await supervisor.life(id)).state).toBe("completed");
  });

  test("turns new tasks away at once", async () => {
    const supervisor = await TestSupervisor.start();
    supervisor.storage.refuse = (changes) => (changes.some(({ type }) => type === "enqueue") ? full : undefined);

    await expect(supervisor.enqueue(aTask())).rejects.toBe(full);
  });
});
