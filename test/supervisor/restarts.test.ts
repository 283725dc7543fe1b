import { describe, expect, test } from "vitest";
import { StoreFailedError } from "../../src/base/errors.ts";
import { aTask } from "../support/tasks.ts";
import { stateOf, TestSupervisor } from "./test-supervisor.ts";

const many = (count: number) => Array.from({ length: count }, () => aTask());

describe("a crash of the dispatcher", () => {
  test("loses nothing and runs nothing twice", async () => {
    const supervisor = await TestSupervisor.start({ threads: 2 });
    const tasks = many(30);
    await supervisor.enqueue(...tasks);
    await supervisor.advance(15);

    supervisor.crash("dispatcher");
    await supervisor.advance(1_000);

    expect(supervisor.crashes).toEqual(["dispatcher"]);
    expect(supervisor.listener.outcomes.map(({ state }) => state)).toEqual(tasks.map(() => "completed"));
    expect(supervisor.executor.starts).toHaveLength(30);
    expect(supervisor.executor.violations).toEqual([]);
  });

  test("gives what it had buffered back uncounted", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: Infinity }) });
    const tasks = many(3);
    await supervisor.enqueue(...tasks);
    const buffered = tasks[2]?.id ?? "";
    expect((await supervisor.life(buffered)).state).toBe("running");
    await supervisor.configure("default", { isPaused: true });

    supervisor.crash("dispatcher");
    await supervisor.settle();

    expect(await supervisor.life(buffered)).toMatchObject({ state: "ready", attempt: 0, interruptions: 0 });
    expect((await supervisor.life(tasks[0]?.id ?? "")).state).toBe("running");
  });

  test("spares claims that reach it after its restart", async () => {
    const supervisor = await TestSupervisor.start({ threads: 2, latencyMs: 5 });
    const tasks = many(12);
    const enqueued = supervisor.enqueue(...tasks);
    // The claim is being committed, or is in the mailbox, when it crashes.
    supervisor.crash("dispatcher");
    await enqueued;
    supervisor.crash("dispatcher");
    await supervisor.advance(1_000);

    expect(supervisor.executor.starts).toHaveLength(12);
    expect(supervisor.executor.violations).toEqual([]);
    expect(supervisor.storage.ends.filter(({ end }) => end.to === "completed")).toHaveLength(12);
  });

  test("in the middle of a claim does not make it claim more than it has room for", async () => {
    const supervisor = await TestSupervisor.start({ latencyMs: 10, behave: () => ({ durationMs: Infinity }) });
    await supervisor.advance(50);
    const enqueued = supervisor.enqueue(...many(20));
    supervisor.crash("dispatcher");
    await enqueued;
    await supervisor.advance(200);

    expect((await supervisor.counts()).running).toBe(3);
  });

  test("cancels a buffered task that was to be cancelled", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 100 }) });
    const tasks = many(3);
    await supervisor.enqueue(...tasks);
    const buffered = tasks[2]?.id ?? "";

    supervisor.crash("dispatcher");
    const cancelled = supervisor.cancel([buffered], "signal");
    await supervisor.advance(1_000);

    expect(await cancelled).toEqual([true]);
    expect(supervisor.startsOf(buffered)).toEqual([]);
  });
});

describe("a crash of the queue", () => {
  test("loses nothing and runs nothing twice", async () => {
    const supervisor = await TestSupervisor.start({ threads: 2 });
    const tasks = many(30);
    await supervisor.enqueue(...tasks);
    await supervisor.advance(15);

    supervisor.crash("queue");
    await supervisor.advance(1_000);

    expect(supervisor.crashes).toEqual(["queue"]);
    expect(supervisor.storage.ends.filter(({ end }) => end.to === "completed")).toHaveLength(30);
    expect(supervisor.executor.starts).toHaveLength(30);
    expect(supervisor.executor.violations).toEqual([]);
  });

  test("in the middle of a claim gives back what was claimed", async () => {
    const supervisor = await TestSupervisor.start({ threads: 2, latencyMs: 5 });
    await supervisor.advance(20);
    const tasks = many(12);
    const enqueued = supervisor.ask((reply) => ({ type: "enqueue", tasks, onFull: "error", reply }));
    await supervisor.advance(2);

    supervisor.crash("queue");
    await supervisor.advance(1_000);

    expect(await stateOf(enqueued)).toBe("rejected");
    expect(supervisor.storage.ends.filter(({ end }) => end.to === "completed")).toHaveLength(12);
    expect(supervisor.executor.starts).toHaveLength(12);
    expect(supervisor.executor.violations).toEqual([]);
  });

  test("does not make anybody wait for ever", async () => {
    const supervisor = await TestSupervisor.start({ latencyMs: 5 });
    const tasks = many(6);
    await supervisor.enqueue(...tasks);
    await supervisor.advance(12);

    supervisor.crash("queue");
    await supervisor.advance(1_000);

    for (const { id } of tasks) expect(supervisor.listener.of(id)).toMatchObject([{ state: "completed" }]);
  });

  test("over a read that fails is survived by those who wait", async () => {
    const supervisor = await TestSupervisor.start();
    const task = aTask();
    await supervisor.enqueue(task);
    let failures = 1;
    supervisor.storage.refuseRead = (read) => (read === "get" && failures-- > 0 ? new Error("read error") : undefined);

    supervisor.queue.tell({ type: "wait", ids: [task.id, "nowhere"], sink: supervisor.listener });
    await supervisor.advance(100);

    expect(supervisor.crashes).toEqual(["queue"]);
    expect(supervisor.listener.of(task.id)).toMatchObject([{ state: "completed" }]);
    expect(supervisor.listener.of("nowhere")).toMatchObject([{ state: "unknown" }]);
  });

  test("repeats a scheduled task's waking", async () => {
    const supervisor = await TestSupervisor.start();
    const task = aTask({ runAt: supervisor.clock.now() + 500 });
    await supervisor.enqueue(task);

    supervisor.crash("queue");
    await supervisor.advance(1_000);

    expect(supervisor.startsOf(task.id)).toEqual([1_500]);
  });
});

describe("the tree", () => {
  test("fails with the cause when the store has failed", async () => {
    const supervisor = await TestSupervisor.start();
    const task = aTask();
    await supervisor.enqueue(task);
    const cause = new StoreFailedError("the disk is gone");
    supervisor.storage.refuse = () => cause;
    supervisor.storage.refuseRead = () => cause;

    await supervisor.advance(1_000);

    expect(await stateOf(supervisor.tree.failed)).toBe("resolved");
    expect(await supervisor.tree.failed).toBe(cause);
  });

  test("fails when an actor crashes for the sixth time in a minute, not for the fifth", async () => {
    const supervisor = await TestSupervisor.start();
    for (let crash = 1; crash <= 5; crash++) {
      supervisor.crash("sweeper");
      await supervisor.advance(10);
    }
    expect(await stateOf(supervisor.tree.failed)).toBe("pending");

    supervisor.crash("sweeper");
    await supervisor.settle();

    expect(await stateOf(supervisor.tree.failed)).toBe("resolved");
  });

  test("leaves queue and dispatcher alone when the sweeper crashes", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 100 }) });
    await supervisor.enqueue(...many(3));
    supervisor.storage.commits.splice(0);

    supervisor.crash("sweeper");
    await supervisor.settle();

    expect(supervisor.storage.commits).toEqual([]);
  });
});
