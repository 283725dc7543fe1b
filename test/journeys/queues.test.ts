import { Omniq, type TaskHandle } from "omniq";
import { describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import {
  allOf,
  aPlace,
  errorOf,
  fixture,
  Gate,
  linesOf,
  open,
  openBusy,
  Program,
  shared,
} from "../support/runtimes.ts";

const runtime = shared();

const isLong = process.env["OMNIQ_LONG"] === "1";

describe.each(["lmdb", "memory"] as const)("on %s", (kind) => {
  const storage = () => (kind === "memory" ? "memory:" : aPlace());

  test("Q01: a queue enqueues, dequeues, finds, lists, counts and deletes", async () => {
    const omniq = await openBusy({ storage: storage() });
    const queue = omniq.queues.get("Q01");
    const options = { queue: "Q01" };
    const [first, second, third] = [
      await omniq.enqueue("echo", ["low"], { ...options, priority: "low" }),
      await omniq.enqueue("echo", ["high"], { ...options, priority: "high" }),
      await omniq.enqueue("echo", ["later"], { ...options, delay: "1h" }),
    ];

    const lease = await queue.dequeue();
    expect(lease).toMatchObject({ id: second.id, args: ["high"], task: { state: "running", attempt: 1 } });
    expect((await omniq.list({ queue: "Q01" })).tasks.map(({ id, state }) => [id, state])).toEqual([
      [first.id, "ready"],
      [second.id, "running"],
      [third.id, "scheduled"],
    ]);
    expect(await lease?.ack("done")).toBe(true);
    expect(await second.result()).toBe("done");
    expect(await omniq.count({ queue: "Q01", state: ["ready", "scheduled"] })).toBe(2);
    expect([await omniq.delete(first.id), await omniq.delete(third.id), await omniq.delete(third.id)]).toEqual([
      true,
      true,
      false,
    ]);
    expect(await queue.dequeue()).toBeUndefined();
    expect(await omniq.count({ queue: "Q01" })).toBe(1);
  });

  test("Q03: a task that is not acknowledged is back when its lease ends", async () => {
    const omniq = await openBusy({ storage: storage() });
    const queue = omniq.queues.get("Q03");
    const { id } = await omniq.enqueue("echo", [1], { queue: "Q03" });
    const lost = await queue.dequeue({ leaseMs: 100 });
    expect(lost?.id).toBe(id);
    expect(await queue.dequeue()).toBeUndefined();

    const found = await queue.dequeue({ waitMs: "30s" });

    expect(found).toMatchObject({ id, task: { attempt: 2, interruptions: 1 } });
    expect(await lost?.ack()).toBe(false);
    expect(await found?.ack("second")).toBe(true);
    expect(await omniq.result(id)).toBe("second");
  });

  test("B02: the journey of a task is the same on every storage", async () => {
    const omniq = await open({ storage: storage(), events: "all" });
    const handles = await omniq.enqueueMany("add", [
      [1, 2],
      [3, 4],
    ]);
    const failing = await omniq.enqueue("fail", ["no"]);
    const retried = await omniq.enqueue("succeedAt", [2], { maxRetries: 1, retryDelay: 1 });
    const never = await omniq.enqueue("nothing", [], { delay: "1h" });

    expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual([3, 7]);
    expect((await failing.wait()).state).toBe("failed");
    expect(await retried.result()).toBe(2);
    expect(await never.cancel("not wanted")).toBe(true);
    expect((await omniq.stats()).states).toMatchObject({ completed: 3, failed: 1, cancelled: 1, ready: 0, running: 0 });
    expect((await omniq.events.query({ taskId: retried.id })).map(({ type }) => type)).toEqual([
      "enqueued",
      "started",
      "retrying",
      "started",
      "completed",
    ]);
    expect(await omniq.requeue(failing.id)).toBe(true);
    expect((await failing.wait()).attempt).toBe(2);
    expect(await omniq.deadLetters.purge()).toBe(1);
    expect(await omniq.count()).toBe(4);
  });
});

test("Q02: what was acknowledged is there after a kill -9", async () => {
  const folder = aPlace();
  const program = new Program("enqueuer.mjs", folder);
  await program.hasSaid(50);
  await program.kill();
  const acknowledged = program.said as string[];

  const omniq = await open({ storage: folder });
  const found = await Promise.all(acknowledged.map((id) => omniq.get(id)));

  expect(found.map((record) => record?.id)).toEqual(acknowledged);
});

test("Q03: two claimers never get the same task", async () => {
  const count = isLong ? 100_000 : 5_000;
  const omniq = await openBusy({ storage: aPlace() });
  const queue = omniq.queues.get("Q03");
  await omniq.enqueueMany(
    "nothing",
    Array.from({ length: count }, () => [] as const),
    { queue: "Q03" },
  );
  const claimer = async (): Promise<string[]> => {
    const mine: string[] = [];
    // Several at a time, so that claims of both meet in one commit.
    const claim = async (): Promise<void> => {
      for (
        let lease = await queue.dequeue({ ack: "auto" });
        lease !== undefined;
        lease = await queue.dequeue({ ack: "auto" })
      ) {
        mine.push(lease.id);
      }
    };
    await Promise.all(Array.from({ length: 32 }, claim));
    return mine;
  };

  const [first, second] = await Promise.all([claimer(), claimer()]);

  const ids = [...first, ...second];
  expect(ids.length).toBe(count);
  expect(new Set(ids).size).toBe(count);
  expect(Math.min(first.length, second.length)).toBeGreaterThan(0);
  expect(await omniq.count({ queue: "Q03", state: "completed" })).toBe(count);
});

test('Q03: with ack: "auto" a task is completed when it is given', async () => {
  const omniq = await openBusy();
  const handle = await omniq.enqueue("echo", ["taken"], { queue: "pops" });

  const lease = await omniq.queues.get("pops").dequeue({ ack: "auto", leaseMs: 50 });

  expect(lease?.args).toEqual(["taken"]);
  expect(await handle.wait()).toMatchObject({ state: "completed", attempt: 1 });
});

test("Q03: a lease is failed, released or prolonged", async () => {
  const omniq = await openBusy();
  const queue = omniq.queues.get("leases");
  const handle = await omniq.enqueue("echo", [1], { queue: "leases", maxRetries: 1, retryDelay: 1 });

  const first = await queue.dequeue();
  expect(await first?.release()).toBe(true);
  const second = await queue.dequeue();
  expect(second?.task).toMatchObject({ attempt: 2, interruptions: 0, errors: [] });
  expect(await first?.ack("late")).toBe(false);
  expect(await second?.nack(new RangeError("too far"))).toBe(true);
  const third = await queue.dequeue({ waitMs: "30s", leaseMs: 100 });
  expect(third?.task).toMatchObject({ attempt: 3, errors: [{ error: { name: "RangeError", message: "too far" } }] });
  expect(await third?.extend("1m")).toBe(true);
  expect(await queue.dequeue({ waitMs: 300 })).toBeUndefined();
  expect(await third?.nack(new Error("again"))).toBe(true);
  expect(await handle.wait()).toMatchObject({ state: "failed", attempt: 3, error: { cause: { message: "again" } } });
});

test("Q03: a failed lease is back after exactly the delay it asked for", async () => {
  const omniq = await openBusy();
  const queue = omniq.queues.get("delays");
  const handle = await omniq.enqueue("echo", [1], { queue: "delays", maxRetries: 1 });

  const before = Date.now();
  await (await queue.dequeue())?.nack(new Error("busy"), { delay: "1h" });
  const after = Date.now();

  const runAt = Number((await handle.record())?.runAt);
  expect(runAt).toBeGreaterThanOrEqual(before + 3_600_000);
  expect(runAt).toBeLessThanOrEqual(after + 3_600_000);
});

test("Q03: one who waits for a task gets it as soon as it is there", async () => {
  const omniq = await openBusy();
  const waiting = omniq.queues.get("waits").dequeue({ waitMs: "30s" });
  const handle = await omniq.enqueue("echo", [1], { queue: "waits" });

  expect((await waiting)?.id).toBe(handle.id);
});

test("Q03: a runtime without threads leaves its tasks to those who dequeue them", async () => {
  const omniq = await open({ executors: { threads: 0 } });
  const handle = await omniq.enqueue("echo", [1]);

  const lease = await omniq.queues.get("default").dequeue();

  expect(lease?.id).toBe(handle.id);
});

test("Q04: a task that waits is deleted from lists and counts", async () => {
  const omniq = runtime();
  const options = { queue: "Q04", tags: ["Q04"], delay: "1h" };
  const [handle, other] = [await omniq.enqueue("nothing", [], options), await omniq.enqueue("nothing", [], options)];

  expect(await omniq.delete(handle.id)).toBe(true);

  expect(await omniq.get(handle.id)).toBeUndefined();
  expect((await omniq.list({ tags: ["Q04"] })).tasks.map(({ id }) => id)).toEqual([other.id]);
  expect(await omniq.count({ queue: "Q04" })).toBe(1);
  expect(await omniq.delete(handle.id)).toBe(false);
});

test("Q04: deleting an unknown task gives false", async () => {
  expect(await runtime().delete("nobody")).toBe(false);
});

test("Q04: a running task is deleted only by force, and then stopped", async () => {
  const omniq = runtime();
  const gate = new Gate();
  const handle = await omniq.enqueue("pass", [gate.folder]);
  await gate.arrival("someone");

  expect(await errorOf(() => omniq.delete(handle.id))).toMatchObject({ name: "TaskBusyError", code: "TASK_BUSY" });
  expect(await handle.state()).toBe("running");
  expect(await omniq.delete(handle.id, { force: true })).toBe(true);
  expect(await omniq.get(handle.id)).toBeUndefined();
  expect(await omniq.run("add", [1, 1])).toBe(2);
});

test("Q04: who waits for a task that is deleted is told", async () => {
  const omniq = runtime();
  const handle = await omniq.enqueue("nothing", [], { delay: "1h" });
  const waiting = errorOf(() => handle.result());

  await omniq.delete(handle.id);

  expect(await waiting).toMatchObject({ code: "UNKNOWN_TASK_ID" });
});

test("Q05: 10,000 tasks are paged through, each once, while others are inserted", async () => {
  const omniq = runtime();
  await omniq.queues.get("Q05").pause();
  const add = (count: number) =>
    omniq.enqueueMany(
      "nothing",
      Array.from({ length: count }, () => [] as const),
      { queue: "Q05", tags: ["Q05"] },
    );
  const ids = (await add(10_000)).map(({ id }) => id);

  const added: Promise<TaskHandle[]>[] = [];
  const found = await allOf((cursor) => {
    if (added.length < 5) added.push(add(100));
    return omniq.list({ queue: "Q05", limit: 700, cursor });
  });
  await Promise.all(added);

  const foundIds = found.map(({ id }) => id);
  expect(new Set(foundIds).size).toBe(foundIds.length);
  expect(foundIds.slice(0, 10_000)).toEqual(ids);
  expect(await omniq.queues.get("Q05").purge()).toBe(10_500);
});

test("Q05: a list is filtered by queue, state, name and moment, which must all match", async () => {
  const omniq = runtime();
  const queue = "Q05-filters";
  await omniq.run("add", [1, 2], { queue });
  await (await omniq.enqueue("fail", ["x"], { queue })).wait();
  const waiting = await omniq.enqueue("add", [3, 4], { queue, delay: "1h" });

  const names = async (filter: Parameters<Omniq["list"]>[0]) =>
    (await omniq.list({ queue, ...filter })).tasks.map(({ name, state }) => `${name} ${state}`);
  expect(await names({ name: "add" })).toEqual(["add completed", "add scheduled"]);
  expect(await names({ state: ["completed", "failed"] })).toEqual(["add completed", "fail failed"]);
  expect(await names({ state: "failed", name: "add" })).toEqual([]);
  expect(await names({ before: new Date(Date.now() - 3_600_000) })).toEqual([]);
  expect(await omniq.count({ queue, name: "add", state: "scheduled" })).toBe(1);
  await waiting.cancel();
});

test("Q06: the task of the highest priority starts first, over all queues", async () => {
  const omniq = await open({ storage: aPlace() });
  const gate = new Gate();
  // With a task in front of each of the worker's places, the others wait together.
  const held = await omniq.enqueueMany(
    "passDeaf",
    Array.from({ length: 8 }, () => [gate.folder] as const),
    { priority: 1_000 },
  );
  await gate.arrival("someone");
  const wanted: [queue: string, priority: number][] = [
    ["a", 5],
    ["b", 10],
    ["c", -1],
    ["a", 7],
    ["b", 0],
    ["d", 6],
  ];
  const handles = await Promise.all(
    wanted.map(([queue, priority]) => omniq.enqueue("tick", [priority], { queue, priority })),
  );
  gate.open();
  await Promise.all(held.map((handle) => handle.result()));

  const ticks = (await Promise.all(handles.map((handle) => handle.result()))) as { label: number; turn: number }[];

  const order = ticks.toSorted((a, b) => a.turn - b.turn).map(({ label }) => label);
  expect(order).toEqual([10, 7, 6, 5, 0, -1]);
});

test("Q06: those who dequeue get the highest priority of their queue, then the oldest", async () => {
  const omniq = await openBusy();
  const queue = omniq.queues.get("Q06");
  for (const [index, priority] of [0, 5, -3, 5, 0].entries())
    await omniq.enqueue("echo", [index], { queue: "Q06", priority });

  const taken: unknown[] = [];
  for (let lease = await queue.dequeue(); lease !== undefined; lease = await queue.dequeue()) taken.push(lease.args[0]);

  expect(taken).toEqual([1, 3, 0, 4, 2]);
});

test("Q08: a full queue refuses more, until there is room", async () => {
  const omniq = await open({ storage: aPlace(), queues: { small: { maxSize: 3, paused: true } } });
  const options = { queue: "small" };
  await omniq.enqueueMany("nothing", [[], []], options);

  const tooMany = await errorOf(() => omniq.enqueueMany("nothing", [[], []], options));
  expect(tooMany).toMatchObject({ name: "QueueFullError", code: "QUEUE_FULL" });
  expect(await omniq.count(options)).toBe(2);
  const third = await omniq.enqueue("nothing", [], options);
  expect(await errorOf(() => omniq.enqueue("nothing", [], options))).toMatchObject({ code: "QUEUE_FULL" });
  await third.cancel();
  await omniq.enqueue("nothing", [], options);
  expect(await omniq.run("add", [1, 1], { queue: "other" })).toBe(2);
});

test('Q08: with onFull: "wait" a call waits for room', async () => {
  const omniq = await open({ queues: { small: { maxSize: 1 } } });
  const gate = new Gate();
  const first = await omniq.enqueue("pass", [gate.folder], { queue: "small" });
  let isStored = false;
  const second = omniq.enqueue("add", [1, 2], { queue: "small", onFull: "wait" }).finally(() => (isStored = true));
  await gate.arrival("someone");
  // An answer to a later call: the earlier one has been looked at.
  await omniq.queues.get("small").stats();
  expect(isStored).toBe(false);

  gate.open();

  expect(await (await second).result()).toBe(3);
  expect(await first.state()).toBe("completed");
});

test("Q08, trap 8: what the call says stands over the definition, and that over the queue", async () => {
  const defaults = { priority: 50, maxRetries: 7, timeout: "1h", ttl: "2h", tags: ["of the queue"] };
  const omniq = await open({ queues: { default: { defaults }, reports: { defaults: { timeout: 1, priority: 3 } } } });
  const delay = "1h";

  expect(await (await omniq.enqueue("nothing", [], { delay })).record()).toMatchObject({
    priority: 50,
    maxRetries: 7,
    timeoutMs: 3_600_000,
    tags: ["of the queue"],
  });
  expect(await (await omniq.enqueue("eager", [], { delay })).record()).toMatchObject({
    priority: 5,
    maxRetries: 4,
    tags: ["defined"],
  });
  expect(
    await (await omniq.enqueue("eager", [], { delay, priority: 0, maxRetries: 0, tags: [] })).record(),
  ).toMatchObject({
    priority: 0,
    maxRetries: 0,
    tags: [],
    timeoutMs: 3_600_000,
  });
  expect(await (await omniq.enqueue("elsewhere", [], { delay })).record()).toMatchObject({
    queue: "reports",
    priority: 3,
    timeoutMs: 30_000,
  });
});

test("Q08: a queue runs no more tasks at a time than its concurrency, and others are not held up", async () => {
  const omniq = await open({ executors: { threads: 4 }, queues: { narrow: { concurrency: 1 } } });
  const gate = new Gate();
  const handles = [
    await omniq.enqueue("pass", [gate.folder, "first"], { queue: "narrow" }),
    await omniq.enqueue("pass", [gate.folder, "second"], { queue: "narrow" }),
  ];
  await gate.arrival("first");

  expect(await omniq.run("add", [1, 2])).toBe(3);
  expect((await omniq.queues.get("narrow").stats()).states).toEqual({ running: 1, ready: 1 });
  await omniq.queues.get("narrow").configure({ concurrency: null });
  await gate.arrival("second");
  gate.open();
  await Promise.all(handles.map((handle) => handle.result()));
});

test("Q09: counters are the same after a restart", async () => {
  const storage = aPlace();
  const first = await open({ storage });
  await first.enqueueMany(
    "add",
    Array.from({ length: 20 }, (_, n) => [n, n] as const),
    { queue: "sums" },
  );
  await first.enqueueMany("fail", [["a"], ["b"]]);
  await first.enqueueMany("nothing", [[], [], []], { delay: "1h", queue: "later" });
  await first.drain();
  const before = await first.stats();
  await first.close();

  const second = await open({ storage });

  expect(await second.stats()).toEqual(before);
  expect(before.states).toMatchObject({ completed: 20, failed: 2, scheduled: 3 });
  expect(before.queues["sums"]).toMatchObject({ completed: 20, failed: 0 });
  expect(before.totals).toMatchObject({ enqueued: 25, completed: 20, failed: 2 });
});

test("Q09: counters cost the same however much is stored", async () => {
  const omniq = await open({ storage: aPlace(), queues: { default: { paused: true } } });
  const median = async (): Promise<number> => {
    const times: number[] = [];
    for (let n = 0; n < 50; n++) {
      const start = performance.now();
      await omniq.stats();
      times.push(performance.now() - start);
    }
    return times.toSorted((a, b) => a - b)[25] ?? 0;
  };
  const empty = await median();
  await omniq.enqueueMany(
    "nothing",
    Array.from({ length: isLong ? 1_000_000 : 50_000 }, () => [] as const),
  );

  const full = await median();

  expect((await omniq.stats()).states.ready).toBe(isLong ? 1_000_000 : 50_000);
  expect(full).toBeLessThan(5 + 5 * empty);
});

test("Q11: a paused queue starts nothing, lets what runs finish, and stays paused over a restart", async () => {
  const storage = aPlace();
  const first = await open({ storage });
  const gate = new Gate();
  const file = `${aPlace()}/runs`;
  const running = await first.enqueue("pass", [gate.folder], { queue: "Q11" });
  await gate.arrival("someone");
  await first.queues.get("Q11").pause();
  const waiting = await first.enqueue("note", [file, "ran"], { queue: "Q11" });
  gate.open();
  expect(await running.result()).toBe("someone");
  expect(await first.queues.get("Q11").dequeue()).toBeUndefined();
  await first.close();

  const second = await open({ storage });
  expect(await second.run("add", [1, 1])).toBe(2);
  expect(await second.queues.get("Q11").stats()).toMatchObject({ paused: true, states: { ready: 1, completed: 1 } });
  expect(linesOf(file)).toEqual([]);
  await second.queues.get("Q11").resume();
  await second.result(waiting.id);
  expect(linesOf(file)).toEqual(["ran"]);
});

test("Q11: a purge deletes what matches and never what runs", async () => {
  const omniq = runtime();
  const queue = omniq.queues.get("Q11-purge");
  const options = { queue: "Q11-purge" };
  const gate = new Gate();
  await omniq.run("nothing", [], options);
  const running = await omniq.enqueue("pass", [gate.folder], options);
  await gate.arrival("someone");
  await omniq.enqueueMany("nothing", [[], []], { ...options, delay: "1h" });
  const other = await omniq.enqueue("nothing", [], { queue: "Q11-other", delay: "1h" });

  expect(await queue.purge({ state: "completed" })).toBe(1);
  expect(await queue.purge({ before: new Date(Date.now() - 3_600_000) })).toBe(0);
  expect(await queue.purge()).toBe(2);
  expect(await running.state()).toBe("running");
  gate.open();
  expect(await running.result()).toBe("someone");
  expect(await other.state()).toBe("scheduled");
});

test("Q11: queues are listed with their limits and states", async () => {
  const omniq = await open({ queues: { b: { maxSize: 5, concurrency: 2 } } });
  await omniq.enqueue("nothing", [], { queue: "a", delay: "1h" });
  await omniq.queues.get("c").pause();

  expect((await omniq.queues.list()).map(({ name, ...rest }) => [name, rest])).toEqual([
    ["a", { paused: false, states: { scheduled: 1 } }],
    ["b", { paused: false, states: {}, maxSize: 5, concurrency: 2 }],
    ["c", { paused: true, states: {} }],
  ]);
});

test("Q12: 100,000 tasks are stored with one call, in order", async () => {
  const omniq = await open({ storage: aPlace(), queues: { default: { paused: true } } });

  const handles = await omniq.enqueueMany(
    "echo",
    Array.from({ length: 100_000 }, (_, index) => [index]),
  );

  expect(handles).toHaveLength(100_000);
  expect(new Set(handles.map(({ id }) => id)).size).toBe(100_000);
  expect(await omniq.count()).toBe(100_000);
  for (const index of [0, 1_999, 2_000, 54_321, 99_999]) {
    expect((await handles[index]?.record())?.args).toEqual([index]);
  }
});

test.each([100, 12_000])("Q12: of %d tasks with a bad one among them, none is stored", async (count) => {
  const omniq = runtime();
  const before = await omniq.count();
  const argsList: unknown[][] = Array.from({ length: count }, (_, index) => [index]);
  argsList[count - 2] = [{ deep: [() => 1] }];

  const error = await errorOf(() => omniq.enqueueMany("echo", argsList));

  expect(error).toMatchObject({ code: "NOT_SERIALIZABLE", path: `args[${count - 2}][0].deep[0]` });
  expect(await omniq.count()).toBe(before);
  expect(await omniq.run("add", [2, 2])).toBe(4);
});

test("Q12: many tasks that a full queue cannot take are not stored at all", async () => {
  const omniq = await open({ queues: { default: { maxSize: 5_500, paused: true } } });

  const error = await errorOf(() =>
    omniq.enqueueMany(
      "nothing",
      Array.from({ length: 6_000 }, () => [] as const),
    ),
  );

  expect(error).toMatchObject({ code: "QUEUE_FULL" });
  expect(await omniq.count()).toBe(0);
  expect(
    (
      await omniq.enqueueMany(
        "nothing",
        Array.from({ length: 5_200 }, () => [] as const),
      )
    ).length,
  ).toBe(5_200);
});

test("Q12: none is a number of tasks, too", async () => {
  expect(await runtime().enqueueMany("nothing", [])).toEqual([]);
});

test("Q12: tasks of one call with one dedupe key are one task, and positions are kept", async () => {
  const omniq = runtime();
  const options = { dedupeKey: "Q12", onConflict: "skip", delay: "1h" } as const;

  const handles = await omniq.enqueueMany("echo", [[1], [2], [3]], options);

  expect(handles.map((handle) => handle === undefined)).toEqual([false, true, true]);
});

test("trap 22: drain waits for what is retried, and not for what is paused or scheduled for later", async () => {
  const omniq = await Omniq.open({ tasks: fixture("tasks.ts"), storage: "memory:", executors: { threads: 1 } });
  const retried = await omniq.enqueue("succeedAt", [3], { maxRetries: 2, retryDelay: 100 });
  await omniq.enqueue("nothing", [], { delay: "1h" });
  await omniq.queues.get("paused").pause();
  await omniq.enqueue("nothing", [], { queue: "paused" });

  const report = await omniq.drain({ timeout: "50s" });

  expect(await retried.state()).toBe("completed");
  expect(report).toMatchObject({ paused: 1, scheduled: 1, parked: 0 });
  await omniq.close();
});

test("trap 22: drain that takes too long says so, and the work goes on", async () => {
  const omniq = runtime();
  const gate = new Gate();
  const handle = await omniq.enqueue("pass", [gate.folder]);

  expect(await errorOf(() => omniq.drain({ timeout: 50 }))).toMatchObject({ code: "WAIT_TIMEOUT" });

  const drained = omniq.drain();
  gate.open();
  await drained;
  expect(await eventually(() => handle.state())).toBe("completed");
});

test("trap 22: without threads, drain waits until everything has been dequeued and acknowledged", async () => {
  const omniq = await open({ executors: { threads: 0 } });
  const queue = omniq.queues.get("default");
  await omniq.enqueueMany("add", [
    [1, 2],
    [3, 4],
  ]);
  let isDrained = false;
  const drained = omniq.drain().finally(() => (isDrained = true));

  for (let lease = await queue.dequeue(); lease !== undefined; lease = await queue.dequeue()) {
    expect(isDrained).toBe(false);
    expect(await lease.ack()).toBe(true);
  }

  expect(await drained).toEqual({ paused: 0, parked: 0, scheduled: 0, blocked: 0, held: 0 });
});

test("Q03: those who wait for tasks get them in the order in which they asked", async () => {
  const omniq = await open({ executors: { threads: 0 } });
  const queue = omniq.queues.get("default");
  const waiting = Array.from({ length: 50 }, () => queue.dequeue({ waitMs: "50s", ack: "auto" }));

  const handles = await omniq.enqueueMany(
    "echo",
    Array.from({ length: 50 }, (_, index) => [index]),
  );

  const leases = await Promise.all(waiting);
  expect(leases.map((lease) => lease?.id)).toEqual(handles.map(({ id }) => id));
});

test("Q03: a task whose leases run out more often than it may be interrupted has failed", async () => {
  const omniq = await open({ executors: { threads: 0 } });
  const queue = omniq.queues.get("default");
  const handle = await omniq.enqueue("add", [1, 2], { maxInterruptions: 1 });

  for (const attempt of [1, 2]) {
    const lease = await queue.dequeue({ waitMs: "50s", leaseMs: 20 });
    expect(lease?.task.attempt).toBe(attempt);
  }

  expect(await handle.wait()).toMatchObject({ state: "failed", attempt: 2, error: { code: "TASK_FAILED" } });
  expect(await handle.record()).toMatchObject({ reason: "interrupted", interruptions: 2 });
});

test("Q12: a run whose dedupe key is taken gives the result of the task that has it", async () => {
  const omniq = await open();
  const gate = new Gate();
  const first = omniq.run("pass", [gate.folder], { dedupeKey: "Q12" });
  await gate.arrival("someone");

  const second = omniq.run("pass", [gate.folder], { dedupeKey: "Q12", onConflict: "return" });
  await omniq.stats();
  gate.open();

  expect(await second).toEqual(await first);
});
