import { mkdirSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { allOf, aPlace, errorOf, Gate, linesOf, open, Program, shared } from "../support/runtimes.ts";

const runtime = shared();

test("W01: a runtime at rest starts a task at once, without looking for it now and then", async () => {
  const omniq = await open();
  await omniq.run("nothing", []);
  const delays: number[] = [];
  for (let n = 0; n < 50; n++) {
    const handle = await omniq.enqueue("nothing", []);
    await handle.wait();
    const { startedAt, createdAt } = (await handle.record()) ?? {};
    delays.push(Number(startedAt) - Number(createdAt));
  }

  // 1 ms on a machine that has time; anything that polls is far above.
  expect(delays.toSorted((a, b) => a - b)[25]).toBeLessThanOrEqual(10);
});

test.each([
  ["meet", "busy"],
  ["meetResting", "resting"],
] as const)("W02, trap 11: as many tasks run at the same time as there are threads (%s)", async (name, how) => {
  const omniq = await open({ executors: { threads: 3 } });
  const folder = `${aPlace()}/${how}`;
  mkdirSync(folder);

  // Each ends only when all three have started.
  const handles = await Promise.all(
    ["a", "b", "c"].map((who) => omniq.enqueue(name, [folder, who, 3], { timeout: "40s" })),
  );

  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(["a", "b", "c"]);
});

test("W02: a task that takes long holds up no others", async () => {
  const omniq = await open({ executors: { threads: 2 } });
  const gate = new Gate();
  const slow = await omniq.enqueue("passBusy", [gate.folder]);

  const values = await Promise.all(Array.from({ length: 300 }, (_, n) => omniq.run("add", [n, 1])));

  expect(values).toEqual(Array.from({ length: 300 }, (_, n) => n + 1));
  expect(await slow.state()).toBe("running");
  gate.open();
  expect(await slow.result()).toBe("someone");
});

test("W02: threads are threads of this process", async () => {
  expect(await runtime().run("thread", [])).toBe(process.pid);
});

test.each(["add", "addLater"] as const)("W05: a handler may be synchronous or asynchronous (%s)", async (name) => {
  expect(await runtime().run(name, [40, 2])).toBe(42);
});

test("W05: the task is known to both, in what they call and await", async () => {
  const omniq = runtime();
  const handles = await omniq.enqueueMany("context", [[], []], { tags: ["W05"] });

  expect(await Promise.all(handles.map((handle) => handle.result()))).toMatchObject(
    handles.map(({ id }) => ({ id, tags: ["W05"] })),
  );
});

test("W08: SIGTERM under load loses nothing and ends nothing twice", async () => {
  const folder = aPlace();
  const runs = `${aPlace()}/runs`;
  const program = new Program("loaded.mjs", folder, runs);
  await program.hasSaid(100);
  program.process.kill("SIGTERM");

  expect(await program.ended).toEqual({ code: 0, signal: null });

  const acknowledged = program.said as string[];
  const omniq = await open({ storage: folder, events: "all" });
  await omniq.drain();
  const found = await allOf((cursor) => omniq.list({ cursor, limit: 1_000 }));
  const states = new Map(found.map(({ id, state }) => [id, state]));
  expect(acknowledged.filter((id) => states.get(id) !== "completed")).toEqual([]);
  const ends = await omniq.events.query({ type: ["completed", "failed"], limit: 1_000 });
  expect(new Set(ends.map(({ taskId }) => taskId)).size).toBe(ends.length);
  // It was not killed: what it had started it finished, so nothing has run twice.
  expect(linesOf(runs).length).toBe(new Set(linesOf(runs)).size);
});

test("W08: a second signal ends the process at once", async () => {
  const program = new Program("stubborn.mjs", aPlace());
  await program.hasSaid(1);
  program.process.kill("SIGTERM");
  await program.hasSaid(2);
  program.process.kill("SIGTERM");

  const { code } = await program.ended;

  expect(code).not.toBe(0);
});

test("W08: what has not finished when the runtime closes is ready again, not failed", async () => {
  const storage = aPlace();
  const first = await open({ storage });
  const gate = new Gate();
  const handle = await first.enqueue("passDeaf", [gate.folder], { maxRetries: 0 });
  const waiting = await first.enqueue("add", [1, 2]);
  const watched = errorOf(() => handle.result());
  await gate.arrival("someone");
  await first.close({ drain: 50 });
  expect(await watched).toMatchObject({ code: "CLOSED" });
  gate.open();

  const second = await open({ storage });

  expect(await second.result(handle.id)).toBe("someone");
  expect(await second.get(handle.id)).toMatchObject({ interruptions: 1, crashes: 0, errors: [] });
  expect(await second.result(waiting.id)).toBe(3);
});

test("W08: what runs may finish while the runtime closes, and starts nothing more", async () => {
  const storage = aPlace();
  const first = await open({ storage });
  const gate = new Gate();
  const running = await first.enqueue("passDeaf", [gate.folder]);
  await gate.arrival("someone");
  const later = await first.enqueueMany(
    "nothing",
    Array.from({ length: 500 }, () => [] as const),
    { delay: 1 },
  );
  const closing = first.close({ drain: "50s" });
  gate.open();
  await closing;

  const second = await open({ storage, queues: { default: { paused: true } } });

  expect(await second.get(running.id)).toMatchObject({ state: "completed", attempt: 1, interruptions: 0 });
  const records = await Promise.all(later.map(({ id }) => second.get(id)));
  expect(
    records.filter((record) => record === undefined || record.state === "failed" || record.interruptions > 0),
  ).toEqual([]);
});

test("W08: a runtime that is closed says so to everyone", async () => {
  const omniq = await open();
  const handle = await omniq.enqueue("nothing", [], { delay: "1h" });
  const waiting = errorOf(() => handle.result());
  await omniq.close();

  expect(await waiting).toMatchObject({ name: "ClosedError", code: "CLOSED" });
  for (const call of [
    () => omniq.enqueue("nothing", []),
    () => omniq.get(handle.id),
    () => omniq.stats(),
    () => omniq.queues.get("default").dequeue(),
    () => omniq.drain(),
  ]) {
    expect(await errorOf(call)).toMatchObject({ code: "CLOSED" });
  }
  await omniq.close();
});

test("W08: one who asks for an outcome after the runtime was closed is told", async () => {
  const omniq = await open();
  const handle = await omniq.enqueue("nothing", [], { delay: "1h" });
  await omniq.close();

  expect(await errorOf(() => omniq.wait(handle.id, { timeout: "5s" }))).toMatchObject({ code: "CLOSED" });
  expect(await errorOf(() => handle.result({ timeout: "5s" }))).toMatchObject({ code: "CLOSED" });
});

test("W08: calls that meet the close of the runtime succeed or say that it is closed", async () => {
  const omniq = await open({ storage: aPlace() });
  const codes = new Set<unknown>();
  let isClosed = false;
  const keepCalling = async (): Promise<void> => {
    while (!isClosed) {
      await omniq.enqueue("nothing", []).catch((error: { code?: unknown }) => codes.add(error.code));
      // Refusals come at once: the loop must let other things happen.
      await setImmediate();
    }
  };
  const callers = Promise.all(Array.from({ length: 8 }, keepCalling));
  await omniq.run("nothing", []);

  await omniq.close({ drain: "50s" }).finally(() => (isClosed = true));
  await callers;

  expect([...codes]).toEqual(codes.size === 0 ? [] : ["CLOSED"]);
});

test("opening a store with work in it runs each of its tasks once", async () => {
  const storage = aPlace();
  const runs = `${aPlace()}/runs`;
  const first = await open({ storage, queues: { default: { paused: true } } });
  await first.enqueueMany(
    "noteAttempt",
    Array.from({ length: 200 }, () => [runs] as const),
  );
  await first.close();

  const second = await open({
    storage,
    events: "all",
    executors: { threads: 2 },
    queues: { default: { paused: false } },
  });
  await second.drain();

  expect(linesOf(runs)).toHaveLength(200);
  expect(new Set(linesOf(runs)).size).toBe(200);
  expect(await second.events.query({ type: "started", limit: 1_000 })).toHaveLength(200);
});
