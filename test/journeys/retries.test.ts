import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { aPlace, linesOf, open, Program, shared } from "../support/runtimes.ts";

const runtime = shared({ events: "all" });

test("R01, trap 1: a task that fails twice and then succeeds is completed at its third attempt", async () => {
  const handle = await runtime().enqueue("succeedAt", [3], { maxRetries: 3, retryDelay: 1 });

  expect(await handle.wait()).toMatchObject({ state: "completed", attempt: 3, value: 3 });
  expect(await handle.record()).toMatchObject({
    attempt: 3,
    retryCount: 2,
    errors: [
      { attempt: 1, reason: "error", error: { message: "attempt 1 fails" } },
      { attempt: 2, reason: "error", error: { message: "attempt 2 fails" } },
    ],
  });
});

test.each([0, 1, 2, 3, 4, 5])(
  "R02: with maxRetries %d a task that always fails is run once more than that",
  async (maxRetries) => {
    const file = `${aPlace()}/attempts`;
    const outcome = await (await runtime().enqueue("failNoting", [file], { maxRetries, retryDelay: 1 })).wait();

    expect(linesOf(file)).toEqual(Array.from({ length: maxRetries + 1 }, (_, index) => String(index + 1)));
    expect(outcome).toMatchObject({ state: "failed", attempt: maxRetries + 1 });
  },
);

test("R02: without maxRetries nothing is retried", async () => {
  const file = `${aPlace()}/attempts`;
  await (await runtime().enqueue("failNoting", [file])).wait();

  expect(linesOf(file)).toEqual(["1"]);
});

test("R03: delays grow up to their limit", async () => {
  const omniq = runtime();
  const backoff = { type: "exponential", delay: 40, factor: 2, max: 100, jitter: 0 } as const;
  const handle = await omniq.enqueue("failLater", ["x"], { maxRetries: 4, backoff });
  await handle.wait();

  const events = await omniq.events.query({ taskId: handle.id });
  const delays = events.flatMap(({ type, at }, index) =>
    type === "retrying" ? [(events[index + 1]?.at ?? 0) - at] : [],
  );

  expect(delays).toHaveLength(4);
  for (const [index, least] of [40, 80, 100, 100].entries()) {
    expect(delays[index]).toBeGreaterThanOrEqual(least);
    expect(delays[index]).toBeLessThan(least + 5_000);
  }
});

test.each([
  ["the default", {}, 1_000, 0.25],
  ["a fixed delay", { retryDelay: 5_000 }, 5_000, 0],
  ["no jitter", { backoff: { delay: "2s", jitter: 0 } }, 2_000, 0],
  ["all jitter", { backoff: { delay: 3_000, jitter: 1 } }, 3_000, 1],
  ["a fixed backoff", { backoff: { type: "fixed", delay: 4_000 } }, 4_000, 0],
] as const)("R03: with %s the delay is inside of its band", async (_name, options, delay, jitter) => {
  const handle = await runtime().enqueue("failLater", ["x"], { maxRetries: 1, ...options });
  await eventually(async () => (await handle.state()) === "retrying");
  const record = await handle.record();
  await handle.cancel();

  const planned = Number(record?.runAt) - Number(record?.errors[0]?.at);
  expect(planned).toBeGreaterThanOrEqual(Math.floor(delay * (1 - jitter)));
  expect(planned).toBeLessThanOrEqual(Math.ceil(delay * (1 + jitter)));
});

test("R04: NonRetryable fails at once", async () => {
  const outcome = await (await runtime().enqueue("giveUp", ["hopeless"], { maxRetries: 5 })).wait();

  expect(outcome).toMatchObject({ state: "failed", attempt: 1 });
  expect(outcome.error?.cause).toMatchObject({ name: "NonRetryable", code: "NON_RETRYABLE", message: "hopeless" });
});

test("R04: RetryLater sets the exact delay", async () => {
  const handle = await runtime().enqueue("later", [7_000, "rate limit"], { maxRetries: 1 });
  await eventually(async () => (await handle.state()) === "retrying");
  const record = await handle.record();
  await handle.cancel();

  expect(Number(record?.runAt) - Number(record?.errors[0]?.at)).toBe(7_000);
  expect(record?.errors[0]?.error).toMatchObject({ code: "RETRY_LATER", message: "rate limit" });
});

test("R04: a task that is told to come later does, and uses up a retry", async () => {
  const omniq = runtime();
  const [with1, with0] = [
    await omniq.enqueue("later", [10, "soon"], { maxRetries: 1, retryDelay: "1h" }),
    await omniq.enqueue("later", [10, "soon"], { maxRetries: 0 }),
  ];

  expect(await with1.result()).toBe(2);
  expect(await with0.wait()).toMatchObject({ state: "failed", attempt: 1 });
});

test("R04: retryIf decides about each error", async () => {
  const omniq = runtime();
  const [again, notAgain] = await Promise.all(
    ["again", "not again"].map(async (message) => (await omniq.enqueue("picky", [message], { maxRetries: 2 })).wait()),
  );

  expect([again?.attempt, notAgain?.attempt]).toEqual([3, 1]);
});

test("R05: a retry that was planned before a kill -9 happens at its time after it", async () => {
  const folder = aPlace();
  const program = new Program("retrying.mjs", folder);
  await program.hasSaid(1);
  await program.kill();
  const [{ id, runAt }] = program.said as [{ id: string; runAt: number }];

  const omniq = await open({ storage: folder });
  expect(await omniq.wait(id)).toMatchObject({ state: "completed", attempt: 2, value: 2 });

  const record = await omniq.get(id);
  expect(Number(record?.startedAt)).toBeGreaterThanOrEqual(runAt);
  expect(record).toMatchObject({ interruptions: 0, errors: [{ attempt: 1, error: { message: "attempt 1 fails" } }] });
});

test("R05: a task that runs at a kill -9 is run again, and keeps its retries", async () => {
  const folder = aPlace();
  const program = new Program("interrupted.mjs", folder, `${aPlace()}/started`);
  await program.hasSaid(1);
  await program.kill();
  const [id] = program.said as [string];

  const omniq = await open({ storage: folder });

  expect(await omniq.wait(id, { timeout: "50s" })).toMatchObject({
    state: "failed",
    error: { cause: { message: "this start fails" } },
  });
  expect(await omniq.get(id)).toMatchObject({ interruptions: 1, crashes: 0, errors: [{ reason: "error" }] });
});

test("R06, traps 3 and 20: a task that ends its worker each time is tried three times, then given up", async () => {
  const omniq = await open({ storage: aPlace(), executors: { threads: 2 } });
  const file = `${aPlace()}/attempts`;

  const outcome = await (await omniq.enqueue("exit", [file], { maxRetries: 100 })).wait();

  expect(outcome).toMatchObject({ state: "failed", attempt: 3 });
  expect(outcome.error?.cause).toMatchObject({ name: "WorkerCrashError", code: "WORKER_CRASH" });
  expect(linesOf(file)).toEqual(["1", "2", "3"]);
  expect(await omniq.get(outcome.id)).toMatchObject({ reason: "poison", crashes: 3 });
  expect(await omniq.run("add", [1, 2])).toBe(3);
});

test("R06: a task that ends its worker once comes back without using up a retry", async () => {
  const outcome = await (await runtime().enqueue("exitAtFirst", [], { maxRetries: 0 })).wait();

  expect(outcome).toMatchObject({ state: "completed", attempt: 2, value: 2 });
});

test("R06: what shares a worker with a crash is run again, at no cost to it", async () => {
  const omniq = await open({ executors: { threads: 1 } });
  const file = `${aPlace()}/attempts`;
  const crash = await omniq.enqueue("exit", [file]);
  const others = await omniq.enqueueMany(
    "add",
    Array.from({ length: 50 }, (_, n) => [n, 1] as const),
  );

  expect(await Promise.all(others.map((handle) => handle.result()))).toEqual(
    Array.from({ length: 50 }, (_, n) => n + 1),
  );
  expect((await crash.wait()).state).toBe("failed");
  const records = await Promise.all(others.map((handle) => handle.record()));
  expect(records.filter((record) => record?.crashes !== 0 || record.errors.length > 0)).toEqual([]);
});

test("R07: a task without attempts left is a dead letter, with the errors of all attempts", async () => {
  const omniq = runtime();
  const handle = await omniq.enqueue("failNoting", [`${aPlace()}/attempts`], {
    maxRetries: 2,
    retryDelay: 1,
    queue: "R07",
    tags: ["R07"],
  });
  await handle.wait();

  const { tasks } = await omniq.deadLetters.list({ queue: "R07" });

  expect(tasks).toMatchObject([
    {
      id: handle.id,
      state: "failed",
      attempt: 3,
      errors: [
        { attempt: 1, error: { message: "attempt 1 fails" } },
        { attempt: 2, error: { message: "attempt 2 fails" } },
        { attempt: 3, error: { message: "attempt 3 fails" } },
      ],
    },
  ]);
  expect((await omniq.deadLetters.list({ tags: ["nobody"] })).tasks).toEqual([]);
});

test("R07: a dead letter that is requeued has all its retries again, and keeps its history", async () => {
  const omniq = runtime();
  const file = `${aPlace()}/attempts`;
  const handle = await omniq.enqueue("failNoting", [file], { maxRetries: 1, retryDelay: 1 });
  await handle.wait();

  expect(await omniq.deadLetters.requeue([handle.id])).toBe(1);

  expect(await handle.wait()).toMatchObject({ state: "failed", attempt: 4 });
  expect(linesOf(file)).toEqual(["1", "2", "3", "4"]);
  expect((await handle.record())?.errors.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
});

test("R07: dead letters are requeued and purged by filter, and others are left alone", async () => {
  const omniq = runtime();
  const make = async (queue: string, count: number) => {
    const handles = await omniq.enqueueMany(
      "succeedAt",
      Array.from({ length: count }, () => [2] as const),
      { queue },
    );
    await Promise.all(handles.map((handle) => handle.wait()));
    return handles;
  };
  const mine = await make("R07-requeue", 30);
  const purged = await make("R07-purge", 20);
  const done = await omniq.enqueue("nothing", [], { queue: "R07-purge" });
  await done.wait();

  expect(await omniq.deadLetters.requeue({ queue: "R07-requeue" })).toBe(30);
  expect(await Promise.all(mine.map((handle) => handle.result()))).toEqual(mine.map(() => 2));
  expect(await omniq.deadLetters.purge({ queue: "R07-purge" })).toBe(20);
  expect(await purged[0]?.record()).toBeUndefined();
  expect(await done.state()).toBe("completed");
  expect(await omniq.deadLetters.requeue([done.id, "nobody"])).toBe(0);
});
