import fc from "fast-check";
import type { TaskEvent, TaskEventType } from "omniq";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { aPlace, errorOf, Gate, linesOf, open, shared, type Runtime } from "../support/runtimes.ts";

const runtime = shared({ events: "all" });

const eventsOf = async (omniq: Runtime, taskId: string): Promise<readonly TaskEvent[]> =>
  omniq.events.query({ taskId, limit: 1_000 });

const typesOf = async (omniq: Runtime, taskId: string): Promise<TaskEventType[]> =>
  (await eventsOf(omniq, taskId)).map(({ type }) => type);

/** What may follow an event of a task; `undefined` is its beginning. */
const followers: ReadonlyMap<TaskEventType | undefined, readonly TaskEventType[]> = new Map([
  [undefined, ["enqueued"]],
  ["enqueued", ["started", "cancelled", "expired"]],
  ["started", ["completed", "failed", "retrying", "cancelled", "interrupted"]],
  ["retrying", ["started", "cancelled", "expired"]],
  ["interrupted", ["started", "cancelled", "expired"]],
  ["completed", []],
  ["failed", ["requeued"]],
  ["cancelled", ["requeued"]],
  ["expired", ["requeued"]],
  ["requeued", ["started", "cancelled", "expired"]],
]);

const fates = [
  "completes",
  "fails",
  "retries",
  "expires",
  "is cancelled",
  "is late",
  "is requeued",
  "crashes",
  "is nudged",
] as const;

/** Brings a task to an end; gives its id. */
async function live(omniq: Runtime, fate: (typeof fates)[number], queue: string): Promise<string> {
  const retries = { maxRetries: 2, retryDelay: 1 };
  switch (fate) {
    case "completes":
      return (await omniq.enqueue("add", [1, 2], { queue })).id;
    case "fails":
      return (await omniq.enqueue("failLater", ["x"], { ...retries, queue })).id;
    case "retries":
      return (await omniq.enqueue("succeedAt", [3], { ...retries, queue })).id;
    case "expires":
      return (await omniq.enqueue("nothing", [], { ttl: 1, delay: 20, queue })).id;
    case "is late":
      return (await omniq.enqueue("rest", [10_000], { timeout: 5, queue })).id;
    case "crashes":
      return (await omniq.enqueue("exitAtFirst", [], { queue })).id;
    case "is cancelled": {
      const { id } = await omniq.enqueue("rest", [20], { queue });
      await omniq.cancel(id, { grace: 10 });
      return id;
    }
    case "is requeued": {
      const { id } = await omniq.enqueue("giveUp", ["y"], { queue });
      await omniq.wait(id);
      await omniq.requeue(id);
      return id;
    }
    case "is nudged": {
      const { id } = await omniq.enqueue("add", [1, 2], { queue });
      await Promise.all([omniq.requeue(id), omniq.cancel(id), omniq.requeue(id)]);
      return id;
    }
  }
}

test("S01: no task ever makes a move that is not in the table", async () => {
  const omniq = runtime();
  let run = 0;
  const stories = fc.array(fc.constantFrom(...fates), { minLength: 3, maxLength: 12 });

  await fc.assert(
    fc.asyncProperty(stories, async (story) => {
      const queue = `S01-${(run += 1)}`;
      const ids = await Promise.all(story.map((fate) => live(omniq, fate, queue)));
      const outcomes = await Promise.all(ids.map((id) => omniq.wait(id)));
      await eventually(
        async () =>
          (await omniq.count({ queue, state: ["completed", "failed", "cancelled", "expired"] })) === ids.length,
      );
      for (const [index, id] of ids.entries()) {
        const path = await typesOf(omniq, id);
        path.forEach((type, step) =>
          expect(followers.get(path[step - 1]), `${story[index]}: ${path.join(", ")}`).toContain(type),
        );
        expect(["completed", "failed", "cancelled", "expired"]).toContain(outcomes[index]?.state);
        expect(path.at(-1)).toBe((await omniq.get(id))?.state);
      }
    }),
    { numRuns: 6, endOnFailure: true },
  );
});

test("S01: tasks that expire before their time to start expire once", async () => {
  const omniq = runtime();
  const queue = "S01-once";
  const handles = await Promise.all(
    Array.from({ length: 20 }, () => omniq.enqueue("nothing", [], { queue, ttl: 20, delay: 21 })),
  );
  // A busy supervisor finds both moments past at once.
  await Promise.all(Array.from({ length: 300 }, () => omniq.enqueue("add", [1, 2])));

  await Promise.all(handles.map((handle) => handle.wait()));

  const paths = await Promise.all(handles.map(async ({ id }) => (await typesOf(omniq, id)).join()));
  expect(new Set(paths)).toEqual(new Set(["enqueued,expired"]));
  expect((await omniq.stats()).queues[queue]).toMatchObject({ expired: 20, scheduled: 0, ready: 0 });
});

test("S01: a task that has ended stays so, but for a requeue by hand", async () => {
  const omniq = runtime();
  const done = await omniq.enqueue("add", [1, 2]);
  await done.result();
  const failed = await omniq.enqueue("giveUp", ["no"]);
  await failed.wait();

  expect(await omniq.requeue(done.id)).toBe(false);
  expect(await omniq.cancel(done.id)).toBe(false);
  expect(await omniq.cancel(failed.id)).toBe(false);
  expect([await done.state(), await failed.state()]).toEqual(["completed", "failed"]);
  expect(await omniq.requeue(failed.id)).toBe(true);
  expect((await failed.wait()).attempt).toBe(2);
});

test("S01: of cancelled and expired tasks, a requeue makes ready ones", async () => {
  const omniq = runtime();
  const cancelled = await omniq.enqueue("add", [1, 2], { delay: "1h" });
  await cancelled.cancel();
  await omniq.queues.get("S01-expired").pause();
  const expired = await omniq.enqueue("add", [3, 4], { ttl: 1, queue: "S01-expired" });
  await expired.wait();
  await omniq.queues.get("S01-expired").resume();

  expect([await omniq.requeue(cancelled.id), await omniq.requeue(expired.id)]).toEqual([true, true]);
  expect(await cancelled.result()).toBe(3);
  // Its ttl of a millisecond begins anew, so it may expire again.
  expect(["completed", "expired"]).toContain((await expired.wait()).state);
});

test("S02: a value comes back equal to what was returned", async () => {
  const value = [
    {
      at: new Date(5),
      map: new Map([[1, { big: 2n ** 70n }]]),
      bytes: Uint8Array.from([1]),
      list: [undefined, null, -0],
    },
  ];
  const handle = await runtime().enqueue("echo", value);

  expect(await handle.result()).toEqual(value);
  expect(await handle.wait()).toEqual({ id: handle.id, state: "completed", attempt: 1, value });
  expect(await runtime().result(handle.id)).toEqual(value);
});

test("S02: an error keeps its name, message, stack, code and cause", async () => {
  const handle = await runtime().enqueue("fail", ["short and stout"]);

  const error = await errorOf(() => handle.result());

  expect(error).toMatchObject({ name: "TaskFailedError", code: "TASK_FAILED", taskId: handle.id, state: "failed" });
  expect(error.message).toContain("short and stout");
  const cause = error.cause as Error;
  expect(cause).toBeInstanceOf(Error);
  expect(cause).toMatchObject({ name: "TeapotError", message: "short and stout", code: "E_TEAPOT" });
  expect(cause.stack).toContain("tasks.ts");
  expect(cause.cause).toMatchObject({ name: "RangeError", message: "the pot is short" });
});

test.each([
  ["fail", "TeapotError: sync"],
  ["failLater", "TeapotError: sync"],
] as const)("S02: %s ends with the same error, whether it throws or rejects", async (name, reason) => {
  const outcome = await (await runtime().enqueue(name, ["sync"])).wait();

  expect(outcome).toMatchObject({ state: "failed", attempt: 1 });
  expect(outcome.error?.message).toContain(reason);
});

test("S02: what is thrown and is no error becomes one", async () => {
  const outcome = await (await runtime().enqueue("throwText", ["just text"])).wait();

  expect(outcome.error?.cause).toBeInstanceOf(Error);
  expect((outcome.error?.cause as Error).message).toContain("just text");
});

test("S02: a result that cannot be kept fails its task, and others go on", async () => {
  const omniq = await open({ maxPayloadBytes: 1_000 });
  const handle = await omniq.enqueue("describe", ["x".repeat(950), { detailed: true }], { maxRetries: 3 });

  const outcome = await handle.wait();

  // The argument fits, the longer result does not; another attempt would not change that.
  if (outcome.state === "completed") expect(String(outcome.value).length).toBeLessThan(1_000);
  else expect(outcome).toMatchObject({ attempt: 1, error: { cause: { code: "PAYLOAD_TOO_LARGE" } } });
  expect(await omniq.run("add", [1, 1])).toBe(2);
});

test("S03: a result is gone after its resultTtl, and its task is not", async () => {
  const omniq = runtime();
  const handle = await omniq.enqueue("echo", ["short-lived"], { resultTtl: 1 });
  const kept = await omniq.enqueue("echo", ["kept"]);
  await Promise.all([handle.wait(), kept.wait()]);

  await eventually(async () => {
    await omniq.sweep();
    return !("value" in (await omniq.wait(handle.id)));
  });

  expect(await omniq.wait(handle.id)).toEqual({ id: handle.id, state: "completed", attempt: 1 });
  expect(await omniq.get(handle.id)).toMatchObject({ state: "completed" });
  expect(await kept.result()).toEqual(["kept"]);
});

test("S04: 1,000 who wait are told", async () => {
  const omniq = runtime();
  const gate = new Gate();
  const first = await omniq.enqueue("pass", [gate.folder], { queue: "S04" });
  const handles = await omniq.enqueueMany(
    "echo",
    Array.from({ length: 999 }, (_, n) => [n] as const),
    { queue: "S04" },
  );
  const waiting = [first, ...handles].map(({ id }) => omniq.wait(id));
  gate.open();

  const outcomes = await Promise.all(waiting);

  expect(outcomes.filter(({ state }) => state === "completed")).toHaveLength(1_000);
  expect(outcomes[999]?.value).toEqual([998]);
});

test("S04: many may wait for one task, before and after its end", async () => {
  const handle = await runtime().enqueue("addLater", [1, 2]);
  const early = Array.from({ length: 50 }, () => handle.result());

  expect(new Set(await Promise.all(early))).toEqual(new Set([3]));
  expect(await handle.result()).toBe(3);
});

test("S04: a wait ends after its timeout, and the task goes on", async () => {
  const omniq = runtime();
  const gate = new Gate();
  const handle = await omniq.enqueue("pass", [gate.folder]);

  const error = await errorOf(() => omniq.wait(handle.id, { timeout: 50 }));

  expect(error).toMatchObject({ name: "WaitTimeoutError", code: "WAIT_TIMEOUT" });
  gate.open();
  expect(await handle.wait({ timeout: "50s" })).toMatchObject({ state: "completed", value: "someone", attempt: 1 });
});

test("S04: a wait ends with the reason of its signal, and the task goes on", async () => {
  const gate = new Gate();
  const handle = await runtime().enqueue("pass", [gate.folder]);
  const aborter = new AbortController();
  const waiting = errorOf(() => handle.result({ signal: aborter.signal }));

  aborter.abort(new Error("not interested"));

  expect((await waiting).message).toBe("not interested");
  gate.open();
  expect(await handle.result()).toBe("someone");
});

test("S04: waiting for a task that is not there rejects", async () => {
  expect(await errorOf(() => runtime().wait("nobody"))).toMatchObject({
    name: "UnknownTaskIdError",
    code: "UNKNOWN_TASK_ID",
  });
});

test("S04, trap 21: waiting for a task that failed for good ends, before and after it failed", async () => {
  const omniq = runtime();
  const handle = await omniq.enqueue("giveUp", ["dead"]);

  expect((await omniq.wait(handle.id)).state).toBe("failed");
  expect((await omniq.wait(handle.id)).state).toBe("failed");
  expect(await errorOf(() => omniq.result(handle.id))).toMatchObject({
    code: "TASK_FAILED",
    cause: { message: "dead" },
  });
});

test("S05: a task that is retried once leaves exactly its five events", async () => {
  const omniq = runtime();
  const handle = await omniq.enqueue("succeedAt", [2], { maxRetries: 1, retryDelay: 1, queue: "S05" });
  await handle.result();

  const events = await eventsOf(omniq, handle.id);

  expect(events.map(({ type, attempt }) => `${type} ${attempt}`)).toEqual([
    "enqueued 0",
    "started 1",
    "retrying 1",
    "started 2",
    "completed 2",
  ]);
  expect(events[2]).toMatchObject({ reason: "error", error: { message: "attempt 1 fails" } });
  expect(
    events.every(({ name, queue, taskId }) => name === "succeedAt" && queue === "S05" && taskId === handle.id),
  ).toBe(true);
  expect(events.map(({ sequence }) => sequence)).toEqual(
    events.map(({ sequence }) => sequence).toSorted((a, b) => a - b),
  );
  expect(events.map(({ at }) => at)).toEqual(events.map(({ at }) => at).toSorted((a, b) => a - b));
});

test("S05: every way a task ends leaves its event", async () => {
  const omniq = runtime();
  const failed = await omniq.enqueue("giveUp", ["x"]);
  await failed.wait();
  await omniq.requeue(failed.id);
  await failed.wait();
  const cancelled = await omniq.enqueue("nothing", [], { delay: "1h" });
  await cancelled.cancel("no need");
  const expired = await omniq.enqueue("nothing", [], { delay: "1h", ttl: 1 });
  await expired.wait();

  expect(await typesOf(omniq, failed.id)).toEqual(["enqueued", "started", "failed", "requeued", "started", "failed"]);
  expect(await typesOf(omniq, cancelled.id)).toEqual(["enqueued", "cancelled"]);
  expect((await eventsOf(omniq, cancelled.id)).at(-1)).toMatchObject({ reason: "no need" });
  expect(await typesOf(omniq, expired.id)).toEqual(["enqueued", "expired"]);
});

test("S06: the filters of a query must all match", async () => {
  const omniq = runtime();
  const [one, two] = [
    await omniq.enqueue("giveUp", ["x"], { queue: "S06" }),
    await omniq.enqueue("add", [1, 2], { queue: "S06" }),
  ];
  await Promise.all([one.wait(), two.wait()]);
  const all = await omniq.events.query({ queue: "S06" });
  expect(all).toHaveLength(6);
  const seen = async (filter: Parameters<typeof omniq.events.query>[0]) =>
    (await omniq.events.query({ queue: "S06", ...filter })).map(
      ({ type, taskId }) => `${type} ${taskId === one.id ? 1 : 2}`,
    );

  expect((await seen({ type: "started" })).toSorted()).toEqual(["started 1", "started 2"]);
  expect(await seen({ type: ["failed", "completed"], taskId: one.id })).toEqual(["failed 1"]);
  expect(await seen({ type: "completed", taskId: one.id })).toEqual([]);
  expect(await seen({ taskId: two.id, limit: 2 })).toEqual(["enqueued 2", "started 2"]);
  const last = all.at(-1);
  expect(await seen({ after: all[3]?.sequence })).toHaveLength(2);
  expect(await omniq.events.query({ queue: "S06", since: (last?.at ?? 0) + 1 })).toEqual([]);
  expect(await omniq.events.query({ queue: "S06", until: all[0]?.at })).toEqual([]);
  expect(await omniq.events.query({ queue: "elsewhere" })).toEqual([]);
});

test.each([
  ["off", []],
  ["errors", ["expired", "failed", "retrying"]],
] as const)("S06: at level %s nothing else is written", async (events, kept) => {
  const omniq = await open({ storage: aPlace(), events });
  await omniq.run("add", [1, 2]);
  await (await omniq.enqueue("failLater", ["x"], { maxRetries: 1, retryDelay: 1 })).wait();
  await (await omniq.enqueue("nothing", [], { delay: "1h" })).cancel();
  await (await omniq.enqueue("nothing", [], { delay: "1h", ttl: 1 })).wait();

  const types = (await omniq.events.query()).map(({ type }) => type);

  expect(types.toSorted()).toEqual(kept);
});

test("S08: a sweep forgets what has outlived its retention, of each kind, and counts it", async () => {
  const storage = aPlace();
  const first = await open({ storage, events: "all" });
  const done = await first.enqueueMany(
    "add",
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
    { resultTtl: "1h" },
  );
  const failed = await first.enqueue("giveUp", ["x"]);
  await Promise.all([...done, failed].map((handle) => handle.wait()));
  expect(await first.sweep()).toEqual({ tasks: 0, results: 0, events: 0 });
  await first.close();

  // Failed tasks are kept for longer, and so are those that have not ended.
  const second = await open({ storage, events: "all", retention: { completed: 1, events: 1, failed: "30d" } });
  const brief = await second.enqueue("add", [4, 4]);
  await brief.wait();
  const live = await second.enqueue("add", [5, 5], { delay: "1h" });
  await eventually(() => second.sweep().then(async () => (await second.get(brief.id)) === undefined));
  await second.sweep();

  expect(await second.get(live.id)).toMatchObject({ state: "scheduled" });
  expect(await failed.id).toBeDefined();
  expect(await second.get(failed.id)).toMatchObject({ state: "failed" });
  const { states } = await second.stats();
  expect([states.failed, states.scheduled]).toEqual([1, 1]);
});

test("S08, trap 10: a sweep tells how many tasks, results and events it forgot", async () => {
  const omniq = await open({ storage: aPlace(), events: "all", retention: { completed: 200, events: 200 } });
  const handles = await omniq.enqueueMany("add", [
    [1, 1],
    [2, 2],
  ]);
  const brief = await omniq.enqueue("add", [3, 3], { resultTtl: 1, delay: 1 });
  await Promise.all([...handles, brief].map((handle) => handle.wait()));
  const live = await omniq.enqueue("add", [4, 4], { delay: "1h" });
  const sum = { tasks: 0, results: 0, events: 0 };

  await eventually(async () => {
    const swept = await omniq.sweep();
    sum.tasks += swept.tasks;
    sum.results += swept.results;
    sum.events += swept.events;
    return (await omniq.count()) === 1 && (await omniq.events.query()).length === 0;
  });

  // The one of the task that waits, and three each of the others.
  expect(sum).toMatchObject({ tasks: 3, events: 10 });
  expect(sum.results).toBeGreaterThanOrEqual(1);
  expect(await live.state()).toBe("scheduled");
});

test("S08: what has outlived its retention is forgotten without being asked", async () => {
  const omniq = await open({ retention: { completed: 1 } });
  const handle = await omniq.enqueue("add", [1, 1]);
  await handle.wait();

  await eventually(async () => (await omniq.get(handle.id)) === undefined);

  expect(await omniq.count()).toBe(0);
});

test("S09: a task that waits is cancelled and never runs", async () => {
  const omniq = runtime();
  const file = `${aPlace()}/runs`;
  await omniq.queues.get("S09").pause();
  const handle = await omniq.enqueue("note", [file, "ran"], { queue: "S09" });
  const waiting = handle.wait();

  expect(await omniq.cancel(handle.id, { reason: "not needed" })).toBe(true);

  expect(await waiting).toMatchObject({ state: "cancelled", attempt: 0, error: { state: "cancelled" } });
  expect(await handle.record()).toMatchObject({ state: "cancelled", reason: "not needed" });
  await omniq.queues.get("S09").resume();
  await omniq.run("nothing", [], { queue: "S09", priority: -1_000 });
  expect(linesOf(file)).toEqual([]);
});

test.each(["pass", "passBusy"] as const)("S09: a running task that listens is cancelled (%s)", async (name) => {
  const gate = new Gate();
  const handle = await runtime().enqueue(name, [gate.folder]);
  await gate.arrival("someone");

  expect(await handle.cancel({ reason: "enough", running: "signal" })).toBe(true);

  expect(await handle.wait()).toMatchObject({ state: "cancelled", attempt: 1 });
  expect(await handle.record()).toMatchObject({ state: "cancelled", reason: "enough" });
});

test("S09: a running task that does not listen is stopped within its grace, and others go on", async () => {
  const omniq = runtime();
  const handle = await omniq.enqueue("spin", []);
  await eventually(async () => (await handle.state()) === "running");
  const before = Date.now();

  expect(await handle.cancel({ running: "terminate", grace: 100 })).toBe(true);

  // 100 ms on a machine that has time.
  expect(Date.now() - before).toBeLessThan(2_000);
  expect((await handle.wait()).state).toBe("cancelled");
  expect(await omniq.run("add", [1, 2])).toBe(3);
});

test("S09: a running task is let go on if that is wanted", async () => {
  const gate = new Gate();
  const handle = await runtime().enqueue("pass", [gate.folder]);
  await gate.arrival("someone");

  expect(await handle.cancel({ running: "no" })).toBe(false);

  gate.open();
  expect(await handle.result()).toBe("someone");
});

test("S09: a running task that finishes all the same is completed, and the cancellation says so", async () => {
  const gate = new Gate();
  const handle = await runtime().enqueue("passDeaf", [gate.folder]);
  await gate.arrival("someone");
  const cancelled = handle.cancel({ running: "signal" });
  gate.open();

  expect(await cancelled).toBe(false);
  expect(await handle.result()).toBe("someone");
});

test("S09: a task that has ended cannot be cancelled, and keeps its result", async () => {
  const omniq = runtime();
  const handle = await omniq.enqueue("add", [20, 3]);
  await handle.result();

  expect(await handle.cancel()).toBe(false);
  expect(await handle.result()).toBe(23);
  expect(await omniq.cancel("nobody")).toBe(false);
});

test("S09: a task that waits to be retried is cancelled", async () => {
  const handle = await runtime().enqueue("failLater", ["x"], { maxRetries: 5, retryDelay: "1h" });
  await eventually(async () => (await handle.state()) === "retrying");

  expect(await handle.cancel()).toBe(true);
  expect(await handle.wait()).toMatchObject({ state: "cancelled" });
});
