import { expect, it } from "vitest";
import { ClosedError } from "../../../src/base/errors.ts";
import { aTask, birth, someBytes } from "../../support/tasks.ts";
import { type Bench, idsOf } from "./bench.ts";

export function reopening(bench: Bench): void {
  it("gives every opening a higher epoch", async () => {
    const first = bench.epoch;
    const second = (await bench.reopen()).epoch;
    const third = (await bench.reopen()).epoch;
    expect(first).toBeLessThan(second);
    expect(second).toBeLessThan(third);
  });

  it("has nothing to take back at first", async () => {
    await bench.enqueue(aTask());
    expect((await bench.reopen()).interrupted).toBe(0);
  });

  it("makes what was claimed ready again, as interruptions", async () => {
    await bench.enqueue(aTask({ id: "a" }), aTask({ id: "b" }), aTask({ id: "c" }));
    await bench.claim({ limit: 2 });
    expect((await bench.reopen()).interrupted).toBe(2);
    expect(await bench.life("a")).toMatchObject({ state: "ready", attempt: 0, interruptions: 1 });
    expect(await bench.life("c")).toMatchObject({ state: "ready", attempt: 0, interruptions: 0 });
    const { queues, totals } = await bench.storage.counts();
    expect([queues.get("default"), totals.interrupted]).toEqual([{ ready: 3 }, 2]);
  });

  it("gives what it took back at its old place", async () => {
    await bench.enqueue(aTask({ id: "a" }), aTask({ id: "b" }));
    await bench.claimOne();
    await bench.reopen();
    expect(idsOf((await bench.claim()).tasks)).toEqual(["a", "b"]);
  });

  it("takes back only what had not ended of a claim", async () => {
    await bench.enqueue(...["a", "b", "c", "d"].map((id) => aTask({ id })));
    const [a, b, c] = (await bench.claim()).tasks;
    if (!a || !b || !c) throw new Error("Tasks are missing.");
    await bench.complete(a);
    await bench.retry(b, birth + 9);
    await bench.settle(c, { to: "ready", cause: "parked" });
    expect((await bench.reopen()).interrupted).toBe(1);
    expect((await bench.all()).map(({ life }) => life.state)).toEqual(["completed", "retrying", "ready", "ready"]);
    expect(idsOf((await bench.claim()).tasks)).toEqual(["d"]);
  });

  it("does not count settlements of an earlier opening, even of the same attempt number", async () => {
    const task = await bench.running(aTask({ id: "t" }));
    const fence = { epoch: bench.epoch, attempt: task.life.attempt };
    await bench.reopen();
    const end = { to: "completed", result: someBytes(1) } as const;
    expect(await bench.settle(task, end, { fence })).toBe(false);
    const again = await bench.claimOne();
    expect(again.life.attempt).toBe(1);
    expect(await bench.settle(task, end, { fence })).toBe(false);
    expect(await bench.complete(again)).toBe(true);
  });

  it("keeps tasks, lives and results as they were", async () => {
    await bench.complete(await bench.running(aTask({ id: "done" })), birth + 3);
    await bench.fail(await bench.running(aTask({ id: "failed", metadata: { a: [1, null] } })), birth + 4);
    await bench.retry(await bench.running(aTask({ id: "retrying" })), birth + 50);
    await bench.enqueue(aTask({ id: "ready", priority: -4 }), aTask({ id: "scheduled", runAt: birth + 60 }));
    const before = await bench.all();
    await bench.reopen();
    expect(await bench.all()).toEqual(before);
    expect(Array.from((await bench.storage.result("done")) ?? [])).toEqual([7]);
    expect((await bench.advance(birth + 60)).ready).toBe(2);
  });

  it("keeps the order of enqueueing", async () => {
    await bench.enqueue(aTask({ id: "b" }));
    await bench.reopen();
    await bench.enqueue(aTask({ id: "a" }));
    await bench.reopen();
    expect(idsOf((await bench.claim()).tasks)).toEqual(["b", "a"]);
  });

  it("keeps dedupe keys", async () => {
    await bench.enqueue(aTask({ id: "a", dedupeKey: "k" }));
    await bench.reopen();
    expect(await bench.enqueue(aTask({ id: "b", dedupeKey: "k", onConflict: "return" }))).toEqual(["a"]);
  });

  it("frees the concurrency of a queue that was held by an earlier opening", async () => {
    await bench.configure("default", { concurrency: 1 });
    await bench.running(aTask({ id: "a" }));
    await bench.reopen();
    expect(idsOf((await bench.claim()).tasks)).toEqual(["a"]);
  });

  it("keeps what is due", async () => {
    await bench.enqueue(aTask({ expiresAt: birth + 40 }), aTask({ runAt: birth + 30 }));
    await bench.complete(await bench.claimOne(), birth + 1);
    const before = await bench.storage.nextDue();
    expect(before).toEqual({ advance: birth + 30, prune: birth + 1_001 });
    await bench.reopen();
    expect(await bench.storage.nextDue()).toEqual(before);
  });

  it("rejects everything after it was closed", async () => {
    const { storage } = bench;
    await storage.close();
    const calls: (() => Promise<unknown>)[] = [
      () => storage.commit([{ type: "enqueue", tasks: [aTask()] }]),
      () => storage.commit([]),
      () => storage.get([]),
      () => storage.list({ limit: 1 }),
      () => storage.result("t"),
      () => storage.events({ limit: 1 }),
      () => storage.counts(),
      () => storage.queues(),
      () => storage.parked(),
      () => storage.nextDue(),
    ];
    for (const call of calls) await expect(call()).rejects.toBeInstanceOf(ClosedError);
  });

  it("may be closed twice", async () => {
    await bench.storage.close();
    await expect(bench.storage.close()).resolves.toBeUndefined();
  });
}
