import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { StoreFullError } from "../../src/base/errors.ts";
import type { Change, Claim } from "../../src/storage/storage.ts";
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

describe("those who wait for a lease", () => {
  const claimsOf = (supervisor: TestSupervisor): Claim[] =>
    supervisor.storage.commits.flat().filter((change): change is Claim => change.type === "claim");

  test("are served by one claim for all of them", async () => {
    const supervisor = await start({ latencyMs: 3 });
    const answers = ["a", "b", "c", "d"].map(() => supervisor.lease(["default"], { waitMs: 1_000 }));
    await supervisor.advance(50);
    supervisor.storage.commits.splice(0);

    await supervisor.enqueue(...["one", "two", "three"].map((id) => aTask({ id })));
    await supervisor.advance(50);

    expect(claimsOf(supervisor).map(({ limit }) => limit)).toEqual([4]);
    const taken = await Promise.all(answers.slice(0, 3));
    expect(taken.map((lease) => lease?.task.id)).toEqual(["one", "two", "three"]);
    expect(await Promise.all(answers.map(stateOf))).toEqual(["resolved", "resolved", "resolved", "pending"]);
  });

  test("are not overtaken by one who comes while a task for them is being stored", async () => {
    const supervisor = await start({ latencyMs: 5 });
    const first = supervisor.lease(["default"], { waitMs: 1_000 });
    await supervisor.advance(50);
    const enqueued = supervisor.enqueue(aTask({ id: "task" }));
    await supervisor.settle();

    const late = supervisor.lease(["default"]);
    await supervisor.advance(50);

    expect(await enqueued).toEqual(["task"]);
    expect((await first)?.task.id).toBe("task");
    expect(await late).toBeUndefined();
  });

  test("are looked after when they come while a claim is under way, also those who would not wait", async () => {
    const supervisor = await start({ latencyMs: 5 });
    await supervisor.enqueue(aTask({ id: "one" }), aTask({ id: "two" }));
    const first = supervisor.lease(["default"]);
    await supervisor.settle();
    const others = [supervisor.lease(["default"]), supervisor.lease(["default"]), supervisor.lease(["other"])];
    await supervisor.advance(50);

    expect((await first)?.task.id).toBe("one");
    expect((await others[0])?.task.id).toBe("two");
    expect(await Promise.all(others.slice(1))).toEqual([undefined, undefined]);
    expect(claimsOf(supervisor).map(({ limit }) => limit)).toEqual([1, 2, 1]);
  });

  test("are not sent away before they have looked, when the wait of another is over", async () => {
    const supervisor = await start({ latencyMs: 10 });
    const patient = supervisor.lease(["default"], { waitMs: 100 });
    await supervisor.advance(95);
    const underWay = supervisor.lease(["default"]);
    await supervisor.advance(1);
    const enqueued = supervisor.enqueue(aTask({ id: "task" }));
    const hasty = supervisor.lease(["default"]);
    await supervisor.advance(50);

    await enqueued;
    expect(await Promise.all([patient, underWay])).toEqual([undefined, undefined]);
    expect((await hasty)?.task.id).toBe("task");
  });

  test("look again when something became ready before they learned that there was nothing", async () => {
    const supervisor = await start();
    const { storage } = supervisor;
    let tell = (): void => undefined;
    const told = new Promise<void>((resolve) => (tell = resolve));
    const commit = storage.commit.bind(storage);
    const commitAndWait = async (changes: readonly Change[]): Promise<unknown> => {
      const answers = await commit(changes);
      if (changes.some(({ type }) => type === "claim")) await told;
      return answers;
    };
    Object.assign(storage, { commit: commitAndWait });
    const answer = supervisor.lease(["default"], { waitMs: 60_000 });
    await supervisor.settle();
    await supervisor.enqueue(aTask({ id: "task" }));

    tell();
    await told;
    await supervisor.settle();

    expect(await stateOf(answer)).toBe("resolved");
    expect((await answer)?.task.id).toBe("task");
  });

  test("do not suffer from the refusal of a claim for others", async () => {
    const supervisor = await start({ latencyMs: 5 });
    await supervisor.enqueue(aTask({ id: "task" }));
    supervisor.storage.refuse = () => new StoreFullError("/store", 1, 2);
    const refused = supervisor.lease(["default"], { waitMs: 1_000 });
    await supervisor.settle();
    const late = supervisor.lease(["default"]);
    await supervisor.advance(5);
    supervisor.storage.refuse = undefined;
    await supervisor.advance(5);

    await expect(refused).rejects.toMatchObject({ code: "STORE_FULL" });
    expect((await late)?.task.id).toBe("task");
  });

  test("get what the first in line may have, whatever queues and lengths they ask for", async () => {
    const queues = fc.uniqueArray(fc.constantFrom("a", "b", "c"), { minLength: 1 });
    const wish = fc.record({ queues, leaseMs: fc.constantFrom(1_000, 2_000) });
    const task = fc.record({ queue: fc.constantFrom("a", "b", "c"), priority: fc.integer({ min: 0, max: 2 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(wish, { maxLength: 8 }), fc.array(task, { maxLength: 8 }), async (wishes, given) => {
        const supervisor = await start();
        const answers = wishes.map((one) => supervisor.lease(one.queues, { leaseMs: one.leaseMs, waitMs: 60_000 }));
        await supervisor.settle();
        const tasks = given.map((one) => aTask(one));
        if (tasks.length > 0) await supervisor.enqueue(...tasks);
        const servedAt = supervisor.clock.now();
        await supervisor.advance(60_000);

        const left = tasks.toSorted((one, other) => other.request.priority - one.request.priority);
        const expected = wishes.map((one) => {
          const at = left.findIndex(({ request }) => one.queues.some((queue) => queue === request.queue));
          return at < 0 ? undefined : [left.splice(at, 1)[0]?.id, servedAt + one.leaseMs];
        });
        const firstRound = (await Promise.all(answers)).map((lease) =>
          lease?.task.life.attempt === 1 ? [lease.task.id, lease.until] : undefined,
        );
        expect(firstRound).toEqual(expected);
      }),
      { numRuns: 100 },
    );
  });
});

describe("a lease that runs out", () => {
  test("more often than the task may be interrupted ends it as failed, tells who waits, and leaves room", async () => {
    const supervisor = await start({ queues: { default: { maxSize: 1 } } });
    await supervisor.enqueue(aTask({ id: "task", maxInterruptions: 1 }));
    await take(supervisor, { leaseMs: 100 });
    await supervisor.advance(100);
    expect(await supervisor.life("task")).toMatchObject({ state: "ready", interruptions: 1 });

    const lost = await take(supervisor, { leaseMs: 100 });
    const next = supervisor.ask((reply) => ({ type: "enqueue", tasks: [aTask({ id: "n" })], onFull: "wait", reply }));
    await supervisor.advance(100);

    expect(await supervisor.life("task")).toMatchObject({ state: "failed", reason: "interrupted", interruptions: 2 });
    expect(supervisor.listener.of("task")).toEqual([
      { id: "task", state: "failed", attempt: 2, reason: "interrupted" },
    ]);
    expect(await next).toEqual(["n"]);
    expect(await end(supervisor, lost, ack)).toBe(false);
  });

  test("for the last time is forgotten in its time", async () => {
    const supervisor = await start({ retention: { failedMs: 5_000 } });
    await supervisor.enqueue(aTask({ id: "task", maxInterruptions: 0 }));
    await take(supervisor, { leaseMs: 100 });
    await supervisor.advance(100);
    expect((await supervisor.life("task")).state).toBe("failed");

    await supervisor.advance(7_000);

    expect(await supervisor.task("task")).toBeUndefined();
  });

  test("for the last time tells those who wanted to cancel it that it is not cancelled", async () => {
    const supervisor = await start();
    await supervisor.enqueue(aTask({ id: "task", maxInterruptions: 0 }));
    await take(supervisor, { leaseMs: 100 });
    const cancelled = supervisor.cancel(["task"], "signal");

    await supervisor.advance(100);

    expect(await cancelled).toEqual([false]);
  });
});

test("a lease with ack auto that a full disk refuses comes back when it ends", async () => {
  const supervisor = await start();
  await supervisor.enqueue(aTask({ id: "task" }));
  const isSettle = (changes: readonly { readonly type: string }[]): boolean =>
    changes.some(({ type }) => type === "settle");
  supervisor.storage.refuse = (changes) => (isSettle(changes) ? new StoreFullError("/store", 1, 2) : undefined);

  const answer = supervisor.lease(["default"], { ack: "auto", leaseMs: 500 });
  await supervisor.settle();
  await expect(answer).rejects.toMatchObject({ code: "STORE_FULL" });
  expect((await supervisor.life("task")).state).toBe("running");
  await supervisor.advance(500);

  expect((await supervisor.life("task")).state).toBe("ready");
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
