import { at, defineTask, type Omniq } from "omniq";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { allOf, aPlace, errorOf, Gate, linesOf, open, openBusy, shared } from "../support/runtimes.ts";

const runtime = shared();

/** The same runtime to callers who know nothing about its tasks. */
const untyped = (): Omniq => runtime();

/** A queue whose tasks wait until it is resumed. */
async function aPausedQueue(name: string) {
  const queue = runtime().queues.get(name);
  await queue.pause();
  return queue;
}

test("T01: tasks get distinct ids that rise with time", async () => {
  const omniq = runtime();
  const { id: first } = await omniq.enqueue("nothing", []);
  const { id: second } = await omniq.enqueue("nothing", []);
  const many = await omniq.enqueueMany(
    "nothing",
    Array.from({ length: 500 }, () => []),
  );
  const ids = [first, second, ...many.map(({ id }) => id)];

  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(502);
});

test("T01: an id that exists is refused, and its task is stored once", async () => {
  const omniq = runtime();
  await omniq.enqueue("echo", ["first"], { id: "mine", tags: ["T01"] });

  const error = await errorOf(() => omniq.enqueue("echo", ["second"], { id: "mine", tags: ["T01"] }));

  expect(error).toMatchObject({ name: "DuplicateTaskError", code: "DUPLICATE_TASK", existingId: "mine" });
  const { tasks } = await omniq.list({ tags: ["T01"] });
  expect(tasks.map(({ id, args }) => [id, args])).toEqual([["mine", ["first"]]]);
});

test("T01: of two calls at once with the same id, one is stored", async () => {
  const calls = [1, 2].map((n) => runtime().enqueue("echo", [n], { id: "contested" }));

  const outcomes = await Promise.allSettled(calls);

  expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
});

test("T02: a task runs by its name and by its definition", async () => {
  const { add } = await import("../fixtures/journeys/tasks.ts");

  expect(await runtime().run("add", [1, 2])).toBe(3);
  expect(await runtime().run(add, [3, 4])).toBe(7);
});

test("T02: a closure is refused, as it is no task", async () => {
  const error = await errorOf(() => untyped().enqueue((() => 1) as never, [] as never));

  expect(error).toMatchObject({ name: "NotATaskError", code: "NOT_A_TASK" });
});

test("T02: a definition that no module exports is refused, as its name is unknown", async () => {
  const stranger = defineTask("stranger", () => 1);

  expect(await errorOf(() => runtime().enqueue(stranger, []))).toMatchObject({ code: "UNKNOWN_TASK" });
});

test.each(["eval", "Function", "setTimeout", "constructor", "toString", "__proto__", "hasOwnProperty", "default"])(
  "T02, trap 15: %s is a name like any other, and not a task",
  async (name) => {
    const error = await errorOf(() => untyped().enqueue(name, ["process.exit()"]));

    expect(error).toMatchObject({ name: "UnknownTaskError", code: "UNKNOWN_TASK" });
  },
);

test("T03: arguments arrive equal, whatever structured clone keeps", async () => {
  const cycle: Record<string, unknown> = { name: "ring" };
  cycle["self"] = cycle;
  const args = [
    new Date("2020-02-29T12:34:56.789Z"),
    new Map<unknown, unknown>([
      ["key", new Set([1, "two"])],
      [{ as: "key" }, 3],
    ]),
    Uint8Array.from([0, 1, 255]),
    Float64Array.from([0.1, Number.NaN]),
    123_456_789_012_345_678_901_234_567_890n,
    -1n,
    [undefined, null, -0, Number.NaN, Number.POSITIVE_INFINITY],
    { nested: { deeply: [{ yes: true }] }, text: "ä€😀\u0000" },
    /a+b/gi,
    cycle,
  ];

  expect(await runtime().run("echo", args)).toEqual(args);
});

test("T04: an object of options reaches the handler as its last argument", async () => {
  expect(await runtime().run("describe", ["a cat", { detailed: true }])).toBe("a cat, in detail");
});

test("T05: a task is in the queue it was given, and in none other", async () => {
  const omniq = runtime();
  const first = await aPausedQueue("T05-first");
  const handle = await omniq.enqueue("add", [1, 1], { queue: "T05-first" });
  const elsewhere = await omniq.run("add", [2, 2], { queue: "T05-second" });

  expect(elsewhere).toBe(4);
  expect(await omniq.queues.get("T05-second").dequeue()).toBeUndefined();
  expect(await handle.state()).toBe("ready");
  await first.resume();
  expect(await handle.result()).toBe(2);
});

test("T05: a task that names no queue is in the one called default", async () => {
  const handle = await runtime().enqueue("nothing", []);

  expect(await handle.record()).toMatchObject({ queue: "default", priority: 0, maxRetries: 0 });
});

test("T06: tasks start by priority, then in the order they were enqueued in", async () => {
  const omniq = await open({ storage: aPlace() });
  const queue = omniq.queues.get("default");
  await queue.pause();
  // Every fifth of a permutation: no priority comes in order, and none is enqueued in a row.
  const priorities = Array.from({ length: 1_000 }, (_, index) => ((index * 7) % 5) - 2);

  const handles = await Promise.all(priorities.map((priority, index) => omniq.enqueue("tick", [index], { priority })));
  await queue.resume();
  const ticks = (await Promise.all(handles.map((handle) => handle.result()))) as { label: number; turn: number }[];

  const started = ticks.toSorted((a, b) => a.turn - b.turn).map(({ label }) => label);
  const expected = [...priorities.keys()].toSorted((a, b) => (priorities[b] ?? 0) - (priorities[a] ?? 0) || a - b);
  expect(started).toEqual(expected);
});

test("T06: priorities have names", async () => {
  const omniq = runtime();
  await aPausedQueue("T06-names");
  const names = ["critical", "high", "normal", "low"] as const;

  const handles = await Promise.all(
    names.map((priority) => omniq.enqueue("nothing", [], { priority, queue: "T06-names" })),
  );

  expect(await Promise.all(handles.map(async (handle) => (await handle.record())?.priority))).toEqual([
    100, 10, 0, -10,
  ]);
});

test("T06, trap 8: a priority of 0 is a priority, not a priority left out", async () => {
  const omniq = runtime();
  const [given, left] = [await omniq.enqueue("eager", [], { priority: 0 }), await omniq.enqueue("eager", [])];

  expect([(await given.record())?.priority, (await left.record())?.priority]).toEqual([0, 5]);
});

test("T07: a task past its ttl expires and is never run", async () => {
  const omniq = runtime();
  const queue = await aPausedQueue("T07");
  const file = `${aPlace()}/runs`;
  const handle = await omniq.enqueue("note", [file, "ran"], { queue: "T07", ttl: 30 });

  const outcome = await handle.wait();

  expect(outcome).toMatchObject({ state: "expired", attempt: 0, error: { code: "TASK_FAILED", state: "expired" } });
  expect((await omniq.events.query({ taskId: handle.id })).map(({ type }) => type)).toEqual(["expired"]);
  await queue.resume();
  await omniq.run("nothing", [], { queue: "T07", priority: -1_000 });
  expect(linesOf(file)).toEqual([]);
});

test("T07: a task that has started does not expire", async () => {
  const gate = new Gate();
  const handle = await runtime().enqueue("pass", [gate.folder], { ttl: "1s" });
  await gate.arrival("someone");
  const { expiresAt, createdAt } = (await handle.record()) ?? {};
  await eventually(() => Date.now() > Number(expiresAt) + 50);
  gate.open();

  expect(Number(expiresAt) - Number(createdAt)).toBe(1_000);
  expect(await handle.result()).toBe("someone");
});

test("T07, traps 8 and 9: a task expires only if it was told to, whatever its timeout", async () => {
  const handle = await runtime().enqueue("nothing", [], { timeout: 50, delay: 1 });

  const record = await handle.record();

  expect(record).toMatchObject({ timeoutMs: 50 });
  expect(record?.expiresAt).toBeUndefined();
});

test("T08: a task that always fails is run maxRetries times more", async () => {
  const file = `${aPlace()}/attempts`;

  const outcome = await (await runtime().enqueue("failNoting", [file], { maxRetries: 2, retryDelay: 1 })).wait();

  expect(linesOf(file)).toEqual(["1", "2", "3"]);
  expect(outcome).toMatchObject({ state: "failed", attempt: 3 });
});

test("T09: dependsOn, which this version does not have, is refused and not ignored", async () => {
  const omniq = runtime();
  const parent = await omniq.enqueue("nothing", []);
  const before = await omniq.count();

  const error = await errorOf(() => untyped().enqueue("nothing", [], { dependsOn: [parent.id] } as object));

  expect(error).toMatchObject({ code: "UNKNOWN_OPTION", path: "options.dependsOn" });
  expect(await omniq.count()).toBe(before);
});

test("T10: a task scheduled at a moment is not dequeued before it, and is after", async () => {
  const omniq = await openBusy();
  const queue = omniq.queues.get("default");
  const moment = new Date(Date.now() + 300);
  const { id } = await omniq.enqueue("echo", ["later"], { schedule: at(moment) });

  expect(await queue.dequeue()).toBeUndefined();
  expect(await omniq.get(id)).toMatchObject({ state: "scheduled", runAt: moment });
  const lease = await queue.dequeue({ waitMs: "30s" });

  expect(Date.now()).toBeGreaterThanOrEqual(moment.getTime());
  expect([lease?.id, lease?.args]).toEqual([id, ["later"]]);
});

test("T10: a task scheduled at a moment is started by a worker after it", async () => {
  const moment = new Date(Date.now() + 100);
  const handle = await runtime().enqueue("echo", ["later"], { schedule: at(moment) });

  expect(await handle.result()).toEqual(["later"]);
  expect(Number((await handle.record())?.startedAt)).toBeGreaterThanOrEqual(moment.getTime());
});

test("T11: a delayed task starts after its delay and does not hold up others", async () => {
  const omniq = await open({ storage: aPlace() });
  const delayed = await omniq.enqueue("tick", ["delayed"], { delay: 400, priority: 100 });
  const ready = await omniq.enqueue("tick", ["ready"], { priority: -100 });

  expect(await ready.result()).toMatchObject({ turn: 1 });
  expect(await delayed.result()).toMatchObject({ turn: 2 });
  const { createdAt, startedAt } = (await delayed.record()) ?? {};
  const waited = Number(startedAt) - Number(createdAt);
  expect(waited).toBeGreaterThanOrEqual(400);
  expect(waited).toBeLessThan(5_000);
});

test("T11, trap 2: no delayed task is lost on the way, however many come before their time", async () => {
  const omniq = runtime();
  const delays = Array.from({ length: 200 }, (_, index) => (index * 37) % 250);

  const handles = await Promise.all(delays.map((delay) => omniq.enqueue("echo", [delay], { delay, queue: "T11" })));
  const records = await Promise.all(handles.map(async (handle) => (await handle.result(), handle.record())));

  const early = records.filter(
    (record, index) => Number(record?.startedAt) < Number(record?.createdAt) + (delays[index] ?? 0),
  );
  expect(early).toEqual([]);
});

test("T11: a moment in the past means now, and so does a delay of 0", async () => {
  const omniq = runtime();
  const past = await omniq.enqueue("add", [1, 1], { runAt: new Date("2001-01-01") });
  const now = await omniq.enqueue("add", [1, 2], { delay: 0 });

  expect(await Promise.all([past.result(), now.result()])).toEqual([2, 3]);
});

test("T12: tasks are found by their tags, which must all match", async () => {
  const omniq = runtime();
  const daily = await omniq.enqueue("nothing", [], { tags: ["report", "daily"] });
  const weekly = await omniq.enqueue("nothing", [], { tags: ["report", "weekly"] });
  await omniq.enqueue("nothing", [], { tags: ["reports"] });

  const idsWith = async (tags: string[]) => (await allOf((cursor) => omniq.list({ tags, cursor }))).map(({ id }) => id);
  expect(await idsWith(["report"])).toEqual([daily.id, weekly.id]);
  expect(await idsWith(["weekly", "report"])).toEqual([weekly.id]);
  expect(await idsWith(["daily", "weekly"])).toEqual([]);
  expect(await omniq.count({ tags: ["report"] })).toBe(2);
});

test("T12: a handler sees the tags, metadata and other facts of its task", async () => {
  const options = { tags: ["seen"], metadata: { by: "tests", deep: { list: [1, null] } }, queue: "T12", timeout: "1m" };
  const handle = await runtime().enqueue("context", [], options);

  expect(await handle.result()).toEqual({
    id: handle.id,
    name: "context",
    attempt: 1,
    args: [],
    queue: "T12",
    tags: options.tags,
    metadata: options.metadata,
    deadline: expect.closeTo(Number((await handle.record())?.startedAt) + 60_000, -2) as number,
  });
  expect(await handle.record()).toMatchObject({ tags: options.tags, metadata: options.metadata });
});

test("T13: the state of a task is seen at each stage", async () => {
  const omniq = runtime();
  const queue = await aPausedQueue("T13");
  const gate = new Gate();
  const scheduled = await omniq.enqueue("nothing", [], { delay: "1h" });
  const handle = await omniq.enqueue("pass", [gate.folder], { queue: "T13" });

  expect((await omniq.get(scheduled.id))?.state).toBe("scheduled");
  expect((await omniq.get(handle.id))?.state).toBe("ready");
  await queue.resume();
  await gate.arrival("someone");
  expect(await omniq.get(handle.id)).toMatchObject({ state: "running", attempt: 1 });
  gate.open();
  await handle.result();
  expect((await omniq.get(handle.id))?.state).toBe("completed");
});

test("T13: an unknown id gives undefined", async () => {
  expect(await runtime().get("00000000-0000-7000-8000-000000000000")).toBeUndefined();
});

test("T13: looking at a task does not take it away", async () => {
  const omniq = runtime();
  const { id } = await omniq.enqueue("add", [2, 3], { delay: 50 });

  await Promise.all([omniq.get(id), omniq.get(id), omniq.list()]);

  expect(await omniq.result(id)).toBe(5);
});

test("T14: a finished task tells when it was made, started and finished, and by whom", async () => {
  const before = Date.now();
  const handle = await runtime().enqueue("rest", [80], { maxRetries: 3 });
  await handle.result();
  const after = Date.now();

  const record = await handle.record();
  const stamps = [before, Number(record?.createdAt), Number(record?.startedAt), Number(record?.finishedAt), after];
  expect(stamps.toSorted((a, b) => a - b)).toEqual(stamps);
  expect(record).toMatchObject({
    attempt: 1,
    retryCount: 0,
    maxRetries: 3,
    workerId: expect.stringMatching(/^thread-\d+$/) as string,
  });
  // Timers may fire a little less than a millisecond early.
  expect(record?.durationMs).toBeGreaterThanOrEqual(79);
  expect(record?.durationMs).toBeLessThan(2_000);
});

test("T15: an endless loop is stopped when its time is up, and others go on", async () => {
  const omniq = runtime();
  const stuck = await omniq.enqueue("spin", [], { timeout: 200 });
  const others = Promise.all(Array.from({ length: 20 }, (_, n) => omniq.run("add", [n, n])));

  const outcome = await stuck.wait();

  expect(outcome).toMatchObject({ state: "failed", attempt: 1 });
  expect(outcome.error?.cause).toMatchObject({ name: "TimeoutError", code: "TIMEOUT" });
  const { startedAt, finishedAt } = (await stuck.record()) ?? {};
  const took = Number(finishedAt) - Number(startedAt);
  expect(took).toBeGreaterThanOrEqual(200);
  // 400 ms on a machine that has time.
  expect(took).toBeLessThan(2_000);
  expect(await others).toHaveLength(20);
});

test("T15: a thread that was ended is replaced", async () => {
  const omniq = await open();
  await (await omniq.enqueue("spin", [], { timeout: 50 })).wait();

  expect(await omniq.run("add", [1, 2])).toBe(3);
});

test("T15, trap 12: an attempt that took too long is retried", async () => {
  const handle = await runtime().enqueue("spinAtFirst", [], { timeout: 300, maxRetries: 1, retryDelay: 1 });

  expect(await handle.result()).toBe(2);
  expect((await handle.record())?.errors).toMatchObject([
    { attempt: 1, reason: "timeout", error: { code: "TIMEOUT" } },
  ]);
});

test("T15: a handler that waits is told by its signal when its time is up", async () => {
  const gate = new Gate();
  const outcome = await (await runtime().enqueue("pass", [gate.folder], { timeout: 100 })).wait();

  expect(outcome.error?.cause).toMatchObject({ code: "TIMEOUT" });
});
