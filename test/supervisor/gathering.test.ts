import { describe, expect, test } from "vitest";
import type { NewTask } from "../../src/storage/storage.ts";
import { aTask } from "../support/tasks.ts";
import { Listener, TestSupervisor } from "./test-supervisor.ts";

const some = (count: number, given: Parameters<typeof aTask>[0] = {}): NewTask[] =>
  Array.from({ length: count }, () => aTask(given));

/** Stores tasks that nobody waits for. */
const enqueueUnwatched = (supervisor: TestSupervisor, ...tasks: NewTask[]): Promise<unknown> =>
  supervisor.answered((reply) => ({ type: "enqueue", tasks, onFull: "error", reply }));

/** Two workers that have more than enough to do; a task has just ended, and now another, a millisecond later. */
async function busy(second: NewTask, sink?: Listener): Promise<TestSupervisor> {
  const first = aTask();
  const durations = new Map([
    [first.id, 1],
    [second.id, 2],
  ]);
  const supervisor = await TestSupervisor.start({
    threads: 2,
    behave: ({ id }) => ({ durationMs: durations.get(id) ?? 100 }),
  });
  const tasks = [first, second, ...some(20)];
  if (sink === undefined) await enqueueUnwatched(supervisor, ...tasks);
  else await supervisor.answered((reply) => ({ type: "enqueue", tasks, onFull: "error", sink, reply }));
  await supervisor.advance(1);
  supervisor.storage.commits.splice(0);
  await supervisor.advance(1);
  return supervisor;
}

describe("the end of an attempt", () => {
  test("that nobody waits for is stored a moment later while all workers have work", async () => {
    const supervisor = await busy(aTask({ id: "first" }));
    expect(supervisor.storage.commitsOf("settle")).toHaveLength(0);

    await supervisor.advance(4);

    expect(supervisor.storage.commitsOf("settle")).toHaveLength(1);
    expect(await supervisor.life("first")).toMatchObject({ state: "completed" });
  });

  test("is stored at once when none was stored for a while", async () => {
    const supervisor = await busy(aTask());
    await supervisor.advance(4);
    supervisor.storage.commits.splice(0);

    await supervisor.advance(94);
    expect(supervisor.storage.commitsOf("settle")).toHaveLength(0);
    await supervisor.advance(1);
    expect(supervisor.storage.commitsOf("settle")).toHaveLength(1);
  });

  test("does not keep its worker from what is next", async () => {
    const supervisor = await busy(aTask({ id: "first" }));
    expect(supervisor.executor.starts).toHaveLength(4);
  });

  test("that somebody begins to wait for is stored at once", async () => {
    const supervisor = await busy(aTask({ id: "first" }));
    const sink = new Listener();
    supervisor.queue.tell({ type: "wait", ids: ["first"], sink });
    await supervisor.advance(0);

    expect(sink.outcomes.map(({ id }) => id)).toEqual(["first"]);
  });

  test("that somebody waits for is stored at once", async () => {
    const supervisor = await busy(aTask({ id: "first" }), new Listener());
    expect(await supervisor.life("first")).toMatchObject({ state: "completed" });
  });

  test("is stored at once when a worker has nothing left to do", async () => {
    const supervisor = await TestSupervisor.start({ threads: 2, behave: () => ({ durationMs: 10 }) });
    await enqueueUnwatched(supervisor, ...some(2));
    await supervisor.advance(10);

    expect((await supervisor.counts()).completed).toBe(2);
  });

  test("is not lost to a shutdown", async () => {
    const supervisor = await busy(aTask({ id: "first" }));
    await supervisor.answered((reply) => ({ type: "stopClaiming", reply }));
    expect(await supervisor.life("first")).toMatchObject({ state: "completed" });
  });

  test("is not run again when the dispatcher crashes before it is stored", async () => {
    const supervisor = await busy(aTask({ id: "first" }));
    supervisor.crash("dispatcher");
    await supervisor.advance(2_000);

    expect(supervisor.startsOf("first")).toHaveLength(1);
    expect(await supervisor.life("first")).toMatchObject({ state: "completed", attempt: 1 });
  });
});

describe("a task that is more important than all that is claimed", () => {
  const start = async (): Promise<TestSupervisor> => {
    const supervisor = await TestSupervisor.start({ threads: 2, behave: () => ({ durationMs: 20 }) });
    await enqueueUnwatched(supervisor, ...some(40));
    await supervisor.advance(5);
    return supervisor;
  };

  test("is claimed at once and runs next", async () => {
    const supervisor = await start();
    const urgent = aTask({ priority: 9 });
    await enqueueUnwatched(supervisor, urgent);
    await supervisor.advance(16);

    expect(supervisor.startsOf(urgent.id)).toHaveLength(1);
  });

  test("comes before others that are less important, in whatever order they came", async () => {
    const supervisor = await start();
    const urgent = [3, 9, 6].map((priority) => aTask({ priority }));
    for (const task of urgent) await enqueueUnwatched(supervisor, task);
    await supervisor.advance(60);

    const order = supervisor.executor.starts.flatMap(({ id }) => urgent.filter((task) => task.id === id));
    expect(order.map(({ request }) => request.priority)).toEqual([9, 6, 3]);
  });

  test("does not wait behind another such task while a worker runs what is less important", async () => {
    const supervisor = await start();
    const urgent = [6, 9, 9, 6].map((priority) => aTask({ priority }));
    await enqueueUnwatched(supervisor, ...urgent);
    await supervisor.advance(60);

    const order = supervisor.executor.starts.flatMap(({ id }) => urgent.filter((task) => task.id === id));
    expect(order.map(({ request }) => request.priority)).toEqual([9, 9, 6, 6]);
  });

  test("is not claimed by the thousand", async () => {
    const supervisor = await start();
    for (let call = 0; call < 100; call++) await enqueueUnwatched(supervisor, ...some(10, { priority: 9 }));

    expect((await supervisor.counts()).running).toBeLessThan(30);
  });
});

test("a task that comes back after its time to live expires, whenever it was to be tried again", async () => {
  const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 50, end: "error" }) });
  const backoff = { type: "fixed", delayMs: 3_600_000, factor: 1, maxMs: 3_600_000, jitter: 0 } as const;
  const task = aTask({ expiresAt: supervisor.clock.now() + 30, maxRetries: 3, backoff });
  await supervisor.enqueue(task);
  await supervisor.advance(100);

  expect(await supervisor.life(task.id)).toMatchObject({ state: "expired", attempt: 1 });
});
