import { expect, it } from "vitest";
import { DuplicateTaskError, QueueFullError } from "../../../src/base/errors.ts";
import { aTask } from "../../support/tasks.ts";
import type { Bench } from "./bench.ts";

export function queueing(bench: Bench): void {
  const names = async () => (await bench.storage.queues()).map(({ name }) => name).sort();

  it("knows no queue at first", async () => {
    expect(await bench.storage.queues()).toEqual([]);
  });

  it("creates a queue when it is configured, and answers with it", async () => {
    expect(await bench.configure("x", { concurrency: 3 })).toEqual({ name: "x", isPaused: false, concurrency: 3 });
    expect(await bench.storage.queues()).toEqual([{ name: "x", isPaused: false, concurrency: 3 }]);
  });

  it("knows queues that were used, with and without tasks left", async () => {
    await bench.enqueue(aTask({ id: "t", queue: "x" }), aTask({ queue: "y" }));
    await bench.delete(["t"]);
    expect(await names()).toEqual(["x", "y"]);
    expect([...(await bench.storage.counts()).queues.keys()]).toEqual(["y"]);
  });

  it("changes only what is given", async () => {
    await bench.configure("x", { maxSize: 5, concurrency: 2 });
    expect(await bench.configure("x", { isPaused: true })).toEqual({
      name: "x",
      isPaused: true,
      maxSize: 5,
      concurrency: 2,
    });
    expect(await bench.configure("x", { maxSize: 6 })).toEqual({
      name: "x",
      isPaused: true,
      maxSize: 6,
      concurrency: 2,
    });
    expect(await bench.configure("x", {})).toEqual({ name: "x", isPaused: true, maxSize: 6, concurrency: 2 });
  });

  it("takes limits away with null", async () => {
    await bench.configure("x", { maxSize: 0, concurrency: 0 });
    await expect(bench.enqueue(aTask({ queue: "x" }))).rejects.toBeInstanceOf(QueueFullError);
    expect(await bench.configure("x", { maxSize: null })).toEqual({ name: "x", isPaused: false, concurrency: 0 });
    await bench.enqueue(aTask({ queue: "x" }));
    expect((await bench.claim()).tasks).toEqual([]);
    expect(await bench.configure("x", { concurrency: null })).toEqual({ name: "x", isPaused: false });
    expect((await bench.claim()).tasks).toHaveLength(1);
  });

  it("keeps what a queue holds beyond a maxSize that was lowered", async () => {
    await bench.enqueue(aTask(), aTask(), aTask());
    await bench.configure("default", { maxSize: 1 });
    expect(await bench.all()).toHaveLength(3);
    await expect(bench.enqueue(aTask())).rejects.toBeInstanceOf(QueueFullError);
  });

  it("does not create a queue for a list that is refused", async () => {
    await bench.enqueue(aTask({ id: "t" }));
    await expect(bench.enqueue(aTask({ queue: "x" }), aTask({ id: "t" }))).rejects.toBeInstanceOf(DuplicateTaskError);
    expect(await names()).toEqual(["default"]);
  });

  it("keeps queues and their settings over an opening", async () => {
    await bench.configure("x", { isPaused: true, maxSize: 5 });
    await bench.enqueue(aTask({ queue: "y" }));
    await bench.reopen();
    expect(await names()).toEqual(["x", "y"]);
    expect(await bench.configure("x", {})).toEqual({ name: "x", isPaused: true, maxSize: 5 });
  });
}
