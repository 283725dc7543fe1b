import { describe, expect, test } from "vitest";
import type { Change } from "../../src/storage/storage.ts";
import { largestBatch } from "../../src/supervisor/batching.ts";
import { handlerKey } from "../../src/task/task.ts";
import { aTask } from "../support/tasks.ts";
import { birth, stateOf, TestSupervisor } from "./test-supervisor.ts";

const typesOf = (commits: readonly (readonly { readonly type: string }[])[]): string[] =>
  commits.map((changes) => changes.map(({ type }) => type).join("+"));

describe("a claim", () => {
  test("rides along with the enqueue that makes it worth while, and with the settlement that frees a place", async () => {
    const supervisor = await TestSupervisor.start();
    await supervisor.advance(1);
    supervisor.storage.commits.splice(0);
    const task = aTask();

    await supervisor.enqueue(task);
    expect(typesOf(supervisor.storage.commits)).toEqual(["enqueue+claim"]);
    await supervisor.advance(10);

    expect((await supervisor.life(task.id)).state).toBe("completed");
    expect(typesOf(supervisor.storage.commits)[1]).toBe("settle+claim");
  });

  test("costs no commit of its own while there is work: as many commits as ends", async () => {
    const supervisor = await TestSupervisor.start();
    const tasks = Array.from({ length: 20 }, () => aTask({ name: "long" }));
    await supervisor.enqueue(...tasks);
    supervisor.storage.commits.splice(0);

    await supervisor.advance(10 * 20);

    expect(supervisor.storage.ends).toHaveLength(20);
    expect(supervisor.storage.commitsOf("settle")).toHaveLength(20);
    expect(supervisor.storage.commits.length).toBeLessThanOrEqual(22);
  });

  test("is made again alone when it was refused together with an enqueue", async () => {
    const supervisor = await TestSupervisor.start();
    await supervisor.settle();
    const twin = aTask({ id: "twin" });
    await supervisor.enqueue(twin);
    await supervisor.advance(20);

    await expect(supervisor.enqueue(twin)).rejects.toMatchObject({ code: "DUPLICATE_TASK" });
    await supervisor.enqueue(aTask({ id: "next" }));
    await supervisor.advance(20);

    expect(supervisor.listener.of("next")).toMatchObject([{ state: "completed" }]);
  });

  test("asks for no more than three half batches per slot", async () => {
    const supervisor = await TestSupervisor.start({
      threads: 2,
      latencyMs: 2,
      behave: ({ request }) => ({ durationMs: request.name === "short" ? 0.01 : 50 }),
    });
    const bound = 1.5 * supervisor.executor.slots * largestBatch;
    const tasks = Array.from({ length: 5_000 }, (_, index) => aTask({ name: index < 4_000 ? "short" : "long" }));
    await supervisor.enqueue(...tasks);

    let most = 0;
    for (let step = 0; step < 600; step++) {
      await supervisor.advance(0.5);
      most = Math.max(most, (await supervisor.counts()).running ?? 0);
    }

    expect(most).toBeLessThanOrEqual(bound);
    expect(most).toBeGreaterThan(largestBatch);
    expect(supervisor.executor.starts.length).toBeGreaterThan(4_000);
  });

  test("buffers no more than three half slots of tasks that nothing is known about", async () => {
    const supervisor = await TestSupervisor.start({ threads: 2, behave: () => ({ durationMs: Infinity }) });
    await supervisor.enqueue(...Array.from({ length: 50 }, () => aTask()));

    expect(await supervisor.counts()).toMatchObject({ running: 6, ready: 44 });
  });

  test("takes tasks over all queues by priority, then as they came", async () => {
    const queues = ["a", "b", "c"];
    const priorities = [5, -3, 0, 5, 900, -1_000, 0, 7, 7, 1];
    const tasks = priorities.map((priority, index) => aTask({ priority, queue: queues[index % 3] ?? "a" }));
    const supervisor = await TestSupervisor.start({ stored: tasks });

    await supervisor.advance(1_000);

    const expected = tasks.toSorted((one, other) => other.request.priority - one.request.priority);
    expect(supervisor.executor.starts.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
  });

  test("lets a task of higher priority pass those that are claimed and not given to a worker yet", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 100 }) });
    // Known to be long, so that nothing is given to a worker that is busy.
    await supervisor.enqueue(aTask());
    await supervisor.advance(150);
    const low = Array.from({ length: 10 }, () => aTask());
    await supervisor.enqueue(...low);
    await supervisor.advance(10);
    await supervisor.enqueue(aTask({ id: "urgent", priority: 10 }));

    await supervisor.advance(2_000);

    // One runs, and one is started before the urgent one can be claimed.
    const order = supervisor.executor.starts.slice(1).map(({ id }) => id);
    expect(order.indexOf("urgent")).toBeLessThanOrEqual(2);
    expect(order).toHaveLength(11);
  });

  test("comes again when a task of a queue with limited concurrency ends", async () => {
    const supervisor = await TestSupervisor.start({ threads: 2, queues: { narrow: { concurrency: 1 } } });
    const tasks = Array.from({ length: 5 }, () => aTask({ queue: "narrow" }));
    await supervisor.enqueue(...tasks);

    await supervisor.advance(100);

    expect(supervisor.executor.starts.map(({ at }) => at)).toEqual([0, 10, 20, 30, 40].map((ms) => birth + ms));
  });
});

describe("parked names", () => {
  test("are set aside, counted apart, and do not hold up others", async () => {
    const strangers = Array.from({ length: 30 }, () => aTask({ name: "stranger", priority: 10 }));
    const known = aTask();
    const supervisor = await TestSupervisor.start({ stored: [...strangers, known], latencyMs: 1 });

    await supervisor.advance(100);

    expect((await supervisor.life(known.id)).state).toBe("completed");
    expect((await supervisor.storage.inner.counts()).parked).toBe(30);
    expect(await supervisor.life(strangers[0]?.id ?? "")).toMatchObject({ state: "ready", attempt: 0, parked: true });
    expect(supervisor.executor.starts).toHaveLength(1);
  });

  test("run when the queue is started with their name", async () => {
    const stranger = aTask({ name: "stranger" });
    const names = new Set<string>(["greet"]);
    const supervisor = await TestSupervisor.start({ stored: [stranger], names });
    expect(await supervisor.life(stranger.id)).toMatchObject({ parked: true });

    names.add("stranger");
    supervisor.crash("queue");
    await supervisor.advance(50);

    expect(await supervisor.life(stranger.id)).toMatchObject({ state: "completed", attempt: 1 });
  });

  test("stay parked when the queue is started with other versions of them", async () => {
    const [one, two] = ["1", "2"].map((version) => aTask({ name: "stranger", version }));
    const names = new Set<string>(["greet"]);
    const supervisor = await TestSupervisor.start({ stored: [one, two].flatMap((task) => task ?? []), names });
    supervisor.storage.commits.splice(0);

    names.add("stranger").add(handlerKey({ name: "stranger", version: "2" }));
    supervisor.crash("queue");
    await supervisor.advance(50);

    expect(await supervisor.life(one?.id ?? "")).toMatchObject({ state: "ready", parked: true });
    expect(await supervisor.life(two?.id ?? "")).toMatchObject({ state: "completed", attempt: 1 });
    expect(supervisor.storage.commitsOf("settle").flatMap(endsIn)).toEqual(["completed"]);
  });
});

const endsIn = (changes: readonly Change[]): string[] =>
  changes.flatMap((change) => (change.type === "settle" ? change.settlements.map(({ end }) => end.to) : []));

describe("waiting", () => {
  test("tells each waiter once, also of a task that ends in the turn in which it is enqueued", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 0 }) });
    const late = aTask({ expiresAt: birth - 1 });
    const quick = aTask();

    await supervisor.enqueue(late, quick);
    await supervisor.advance(100);

    expect(supervisor.listener.of(late.id)).toMatchObject([{ state: "expired" }]);
    expect(supervisor.listener.of(quick.id)).toMatchObject([{ state: "completed", attempt: 1, result: quick.args }]);
  });

  test("tells of a task that expired between attempts which was the last", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 5, end: "error" }) });
    const backoff = { type: "fixed", delayMs: 1_000, factor: 1, maxMs: 1_000, jitter: 0 } as const;
    const task = aTask({ maxRetries: 9, backoff, expiresAt: birth + 500 });
    await supervisor.enqueue(task);

    await supervisor.advance(600);

    expect(supervisor.listener.of(task.id)).toEqual([{ id: task.id, state: "expired", attempt: 1 }]);
  });

  test("tells a waiter once that waits twice", async () => {
    const supervisor = await TestSupervisor.start();
    const task = aTask();
    await supervisor.enqueue(task);
    supervisor.queue.tell({ type: "wait", ids: [task.id], sink: supervisor.listener });

    await supervisor.advance(50);

    expect(supervisor.listener.of(task.id)).toHaveLength(1);
  });

  test("tells at once of tasks that have ended, and of ids that do not exist", async () => {
    const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: 1, end: { isRetryable: false } }) });
    const task = aTask();
    await supervisor.enqueue(task);
    await supervisor.advance(50);
    supervisor.listener.outcomes.splice(0);

    supervisor.queue.tell({ type: "wait", ids: ["nowhere", task.id], sink: supervisor.listener });
    await supervisor.settle();

    expect(supervisor.listener.outcomes).toMatchObject([
      { id: "nowhere", state: "unknown" },
      { id: task.id, state: "failed", reason: "error", error: { message: "thrown by the handler" } },
    ]);
  });

  test("ends with stopWaiting, for that waiter alone", async () => {
    const supervisor = await TestSupervisor.start();
    const task = aTask();
    const told: string[] = [];
    const other = { deliver: () => void told.push("other") };
    await supervisor.enqueue(task);
    supervisor.queue.tell({ type: "wait", ids: [task.id], sink: other });
    supervisor.queue.tell({ type: "stopWaiting", ids: [task.id], sink: supervisor.listener });

    await supervisor.advance(50);

    expect(supervisor.listener.outcomes).toEqual([]);
    expect(told).toEqual(["other"]);
  });
});

describe("a full queue", () => {
  test('resumes calls with onFull: "wait" in the order in which they came', async () => {
    const supervisor = await TestSupervisor.start({ queues: { small: { maxSize: 1 } } });
    const stored: string[] = [];
    for (const id of ["one", "two", "three"]) {
      void supervisor
        .ask((reply) => ({ type: "enqueue", tasks: [aTask({ id, queue: "small" })], onFull: "wait", reply }))
        .then(() => stored.push(id));
    }
    await supervisor.settle();
    expect(stored).toEqual(["one"]);

    await supervisor.advance(10);
    expect(stored).toEqual(["one", "two"]);
    await supervisor.advance(30);

    expect(stored).toEqual(["one", "two", "three"]);
    expect(supervisor.executor.starts.map(({ id }) => id)).toEqual(["one", "two", "three"]);
  });

  test("has room again when waiting tasks expire", async () => {
    const supervisor = await TestSupervisor.start({ queues: { small: { maxSize: 1, isPaused: true } } });
    await supervisor.enqueue(aTask({ queue: "small", expiresAt: birth + 100 }));
    const second = supervisor.ask((reply) => ({
      type: "enqueue",
      tasks: [aTask({ id: "second", queue: "small" })],
      onFull: "wait",
      reply,
    }));
    await supervisor.advance(100);

    expect(await second).toEqual(["second"]);
  });

  test('turns calls with onFull: "error" away, with nothing stored and nobody told', async () => {
    const supervisor = await TestSupervisor.start({ queues: { small: { maxSize: 1, isPaused: true } } });

    const tasks = [aTask({ id: "one", queue: "small" }), aTask({ id: "two", queue: "small" })];
    await expect(supervisor.enqueue(...tasks)).rejects.toMatchObject({ code: "QUEUE_FULL" });
    await supervisor.advance(50);

    expect(await supervisor.task("one")).toBeUndefined();
    expect(supervisor.listener.outcomes).toEqual([]);
  });

  test.each(["error", "wait"] as const)("refuses at once with onFull: %s what can never fit", async (onFull) => {
    const supervisor = await TestSupervisor.start({ queues: { small: { maxSize: 2 } } });
    const tasks = [1, 2, 3].map(() => aTask({ queue: "small" }));
    const enqueued = supervisor.ask((reply) => ({ type: "enqueue", tasks, onFull, reply }));
    await supervisor.answered((reply) => ({ type: "stage", stage: "s", tasks, reply }));
    const published = supervisor.ask((reply) => ({ type: "publish", stage: "s", how: "appear", onFull, reply }));
    await supervisor.settle();

    for (const answer of [enqueued, published]) {
      expect(await stateOf(answer)).toBe("rejected");
      await expect(answer).rejects.toMatchObject({ code: "QUEUE_FULL", queue: "small", maxSize: 2, mayFit: false });
    }
  });

  test("lets tasks wait that are fewer than they look, because they share a dedupe key", async () => {
    const supervisor = await TestSupervisor.start({ queues: { small: { maxSize: 1 } } });
    await supervisor.enqueue(aTask({ queue: "small" }));
    const tasks = ["one", "two"].map((id) => aTask({ id, queue: "small", dedupeKey: "key", onConflict: "skip" }));
    const enqueued = supervisor.ask((reply) => ({ type: "enqueue", tasks, onFull: "wait", reply }));

    await supervisor.advance(10);

    expect(await enqueued).toEqual(["one", undefined]);
  });

  test("lets the next in line have the room that the first does not take in the end", async () => {
    const supervisor = await TestSupervisor.start({ queues: { small: { maxSize: 1, isPaused: true } } });
    await supervisor.enqueue(aTask({ id: "there", queue: "small" }));
    const enqueue = (id: string): Promise<unknown> =>
      supervisor.ask((reply) => ({ type: "enqueue", tasks: [aTask({ id, queue: "small" })], onFull: "wait", reply }));
    const [first, next] = [enqueue("taken"), enqueue("free")];
    await supervisor.settle();
    await supervisor.enqueue(aTask({ id: "taken", queue: "elsewhere" }));

    void supervisor.cancel(["there"]);
    await supervisor.settle();

    await expect(first).rejects.toMatchObject({ code: "DUPLICATE_TASK" });
    expect(await stateOf(next)).toBe("resolved");
  });
});
