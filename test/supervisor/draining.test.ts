import { describe, expect, test } from "vitest";
import { StoreFullError } from "../../src/base/errors.ts";
import type { DrainReport, LeasedTask } from "../../src/supervisor/protocol.ts";
import { aTask } from "../support/tasks.ts";
import { birth, stateOf, TestSupervisor } from "./test-supervisor.ts";

const drain = (supervisor: TestSupervisor, waitMs?: number): Promise<DrainReport | undefined> =>
  supervisor.ask((reply) => ({ type: "drain", ...(waitMs === undefined ? {} : { waitMs }), reply }));
const nothing: DrainReport = { paused: 0, parked: 0, scheduled: 0, blocked: 0, held: 0 };

/** The moment at which a drain resolves, after the birth of all tasks. */
async function drainedAt(supervisor: TestSupervisor): Promise<number> {
  const drained = drain(supervisor);
  for (let step = 0; step < 10_000; step++) {
    await supervisor.settle();
    if ((await stateOf(drained)) === "resolved") break;
    await supervisor.advance(1);
  }
  return supervisor.clock.now() - birth;
}

describe("drain", () => {
  test("resolves at once when there is nothing", async () => {
    const supervisor = await TestSupervisor.start();
    const drained = drain(supervisor);
    await supervisor.settle();

    expect(await drained).toEqual(nothing);
  });

  test("resolves with the end of the last task, not before and not later", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 10 }) });
    await supervisor.enqueue(...Array.from({ length: 7 }, () => aTask()));

    expect(await drainedAt(supervisor)).toBe(70);
    expect(supervisor.listener.outcomes).toHaveLength(7);
  });

  test("waits for tasks that a limited concurrency keeps back", async () => {
    const supervisor = await TestSupervisor.start({ threads: 4, queues: { narrow: { concurrency: 2 } } });
    await supervisor.enqueue(...Array.from({ length: 6 }, () => aTask({ queue: "narrow" })));

    expect(await drainedAt(supervisor)).toBe(30);
  });

  test("waits for retries", async () => {
    const supervisor = await TestSupervisor.start({
      behave: ({ life }) => ({ durationMs: 10, ...(life.attempt < 3 ? { end: "error" as const } : {}) }),
    });
    const backoff = { type: "fixed", delayMs: 100, factor: 1, maxMs: 100, jitter: 0 } as const;
    await supervisor.enqueue(aTask({ maxRetries: 5, backoff }));

    expect(await drainedAt(supervisor)).toBe(230);
  });

  test("waits for leases", async () => {
    const supervisor = await TestSupervisor.start({ threads: 0 });
    await supervisor.enqueue(aTask());
    void supervisor.lease(["default"], { leaseMs: 500 });
    await supervisor.settle();
    const drained = drain(supervisor);

    await supervisor.advance(499);
    expect(await stateOf(drained)).toBe("pending");
  });

  test("is asked before the dispatcher has started, and still waits", async () => {
    const supervisor = await TestSupervisor.start({ queues: { default: { isPaused: true } } });
    await supervisor.enqueue(...Array.from({ length: 4 }, () => aTask()));
    // All three are handled before the next life of the dispatcher can say anything.
    supervisor.crash("queue");
    const patch = { isPaused: false };
    void supervisor.ask<unknown>((reply) => ({ type: "configureQueue", queue: "default", patch, reply }));
    const drained = drain(supervisor);
    await supervisor.advance(35);
    expect(await stateOf(drained)).toBe("pending");
    await supervisor.advance(10);

    expect(await drained).toEqual(nothing);
    expect(supervisor.executor.starts).toHaveLength(4);
  });

  test("does not wait for what cannot run now, and counts it", async () => {
    const supervisor = await TestSupervisor.start({
      latencyMs: 2,
      queues: { still: { isPaused: true } },
      stored: [aTask({ name: "stranger" }), aTask({ name: "stranger" })],
    });
    await supervisor.enqueue(
      aTask({ queue: "still" }),
      aTask({ queue: "still" }),
      aTask({ queue: "still" }),
      aTask({ runAt: birth + 1e6 }),
      aTask(),
    );
    const drained = drain(supervisor);
    await supervisor.advance(100);

    expect(await drained).toEqual({ paused: 3, parked: 2, scheduled: 1, blocked: 0, held: 0 });
  });

  test("does not wait for parked tasks alone", async () => {
    const supervisor = await TestSupervisor.start({ latencyMs: 5 });
    await supervisor.enqueue(aTask({ name: "stranger" }));
    const drained = drain(supervisor);
    await supervisor.advance(100);

    expect(await drained).toEqual({ ...nothing, parked: 1 });
  });

  test("resolves when the queue that it waits for is paused", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 5, end: "error" }) });
    await supervisor.enqueue(aTask({ maxRetries: 9 }));
    await supervisor.advance(10);
    const drained = drain(supervisor);
    await supervisor.settle();
    expect(await stateOf(drained)).toBe("pending");

    await supervisor.configure("default", { isPaused: true });

    expect(await drained).toEqual({ ...nothing, paused: 1 });
  });

  test.each(["cancel", "delete", "purge"] as const)("resolves when what it waits for is gone by %s", async (how) => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 5, end: "error" }) });
    await supervisor.enqueue(aTask({ id: "task", maxRetries: 9 }));
    await supervisor.advance(10);
    const drained = drain(supervisor);

    if (how === "cancel") void supervisor.cancel(["task"]);
    else if (how === "delete") void supervisor.ask((reply) => ({ type: "delete", ids: ["task"], force: false, reply }));
    else void supervisor.ask((reply) => ({ type: "purge", query: {}, reply }));
    await supervisor.settle();

    expect(await drained).toEqual(nothing);
  });

  test("waits for ends that are kept because the disk is full", async () => {
    const supervisor = await TestSupervisor.start();
    await supervisor.enqueue(aTask());
    supervisor.storage.refuse = () => new StoreFullError("/store", 1, 2);
    const drained = drain(supervisor);
    await supervisor.advance(500);
    expect(await stateOf(drained)).toBe("pending");

    supervisor.storage.refuse = undefined;
    await supervisor.advance(1_000);

    expect(await drained).toEqual(nothing);
  });

  test("answers everyone who asks", async () => {
    const supervisor = await TestSupervisor.start();
    await supervisor.enqueue(aTask());
    const drains = [drain(supervisor), drain(supervisor)];
    await supervisor.advance(20);

    expect(await Promise.all(drains)).toEqual([nothing, nothing]);
  });
});

describe("drain without threads", () => {
  const take = async (supervisor: TestSupervisor): Promise<LeasedTask> => {
    const lease = await supervisor.lease(["default"], { leaseMs: 10_000 });
    if (lease === undefined) throw new Error("There was nothing to lease.");
    return lease;
  };

  test("waits until what is ready has been leased and ended", async () => {
    const supervisor = await TestSupervisor.start({ threads: 0 });
    await supervisor.enqueue(aTask(), aTask());
    const drained = drain(supervisor);
    for (let left = 2; left > 0; left--) {
      await supervisor.advance(100);
      expect(await stateOf(drained)).toBe("pending");
      const lease = take(supervisor);
      await supervisor.settle();
      const { task, fence } = await lease;
      const end = { type: "ack", result: task.args } as const;
      await supervisor.answered((reply) => ({ type: "endLease", task, fence, end, reply }));
    }

    expect(await drained).toEqual(nothing);
  });

  test("waits for a lease of a queue that was paused since", async () => {
    const supervisor = await TestSupervisor.start({ threads: 0 });
    await supervisor.enqueue(aTask());
    const lease = take(supervisor);
    await supervisor.settle();
    const { task, fence } = await lease;
    await supervisor.configure("default", { isPaused: true });
    const drained = drain(supervisor);
    await supervisor.settle();
    expect(await stateOf(drained)).toBe("pending");

    await supervisor.answered((reply) => ({ type: "endLease", task, fence, end: { type: "release" }, reply }));

    expect(await drained).toEqual({ ...nothing, paused: 1 });
  });

  test("resolves at once when everything is paused", async () => {
    const supervisor = await TestSupervisor.start({ threads: 0, queues: { default: { isPaused: true } } });
    await supervisor.enqueue(aTask(), aTask());
    const drained = drain(supervisor);
    await supervisor.settle();

    expect(await drained).toEqual({ ...nothing, paused: 2 });
  });

  test.each<[string, (supervisor: TestSupervisor) => Promise<unknown>]>([
    ["its queue is paused", (supervisor) => supervisor.configure("default", { isPaused: true })],
    ["it expires", (supervisor) => supervisor.advance(100)],
    ["it expires under a claim", (supervisor) => (supervisor.clock.jumpTo(birth + 100), supervisor.lease(["default"]))],
    ["it is cancelled", (supervisor) => supervisor.cancel(["task"])],
  ])("resolves when the last task may not run any more because %s", async (_, happen) => {
    const supervisor = await TestSupervisor.start({ threads: 0 });
    await supervisor.enqueue(aTask({ id: "task", expiresAt: birth + 100 }));
    const drained = drain(supervisor);
    await supervisor.settle();
    expect(await stateOf(drained)).toBe("pending");

    const happened = happen(supervisor);
    await supervisor.settle();
    await happened;

    expect(await stateOf(drained)).toBe("resolved");
  });

  test("tells tasks that are parked from those that are not", async () => {
    const supervisor = await TestSupervisor.start({ threads: 0 });
    const { inner } = supervisor.storage;
    const strangers = ["default", "still"].map((queue) => aTask({ name: "stranger", queue }));
    await inner.commit([{ type: "enqueue", tasks: strangers }]);
    const [{ tasks }] = await inner.commit([{ type: "claim", limit: 2, now: birth, owner: "test" }]);
    const settlements = tasks.map(({ id, life: { attempt } }) => {
      return { id, fence: { epoch: 1, attempt }, end: { to: "ready", cause: "parked" } } as const;
    });
    await inner.commit([{ type: "settle", now: birth, settlements }]);
    await supervisor.configure("still", { isPaused: true });
    await supervisor.enqueue(...["one", "two", "three"].map((id) => aTask({ id })));
    let lists = 0;
    supervisor.storage.refuseRead = (read) => void (lists += read === "list" ? 1 : 0);
    const drained = drain(supervisor);
    await supervisor.settle();
    // Where more is ready than parked, nobody has to look which is which.
    expect(lists).toBe(0);
    void supervisor.cancel(["one", "two"]);
    await supervisor.settle();
    expect(await stateOf(drained)).toBe("pending");

    void supervisor.cancel(["three"]);
    await supervisor.settle();

    expect(await drained).toEqual({ ...nothing, parked: 2 });
  });

  test("waits for what was stored before it was asked, though another one was just being answered", async () => {
    const supervisor = await TestSupervisor.start({ threads: 0 });
    const first = drain(supervisor);
    const enqueued = supervisor.ask((reply) => ({ type: "enqueue", tasks: [aTask()], onFull: "error", reply }));
    const second = drain(supervisor);
    await supervisor.settle();

    await enqueued;
    expect(await stateOf(first)).toBe("resolved");
    expect(await stateOf(second)).toBe("pending");
  });
});

describe("a report of drain", () => {
  test("counts parked tasks of paused queues once", async () => {
    const stored = [
      aTask({ name: "stranger" }),
      ...Array.from({ length: 1_100 }, () => aTask({ name: "stranger", queue: "still" })),
      aTask({ name: "stranger", version: "2", queue: "still" }),
      aTask({ name: "nobody", queue: "still" }),
    ];
    const supervisor = await TestSupervisor.start({ stored });
    await supervisor.configure("still", { isPaused: true });
    await supervisor.enqueue(aTask({ queue: "still" }));
    const drained = drain(supervisor);
    await supervisor.settle();

    expect(await drained).toEqual({ ...nothing, paused: 1, parked: 1_103 });
  });
});

describe("a drain that may take so long and no longer", () => {
  test("is answered with nothing exactly when its time is over, and others go on", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 500 }) });
    await supervisor.enqueue(aTask());
    const drains = [drain(supervisor, 200), drain(supervisor, 100), drain(supervisor)];

    await supervisor.advance(99);
    expect(await Promise.all(drains.map(stateOf))).toEqual(["pending", "pending", "pending"]);
    await supervisor.advance(1);
    expect(await Promise.all(drains.map(stateOf))).toEqual(["pending", "resolved", "pending"]);
    await supervisor.advance(500);

    expect(await Promise.all(drains)).toEqual([undefined, undefined, nothing]);
  });

  test("is forgotten then: nothing is counted for it any more", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 500 }) });
    await supervisor.enqueue(aTask());
    void drain(supervisor, 100);
    await supervisor.advance(100);
    let reads = 0;
    supervisor.storage.refuseRead = (read) => void (reads += read === "counts" ? 1 : 0);

    await supervisor.advance(1_000);

    expect(supervisor.listener.outcomes).toHaveLength(1);
    expect(reads).toBe(0);
  });
});

describe("closing", () => {
  const stopClaiming = (supervisor: TestSupervisor): Promise<void> =>
    supervisor.ask((reply) => ({ type: "stopClaiming", reply }));
  const finish = (supervisor: TestSupervisor): Promise<void> =>
    supervisor.dispatcher.ask((reply) => ({ type: "finish", reply }), 1e12);

  test("starts nothing more, lets running tasks finish, and gives back what was not started", async () => {
    const supervisor = await TestSupervisor.start({ threads: 2, behave: () => ({ durationMs: 100 }) });
    const tasks = Array.from({ length: 10 }, () => aTask());
    await supervisor.enqueue(...tasks);
    await supervisor.advance(50);

    const stopped = stopClaiming(supervisor);
    await supervisor.settle();
    expect(await stateOf(stopped)).toBe("resolved");
    const finished = finish(supervisor);
    await supervisor.advance(49);
    expect(await stateOf(finished)).toBe("pending");
    await supervisor.advance(1);

    expect(await stateOf(finished)).toBe("resolved");
    expect(await supervisor.counts()).toEqual({ completed: 2, ready: 8 });
    for (const { id } of tasks.slice(2)) expect((await supervisor.life(id)).attempt).toBe(0);
    await supervisor.enqueue(aTask());
    await supervisor.advance(1_000);
    expect(supervisor.executor.starts).toHaveLength(2);
  });

  test("gives back the rest of a batch of short tasks", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 0.125 }) });
    await supervisor.enqueue(...Array.from({ length: 20 }, () => aTask()));
    await supervisor.advance(50);
    await supervisor.enqueue(...Array.from({ length: 100 }, () => aTask()));
    await supervisor.advance(0.5);

    void stopClaiming(supervisor);
    void finish(supervisor);
    await supervisor.settle();
    const started = supervisor.executor.starts.length;
    await supervisor.advance(100);

    expect(supervisor.executor.starts).toHaveLength(started);
    expect(await supervisor.counts()).toEqual({ completed: started, ready: 120 - started });
  });

  test("waits for claims that are under way, so that they are given back as well", async () => {
    const supervisor = await TestSupervisor.start({ latencyMs: 10 });
    await supervisor.advance(20);
    const enqueued = supervisor.ask((reply) => ({
      type: "enqueue",
      tasks: [aTask({ id: "task" })],
      onFull: "error",
      reply,
    }));
    await supervisor.settle();
    const stopped = stopClaiming(supervisor);
    await supervisor.advance(5);
    expect(await stateOf(stopped)).toBe("pending");
    await supervisor.advance(5);

    expect(await stateOf(stopped)).toBe("resolved");
    expect(await enqueued).toEqual(["task"]);
    void finish(supervisor);
    await supervisor.advance(50);
    expect((await supervisor.life("task")).state).toMatch(/completed|ready/);
  });

  test("asks for nothing more when the dispatcher finishes, though the queue would still claim", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 50 }) });
    await supervisor.enqueue(...Array.from({ length: 10 }, () => aTask()));

    const finished = finish(supervisor);
    await supervisor.advance(100);

    expect(await stateOf(finished)).toBe("resolved");
    expect(await supervisor.counts()).toEqual({ completed: 1, ready: 9 });
  });

  test("gives nothing to those who lease, and lets those who wait go", async () => {
    const supervisor = await TestSupervisor.start({ threads: 0 });
    const waiting = supervisor.lease(["default"], { waitMs: 60_000 });
    await supervisor.settle();
    void stopClaiming(supervisor);
    await supervisor.enqueue(aTask({ id: "task" }));

    const late = supervisor.lease(["default"], { waitMs: 60_000 });
    await supervisor.settle();

    expect(await waiting).toBeUndefined();
    expect(await late).toBeUndefined();
    expect((await supervisor.life("task")).state).toBe("ready");
  });

  test("leaves every task settled when the executor is closed over running ones and the tree is drained", async () => {
    const supervisor = await TestSupervisor.start({
      threads: 2,
      latencyMs: 3,
      behave: () => ({ durationMs: Infinity }),
    });
    await supervisor.enqueue(...Array.from({ length: 10 }, () => aTask()));
    await supervisor.advance(50);
    void stopClaiming(supervisor);
    await supervisor.settle();
    void finish(supervisor);
    await supervisor.advance(100);

    await supervisor.executor.close();
    const drained = supervisor.tree.drain();
    await supervisor.advance(100);

    expect(await stateOf(drained)).toBe("resolved");
    expect(supervisor.tree.undelivered).toBe(0);
    expect(await supervisor.counts()).toEqual({ ready: 10 });
  });
});
