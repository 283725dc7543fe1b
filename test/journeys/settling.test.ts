import { Omniq } from "omniq";
import { expect, test } from "vitest";
import { aPlace, errorOf, fixture, Gate, open, openBusy } from "../support/runtimes.ts";

test("a call with an id that is taken leaves those alone who wait for the task that has it", async () => {
  const omniq = await open();
  const gate = new Gate();

  const first = omniq.run("pass", [gate.folder], { id: "x" });
  await gate.arrival("someone");
  expect(await errorOf(() => omniq.run("pass", [gate.folder], { id: "x" }))).toMatchObject({ code: "DUPLICATE_TASK" });
  gate.open();

  expect(await first).toBeDefined();
});

test("items of a map with the same key share one result", async () => {
  const omniq = await open();
  const items: number[] = [];

  for await (const { index, value } of omniq.map("add", [[1, 2] as const, [1, 2] as const], { key: () => "same" })) {
    expect(value).toBe(3);
    items.push(index);
  }

  expect(items.toSorted()).toEqual([0, 1]);
});

test("a map whose source has nothing to give yet ends at a failure, and when its reader leaves", async () => {
  const omniq = await open();
  async function* idleAfter(first: readonly [number, number]) {
    yield first;
    await new Promise(() => undefined);
  }

  for await (const { value } of omniq.map("add", idleAfter([1, 2]))) {
    expect(value).toBe(3);
    break;
  }
  const failing = (async () => {
    for await (const _ of omniq.map("fail" as never, idleAfter([1, 2]) as never)) expect.fail("it gave a value");
  })();

  expect(await errorOf(() => failing)).toMatchObject({ code: "TASK_FAILED" });
});

test("tasks that can never fit into a queue are refused, also by those who would wait", async () => {
  const omniq = await openBusy({ queues: { small: { maxSize: 2 } } });
  const three = [[1], [2], [3]] as const;

  const error = await errorOf(() => omniq.enqueueMany("echo", three as never, { queue: "small", onFull: "wait" }));

  expect(error).toMatchObject({ code: "QUEUE_FULL", queue: "small", maxSize: 2 });
});

test("a task that was only asked to stop can still be stopped, and its timeout still counts", async () => {
  const omniq = await open();

  const handle = await omniq.enqueue("spin", [], { timeout: 400 });
  const asked = handle.cancel({ running: "signal" });
  expect(await handle.wait()).toMatchObject({ state: "cancelled" });
  expect(await asked).toBe(true);
});

test("tasks that ended under a shorter retention are forgotten under a longer one, in its time", async () => {
  const place = aPlace();
  const reopened = (completed: number) =>
    Omniq.open({ tasks: fixture("tasks.ts"), storage: place, executors: { threads: 1 }, retention: { completed } });
  const before = await reopened(50);
  await before.run("add", [1, 2]);
  await before.close();

  const omniq = await reopened(1_500);
  await expect.poll(() => omniq.count({ state: "completed" }), { timeout: 20_000 }).toBe(0);
  await omniq.close();
});
