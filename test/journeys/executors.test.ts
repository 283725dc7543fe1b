import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { aPlace, open, errorOf } from "../support/runtimes.ts";
import { eventually } from "../support/eventually.ts";

const executors = { threads: 2, processes: 2, async: { concurrency: 100 } } as const;

describe("a task", () => {
  test.each(["thread", "process", "async"] as const)(
    "runs in a %s, whether its handler is sync or async",
    async (executor) => {
      const omniq = await open({ executors });
      expect(await omniq.run("add", [2, 3], { executor })).toBe(5);
      expect(await omniq.run("addLater", [2, 3], { executor })).toBe(5);
      const pid = await omniq.run("thread", [], { executor });
      expect(pid === process.pid).toBe(executor !== "process");
    },
  );

  test("runs where the runtime says when nobody else does", async () => {
    const omniq = await open({ executors, executor: "process" });
    expect(await omniq.run("thread", [])).not.toBe(process.pid);
  });

  test("is refused before it is stored when its executor is not open", async () => {
    const omniq = await open();
    const error = await errorOf(() => omniq.enqueue("add", [1, 2], { executor: "process" }));
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", path: "options.executor" });
    expect(await omniq.count()).toBe(0);
  });

  test("waits in the store while its executor is not open, and runs when it is", async () => {
    const storage = aPlace();
    const first = await open({
      storage,
      executors: { threads: 1, processes: 1 },
      queues: { default: { paused: true } },
    });
    const { id } = await first.enqueue("add", [1, 2], { executor: "process" });
    await first.close();

    const without = await open({ storage, queues: { default: { paused: false } } });
    expect(await without.run("add", [3, 4])).toBe(7);
    expect((await without.get(id))?.state).toBe("ready");
    await without.close();

    const again = await open({ storage, executors: { threads: 1, processes: 1 } });
    expect(await again.result(id)).toBe(3);
  });
});

test("a thousand sleeps of 100 ms at a concurrency of 100 take about a second", async () => {
  const omniq = await open({ executors });
  const start = performance.now();
  await omniq.enqueueMany(
    "rest",
    Array.from({ length: 1_000 }, () => [100] as const),
    { executor: "async" },
  );
  await omniq.drain();
  const seconds = (performance.now() - start) / 1_000;

  expect(await omniq.count({ state: "completed" })).toBe(1_000);
  expect(seconds).toBeGreaterThan(0.9);
  expect(seconds).toBeLessThan(4);
});

test("executors do not wait for each other", async () => {
  const omniq = await open({ executors: { threads: 1, processes: 1, async: { concurrency: 2 } } });
  const long = await Promise.all([1, 2, 3, 4].map(() => omniq.enqueue("spin", [], { executor: "thread" })));
  expect(await omniq.run("add", [1, 2], { executor: "process" })).toBe(3);
  expect(await omniq.run("add", [1, 2], { executor: "async" })).toBe(3);
  await Promise.all(long.map((handle) => omniq.cancel(handle.id, { running: "terminate", grace: 10 })));
});

describe("in a child process", () => {
  test("an exit costs an attempt, and the task runs again in another", async () => {
    const omniq = await open({ storage: aPlace(), executors: { threads: 1, processes: 1 }, executor: "process" });
    expect(await omniq.run("exitAtFirst", [])).toBe(2);
  });

  test("an endless loop is ended by its timeout", async () => {
    const omniq = await open({ executors: { threads: 1, processes: 1 }, executor: "process" });
    const error = await errorOf(() => omniq.run("spin", [], { timeout: 200 }));
    expect(error).toMatchObject({ cause: { code: "TIMEOUT" } });
    expect(await omniq.run("add", [1, 2])).toBe(3);
  });

  test("an endless loop is ended by cancel, and sees the flag if it looks", async () => {
    const omniq = await open({ executors: { threads: 1, processes: 1 }, executor: "process" });
    const gate = aPlace();
    const handle = await omniq.enqueue("passBusy", [gate]);
    await eventually(() => existsSync(`${gate}/at-someone`));
    expect(await handle.cancel({ running: "signal" })).toBe(true);
    expect((await omniq.get(handle.id))?.state).toBe("cancelled");
  });
});
