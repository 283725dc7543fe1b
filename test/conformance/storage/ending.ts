import { expect, it } from "vitest";
import { aTask, birth, someBytes } from "../../support/tasks.ts";
import { aFailure, type Bench, idsOf, noTallies } from "./bench.ts";

const measures = { startedAt: birth + 3, durationMs: 12.5, workerId: "thread-3" };

export function ending(bench: Bench): void {
  it("keeps the result of a completed task and what was measured", async () => {
    const task = await bench.running(aTask({ id: "t" }));
    const end = { to: "completed", result: someBytes(1, 0, 2) } as const;
    expect(await bench.settle(task, end, { now: birth + 20, ...measures })).toBe(true);
    expect(await bench.life("t")).toEqual({
      ...noTallies,
      ...measures,
      state: "completed",
      attempt: 1,
      finishedAt: birth + 20,
      failed: [],
    });
    expect(Array.from((await bench.storage.result("t")) ?? [])).toEqual([1, 0, 2]);
  });

  it("keeps no result where the handler gave none", async () => {
    await bench.settle(await bench.running(aTask({ id: "t" })), { to: "completed", result: someBytes() });
    expect(await bench.state("t")).toBe("completed");
    expect(await bench.storage.result("t")).toBeUndefined();
  });

  it("keeps reason, failure and tallies of a failed task", async () => {
    const task = await bench.running(aTask({ id: "t" }));
    const failure = aFailure(1, birth + 9, "crash");
    const end = { to: "failed", reason: "poison", failure, failures: 1, crashes: 3, interruptions: 2 } as const;
    await bench.settle(task, end, { now: birth + 20, ...measures });
    expect(await bench.life("t")).toEqual({
      ...measures,
      state: "failed",
      attempt: 1,
      failures: 1,
      crashes: 3,
      interruptions: 2,
      finishedAt: birth + 20,
      reason: "poison",
      failed: [failure],
    });
  });

  it("makes a retrying task wait until its runAt, with its failure", async () => {
    const task = await bench.running(aTask({ id: "t" }));
    const end = { to: "retrying", runAt: birth + 500, failure: aFailure(1), ...noTallies, failures: 1 } as const;
    await bench.settle(task, end, measures);
    expect(await bench.life("t")).toEqual({
      ...noTallies,
      ...measures,
      state: "retrying",
      attempt: 1,
      failures: 1,
      runAt: birth + 500,
      failed: [aFailure(1)],
    });
  });

  it("shows the measures of the latest attempt that ended while the next one runs", async () => {
    const task = await bench.running(aTask({ id: "t" }));
    await bench.settle(task, { to: "retrying", runAt: birth, failure: aFailure(1), ...noTallies }, measures);
    await bench.advance(birth);
    await bench.claim();
    expect(await bench.life("t")).toMatchObject({ state: "running", attempt: 2, ...measures });
    expect(await bench.life("t")).not.toHaveProperty("runAt");
  });

  it("keeps the newest twenty failures", async () => {
    await bench.enqueue(aTask({ id: "t" }));
    for (let attempt = 1; attempt <= 23; attempt += 1) {
      await bench.retry(await bench.claimOne(), birth);
      await bench.advance(birth);
    }
    const failed = (await bench.life("t"))?.failed ?? [];
    expect(failed.map(({ attempt }) => attempt)).toEqual(Array.from({ length: 20 }, (_, n) => n + 4));
  });

  it("keeps reason and moment of a task that was cancelled while it ran", async () => {
    const task = await bench.running(aTask({ id: "t" }));
    await bench.settle(task, { to: "cancelled", reason: "enough", interruptions: 1 }, { now: birth + 8, ...measures });
    expect(await bench.life("t")).toMatchObject({
      ...measures,
      state: "cancelled",
      reason: "enough",
      finishedAt: birth + 8,
      interruptions: 1,
      failures: 0,
    });
  });

  it("keeps the attempt of an interrupted task that was started", async () => {
    const task = await bench.running(aTask({ id: "t" }));
    const end = { to: "ready", cause: "interrupted", failure: aFailure(1), ...noTallies, interruptions: 1 } as const;
    await bench.settle(task, end, measures);
    expect(await bench.life("t")).toMatchObject({
      state: "ready",
      attempt: 1,
      interruptions: 1,
      failed: [{ attempt: 1 }],
    });
    expect((await bench.claimOne()).life.attempt).toBe(2);
  });

  it("takes the attempt of an interrupted task back that was not started", async () => {
    const task = await bench.running(aTask({ id: "t" }));
    await bench.settle(task, { to: "ready", cause: "interrupted", ...noTallies, interruptions: 1 });
    expect(await bench.life("t")).toMatchObject({ state: "ready", attempt: 0, interruptions: 1, failed: [] });
  });

  it("leaves a task that was never started as if it had not been claimed", async () => {
    await bench.enqueue(aTask({ id: "t" }));
    const before = await bench.storage.get(["t"]);
    await bench.settle(await bench.claimOne(), { to: "ready", cause: "unstarted" });
    expect(await bench.storage.get(["t"])).toEqual(before);
  });

  it("does not count a settlement of another attempt", async () => {
    const task = await bench.running(aTask({ id: "t" }));
    const wrong = { ...task, life: { ...task.life, attempt: 2 } };
    expect(await bench.complete(wrong)).toBe(false);
    expect(await bench.state("t")).toBe("running");
  });

  it("does not count a settlement of another epoch", async () => {
    const task = await bench.running(aTask({ id: "t" }));
    const fence = { epoch: bench.epoch + 1, attempt: 1 };
    expect(await bench.settle(task, { to: "completed", result: someBytes(1) }, { fence })).toBe(false);
    expect(await bench.storage.result("t")).toBeUndefined();
  });

  it("counts the first settlement of an attempt only", async () => {
    const task = await bench.running(aTask({ id: "t" }));
    expect(await bench.complete(task)).toBe(true);
    expect(await bench.fail(task)).toBe(false);
    expect(await bench.state("t")).toBe("completed");
    expect((await bench.storage.counts()).totals).toMatchObject({ completed: 1, failed: 0, late: 1 });
  });

  it("counts the first of two settlements in one list", async () => {
    const { id, life } = await bench.running(aTask({ id: "t" }));
    const fence = { epoch: bench.epoch, attempt: life.attempt };
    const settlements = [1, 2].map((n) => ({ id, fence, end: { to: "completed", result: someBytes(n) } as const }));
    const [counted] = await bench.storage.commit([{ type: "settle", now: birth, settlements }]);
    expect(counted).toEqual([true, false]);
    expect(Array.from((await bench.storage.result("t")) ?? [])).toEqual([1]);
  });

  it("does not count a settlement of a task that is unknown or not claimed", async () => {
    await bench.enqueue(aTask({ id: "t" }));
    const [task] = await bench.all();
    if (task === undefined) throw new Error("The task is missing.");
    expect(await bench.complete(task)).toBe(false);
    expect(await bench.complete({ ...task, id: "nobody" })).toBe(false);
    expect((await bench.storage.counts()).totals.late).toBe(2);
  });

  it("settles the tasks of a list each in its own way", async () => {
    await bench.enqueue(aTask({ id: "a" }), aTask({ id: "b" }), aTask({ id: "c" }));
    const { tasks } = await bench.claim();
    const ends = [
      { to: "completed", result: someBytes(1) },
      { to: "ready", cause: "unstarted" },
      { to: "cancelled", reason: "no" },
    ] as const;
    const settlements = tasks.flatMap(({ id, life }, index) => {
      const end = ends[index];
      return end === undefined ? [] : [{ id, fence: { epoch: bench.epoch, attempt: life.attempt }, end }];
    });
    const [counted] = await bench.storage.commit([{ type: "settle", now: birth, settlements }]);
    expect(counted).toEqual([true, true, true]);
    expect((await bench.all()).map(({ life }) => life.state)).toEqual(["completed", "ready", "cancelled"]);
    expect(idsOf((await bench.claim()).tasks)).toEqual(["b"]);
  });
}
