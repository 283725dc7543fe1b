import { readdirSync } from "node:fs";
import { Omniq } from "omniq";
import { expect, test } from "vitest";
import { allOf, aPlace, errorOf, fixture, linesOf, open, Program } from "../support/runtimes.ts";

const rounds = process.env["OMNIQ_LONG"] === "1" ? 200 : 20;

test(
  "B01: whenever the process is killed, no acknowledged task is lost and each ends once",
  { timeout: rounds * 15_000 },
  async () => {
    const folder = aPlace();
    const runs = `${aPlace()}/runs`;
    const acknowledged: string[] = [];
    let random = 20_261_120;
    for (let round = 0; round < rounds; round++) {
      const program = new Program("crasher.mjs", folder, runs);
      // From "only just opened" to "well under way".
      random = (random * 1_103_515_245 + 12_345) % 2 ** 31;
      await program.hasSaid(1 + (random % 200));
      await program.kill();
      acknowledged.push(...(program.said as string[]).filter((id) => id !== "open"));
    }
    expect(acknowledged.length).toBeGreaterThan(rounds);

    const omniq = await open({ storage: folder, events: "all", executors: { threads: 2 } });
    await omniq.drain();

    const found = await allOf((cursor) => omniq.list({ cursor, limit: 1_000 }));
    const states = new Map(found.map(({ id, state }) => [id, state]));
    expect(acknowledged.filter((id) => states.get(id) !== "completed")).toEqual([]);
    expect([...states.values()].filter((state) => state !== "completed")).toEqual([]);
    const ends = new Map<string, number>();
    for (let after: number | undefined, isMore = true; isMore;) {
      const page = await omniq.events.query({
        type: ["completed", "failed", "cancelled", "expired"],
        after,
        limit: 1_000,
      });
      for (const { taskId } of page) ends.set(taskId, (ends.get(taskId) ?? 0) + 1);
      after = page.at(-1)?.sequence;
      isMore = page.length === 1_000;
    }
    expect([...ends.values()].filter((count) => count !== 1)).toEqual([]);
    expect(ends.size).toBe(found.length);
    expect(await omniq.count({ state: "completed" })).toBe(found.length);
    // Every task that says it is done was done.
    const ran = new Set(linesOf(runs).map((line) => line.split(" ")[0]));
    expect(found.filter(({ id }) => !ran.has(id))).toEqual([]);
  },
);

test("B01: everything about a task is the same after a restart", async () => {
  const storage = aPlace();
  const first = await open({ storage });
  const options = { tags: ["a"], metadata: { b: 1 }, priority: 7, queue: "q", maxRetries: 2, timeout: "1m" } as const;
  const done = await first.enqueue("add", [1, 2], options);
  const failed = await first.enqueue("giveUp", ["x"], options);
  const waiting = await first.enqueue("echo", [new Map([[1, 2n]])], { ...options, delay: "1h", dedupeKey: "once" });
  await Promise.all([done.wait(), failed.wait()]);
  const ids = [done.id, failed.id, waiting.id];
  const before = await Promise.all(ids.map((id) => first.get(id)));
  await first.close();

  const second = await open({ storage });

  expect(await Promise.all(ids.map((id) => second.get(id)))).toEqual(before);
  expect(await second.result(done.id)).toBe(3);
  expect(await errorOf(() => second.result(failed.id))).toMatchObject({
    cause: { name: "NonRetryable", message: "x" },
  });
  expect(await errorOf(() => second.enqueue("echo", [], { queue: "q", dedupeKey: "once" }))).toMatchObject({
    code: "DUPLICATE_TASK",
    existingId: waiting.id,
  });
});

test("B01: a second runtime does not get the store, and learns who has it", async () => {
  const storage = aPlace();
  const first = await open({ storage, instanceId: "the first" });

  const error = await errorOf(() => open({ storage }));

  expect(error).toMatchObject({ code: "STORE_OWNED", pid: process.pid });
  expect(error.message).toContain("the first");
  expect(await first.run("add", [1, 2])).toBe(3);
});

test("B02: memory keeps nothing and writes nothing", async () => {
  const before = readdirSync(".");
  const first = await open({ storage: "memory:" });
  const { id } = await first.enqueue("add", [1, 2], { delay: "1h" });
  await first.close();

  const second = await open({ storage: "memory:" });

  expect(await second.get(id)).toBeUndefined();
  expect(await second.count()).toBe(0);
  expect(readdirSync(".")).toEqual(before);
});

test("B02: two runtimes in memory know nothing of each other", async () => {
  const [first, second] = await Promise.all([open(), open()]);
  const { id } = await first.enqueue("add", [1, 2], { delay: "1h" });

  expect(await second.get(id)).toBeUndefined();
  expect((await first.get(id))?.state).toBe("scheduled");
});

test("B09: with results in memory and tasks on disk, tasks survive a restart and results do not", async () => {
  const storage = { tasks: aPlace(), results: "memory:" };
  const first = await open({ storage });
  const handle = await first.enqueue("add", [1, 2]);
  expect(await handle.result()).toBe(3);
  expect(await first.result(handle.id)).toBe(3);
  await first.close();

  const second = await open({ storage });

  expect(await second.get(handle.id)).toMatchObject({ state: "completed", attempt: 1 });
  const outcome = await second.wait(handle.id);
  expect(outcome).toEqual({ id: handle.id, state: "completed", attempt: 1 });
});

test("B09: with results on disk and tasks in memory, tasks do not survive a restart", async () => {
  const storage = { tasks: "memory:", results: aPlace() };
  const first = await open({ storage });
  const handle = await first.enqueue("add", [1, 2]);
  expect(await handle.result()).toBe(3);
  await first.close();

  const second = await open({ storage });

  expect(await second.get(handle.id)).toBeUndefined();
  expect(await second.run("add", [2, 2])).toBe(4);
});

test("B09: with each component on its own storage the journey is the same", async () => {
  const storage = { tasks: aPlace(), results: aPlace(), events: aPlace() };
  const first = await open({ storage, events: "all" });
  const done = await first.enqueue("succeedAt", [2], { maxRetries: 1, retryDelay: 1 });
  expect(await done.result()).toBe(2);
  await first.close();

  const second = await open({ storage, events: "all" });

  expect(await second.result(done.id)).toBe(2);
  expect((await second.events.query({ taskId: done.id })).map(({ type }) => type)).toEqual([
    "enqueued",
    "started",
    "retrying",
    "started",
    "completed",
  ]);
});

test("B09: events in memory are gone after a restart, and tasks are not", async () => {
  const storage = { tasks: aPlace(), events: "memory:" };
  const first = await open({ storage, events: "all" });
  const handle = await first.enqueue("add", [1, 2]);
  await handle.result();
  expect((await first.events.query({ taskId: handle.id })).map(({ type }) => type)).toEqual([
    "enqueued",
    "started",
    "completed",
  ]);
  await first.close();

  const second = await open({ storage, events: "all" });

  expect(await second.events.query()).toEqual([]);
  expect(await second.result(handle.id)).toBe(3);
});

test("B09: schedules lie with tasks, and anything else is refused", async () => {
  const error = await errorOf(() => open({ storage: { tasks: "memory:", schedules: aPlace() } }));

  expect(error).toMatchObject({ code: "INVALID_ARGUMENT", path: "options.storage.schedules" });
});

test("trap 14: a task that cannot be stored is refused, and nothing of it is there", async () => {
  const omniq = await open({ storage: aPlace(), reserveBytes: Number.MAX_SAFE_INTEGER });

  const error = await errorOf(() => omniq.enqueue("add", [1, 2]));

  expect(error).toMatchObject({ name: "StoreFullError", code: "STORE_FULL" });
  expect(await omniq.count()).toBe(0);
});

test("a task whose name is gone is parked and shown, holds up nothing, and runs when the name is back", async () => {
  const storage = aPlace();
  const first = await open({ storage, queues: { default: { paused: true } } });
  const { id } = await first.enqueue("add", [1, 2], { priority: 10 });
  await first.close();

  const other = await Omniq.open({
    tasks: fixture("few.mjs"),
    storage,
    executors: { threads: 1 },
    queues: { default: { paused: false } },
  });
  expect((await other.drain({ timeout: "50s" })).parked).toBe(1);
  expect(await other.get(id)).toMatchObject({ state: "ready", parked: true, attempt: 0 });
  expect((await other.stats()).parked).toBe(1);
  await other.close();

  const back = await open({ storage });
  expect(await back.result(id)).toBe(3);
});
