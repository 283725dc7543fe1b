import { describe, expect, test } from "vitest";
import type { LeasedTask, LeaseEnd } from "../../src/supervisor/protocol.ts";
import { aTask, someBytes } from "../support/tasks.ts";
import { birth, stateOf, TestSupervisor, type SupervisorOptions } from "./test-supervisor.ts";

/** Without threads, tasks are left to those who lease them. */
const start = (options: SupervisorOptions = {}): Promise<TestSupervisor> =>
  TestSupervisor.start({ threads: 0, ...options });

type LeaseOptions = Parameters<TestSupervisor["lease"]>[1];

async function take(supervisor: TestSupervisor, options: LeaseOptions = {}): Promise<LeasedTask> {
  const answer = supervisor.lease(["default"], options);
  await supervisor.advance(20);
  const lease = await answer;
  if (lease === undefined) throw new Error("There was nothing to lease.");
  return lease;
}

const end = (supervisor: TestSupervisor, { task, fence }: LeasedTask, how: LeaseEnd): Promise<boolean> =>
  supervisor.answered((reply) => ({ type: "endLease", task, fence, end: how, reply }));

const release: LeaseEnd = { type: "release" };
const ack: LeaseEnd = { type: "ack", result: someBytes(7) };
const error = { name: "Error", message: "not today" };

describe("a lease", () => {
  test("gives the most important task of the given queues, then the oldest", async () => {
    const supervisor = await start();
    await supervisor.enqueue(
      aTask({ id: "old" }),
      aTask({ id: "urgent", priority: 3 }),
      aTask({ id: "far", queue: "far", priority: 9 }),
    );

    const taken = [await take(supervisor), await take(supervisor)];

    expect(taken.map(({ task }) => task.id)).toEqual(["urgent", "old"]);
    expect(taken[0]?.task.life).toMatchObject({ state: "running", attempt: 1 });
  });

  test("is answered with nothing at once when nobody wants to wait", async () => {
    const supervisor = await start();
    const answer = supervisor.lease(["default"]);
    await supervisor.settle();

    expect(await answer).toBeUndefined();
  });

  test("is answered with nothing exactly when the wait is over", async () => {
    const supervisor = await start();
    const answers = [supervisor.lease(["default"], { waitMs: 200 }), supervisor.lease(["default"], { waitMs: 100 })];

    await supervisor.advance(99);
    expect(await Promise.all(answers.map(stateOf))).toEqual(["pending", "pending"]);
    await supervisor.advance(1);
    expect(await Promise.all(answers.map(stateOf))).toEqual(["pending", "resolved"]);
    await supervisor.advance(100);

    expect(await Promise.all(answers)).toEqual([undefined, undefined]);
  });

  test("waits, and those who wait are served in the order in which they came", async () => {
    const supervisor = await start({ latencyMs: 3 });
    const answers = [1, 2, 3].map(() => supervisor.lease(["default"], { waitMs: 1_000 }));
    await supervisor.advance(50);

    await supervisor.enqueue(aTask({ id: "one" }), aTask({ id: "two" }));
    await supervisor.advance(50);

    expect(await Promise.all(answers.map(stateOf))).toEqual(["resolved", "resolved", "pending"]);
    expect((await answers[0])?.task.id).toBe("one");
    expect((await answers[1])?.task.id).toBe("two");
  });

  test.each<[string, (supervisor: TestSupervisor) => Promise<unknown>]>([
    ["a task falls due", (supervisor) => supervisor.advance(100)],
    ["a lease is released", (supervisor) => take(supervisor).then((lease) => end(supervisor, lease, release))],
    ["a lease runs out", (supervisor) => take(supervisor, { leaseMs: 30 }).then(() => supervisor.advance(50))],
    ["a task is requeued", (supervisor) => supervisor.answered((reply) => ({ type: "requeue", ids: ["task"], reply }))],
    ["a queue is continued", (supervisor) => supervisor.configure("default", { isPaused: false })],
    [
      "a place is free where concurrency is limited",
      (supervisor) => take(supervisor, { ack: "auto" }).then(() => supervisor.settle()),
    ],
  ])("that waits is served when %s", async (what, happen) => {
    const supervisor = await start();
    const runAt = what.includes("due") ? { runAt: birth + 60 } : {};
    await supervisor.enqueue(aTask({ id: "task", ...runAt }), aTask({ id: "elsewhere", queue: "elsewhere" }));
    if (what.includes("requeued")) await Promise.all([supervisor.cancel(["task"]), supervisor.settle()]);
    if (what.includes("continued")) await supervisor.configure("default", { isPaused: true });
    if (what.includes("concurrency")) {
      await supervisor.configure("default", { concurrency: 1 });
      await supervisor.enqueue(aTask({ id: "next" }));
    }
    // Where the task has to be taken first, the one who waits comes second.
    const isTaken = what.includes("lease") || what.includes("concurrency");
    const first = isTaken ? happen(supervisor) : undefined;
    const answer = supervisor.lease(["default"], { waitMs: 10_000 });
    if (!isTaken) await supervisor.settle();
    await (first ?? happen(supervisor));
    await supervisor.advance(100);

    expect(await stateOf(answer)).toBe("resolved");
    expect((await answer)?.task.id).toBe(what.includes("concurrency") ? "next" : "task");
  });

  test("that runs out makes the task ready again as an interruption, and its end does not count any more", async () => {
    const supervisor = await start();
    await supervisor.enqueue(aTask({ id: "task" }));
    const lost = await take(supervisor, { leaseMs: 100 });

    await supervisor.advance(100);
    expect(await supervisor.life("task")).toMatchObject({ state: "ready", interruptions: 1, failures: 0 });
    const found = await take(supervisor);

    expect(found.task.life.attempt).toBe(2);
    expect(await end(supervisor, lost, ack)).toBe(false);
    expect(await end(supervisor, found, ack)).toBe(true);
  });

  test("that is extended lasts from then on", async () => {
    const supervisor = await start();
    await supervisor.enqueue(aTask({ id: "task" }));
    const lease = await take(supervisor, { leaseMs: 100 });
    await supervisor.advance(50);

    expect(await end(supervisor, lease, { type: "extend", leaseMs: 500 })).toBe(true);
    await supervisor.advance(490);
    expect((await supervisor.life("task")).state).toBe("running");
    await supervisor.advance(20);

    expect((await supervisor.life("task")).state).toBe("ready");
    expect(await end(supervisor, lease, { type: "extend", leaseMs: 500 })).toBe(false);
  });

  test("with ack auto is completed before it is answered", async () => {
    const supervisor = await start();
    await supervisor.enqueue(aTask({ id: "task" }));

    await take(supervisor, { ack: "auto" });

    expect(await supervisor.life("task")).toMatchObject({ state: "completed", attempt: 1 });
    expect(supervisor.listener.of("task")).toMatchObject([{ state: "completed" }]);
  });
});

describe("the end of a lease", () => {
  test("by ack completes the task with the result, and tells who waits", async () => {
    const supervisor = await start();
    await supervisor.enqueue(aTask({ id: "task" }));

    expect(await end(supervisor, await take(supervisor), ack)).toBe(true);

    expect(await supervisor.storage.inner.result("task")).toEqual(someBytes(7));
    expect(supervisor.listener.of("task")).toMatchObject([{ state: "completed", result: someBytes(7) }]);
  });

  test("by ack keeps the result as long as the task says", async () => {
    const supervisor = await start();
    await supervisor.enqueue(aTask({ id: "task", resultTtlMs: 5_000 }));
    await end(supervisor, await take(supervisor), ack);

    await supervisor.advance(7_000);

    expect(await supervisor.storage.inner.result("task")).toBeUndefined();
  });

  test("by nack is a failure: retried as the task says, then a dead letter", async () => {
    const supervisor = await start();
    const backoff = { type: "fixed", delayMs: 100, factor: 1, maxMs: 100, jitter: 0 } as const;
    await supervisor.enqueue(aTask({ id: "task", maxRetries: 1, backoff }));

    await end(supervisor, await take(supervisor), { type: "nack", error });
    expect(await supervisor.life("task")).toMatchObject({
      state: "retrying",
      failures: 1,
      runAt: supervisor.clock.now() + 100,
    });
    await supervisor.advance(100);
    await end(supervisor, await take(supervisor), { type: "nack", error });

    expect(await supervisor.life("task")).toMatchObject({
      state: "failed",
      reason: "error",
      failed: [{ error }, { error }],
    });
    expect(supervisor.listener.of("task")).toMatchObject([{ state: "failed", error }]);
  });

  test("by nack with a delay is exactly that long", async () => {
    const supervisor = await start();
    await supervisor.enqueue(aTask({ id: "task", maxRetries: 1 }));

    await end(supervisor, await take(supervisor), { type: "nack", error, delayMs: 77 });

    expect(await supervisor.life("task")).toMatchObject({ runAt: supervisor.clock.now() + 77 });
  });

  test("by release gives the task back at once, without a failure and under the next number", async () => {
    const supervisor = await start();
    await supervisor.enqueue(aTask({ id: "task" }));
    const lease = await take(supervisor);

    expect(await end(supervisor, lease, release)).toBe(true);

    expect(await supervisor.life("task")).toMatchObject({ state: "ready", failures: 0, interruptions: 0 });
    expect((await take(supervisor)).task.life.attempt).toBe(2);
    expect(await end(supervisor, lease, ack)).toBe(false);
  });

  test("by release lets the dispatcher have the task", async () => {
    const supervisor = await start({ threads: 1, behave: () => ({ durationMs: 100 }) });
    // The worker has all it can hold.
    await supervisor.enqueue(aTask(), aTask(), aTask(), aTask({ id: "task" }));
    const lease = await take(supervisor, { leaseMs: 10_000 });
    expect(lease.task.id).toBe("task");
    await supervisor.advance(400);

    await end(supervisor, lease, release);
    await supervisor.advance(150);

    expect((await supervisor.life("task")).state).toBe("completed");
  });

  test("makes room in a full queue", async () => {
    const supervisor = await start({ queues: { default: { maxSize: 1 } } });
    await supervisor.enqueue(aTask());
    const lease = await take(supervisor);
    const second = supervisor.ask((reply) => ({
      type: "enqueue",
      tasks: [aTask({ id: "second" })],
      onFull: "wait",
      reply,
    }));
    await supervisor.settle();
    expect(await stateOf(second)).toBe("pending");

    await end(supervisor, lease, ack);

    expect(await stateOf(second)).toBe("resolved");
  });
});

describe("cancelling a leased task", () => {
  test("is told when the lease ends: cancelled if the task came back, not if it was acknowledged", async () => {
    const supervisor = await start();
    await supervisor.enqueue(aTask({ id: "back" }), aTask({ id: "done" }), aTask({ id: "lost" }));
    const [back, done] = [await take(supervisor), await take(supervisor), await take(supervisor, { leaseMs: 500 })];
    const answer = supervisor.cancel(["back", "done", "lost"], "signal");
    await supervisor.settle();
    expect(await stateOf(answer)).toBe("pending");

    await end(supervisor, back, { type: "nack", error });
    await end(supervisor, done, ack);
    await supervisor.advance(500);

    expect(await answer).toEqual([false, false, true]);
    expect((await supervisor.life("lost")).state).toBe("cancelled");
    expect((await supervisor.life("done")).state).toBe("completed");
  });
});
