import { expect, it } from "vitest";
import { DuplicateTaskError, TaskBusyError } from "../../../src/base/errors.ts";
import { aTask, birth, someBytes } from "../../support/tasks.ts";
import { aFailure, type Bench, idsOf } from "./bench.ts";

export function intervening(bench: Bench): void {
  it("cancels waiting tasks and tells in which state it found each", async () => {
    await bench.retry(await bench.running(aTask({ id: "retrying" })), birth + 50);
    await bench.enqueue(aTask({ id: "ready" }), aTask({ id: "scheduled", runAt: birth + 50 }));
    expect(await bench.cancel("ready", "nobody", "scheduled", "retrying")).toEqual([
      "ready",
      undefined,
      "scheduled",
      "retrying",
    ]);
    for (const id of ["ready", "scheduled", "retrying"]) {
      expect(await bench.life(id)).toMatchObject({ state: "cancelled", finishedAt: birth, reason: "not wanted" });
      expect(await bench.life(id)).not.toHaveProperty("runAt");
    }
    expect((await bench.claim()).tasks).toEqual([]);
    expect((await bench.storage.nextDue()).advance).toBeUndefined();
  });

  it("leaves running tasks as they are when it cancels", async () => {
    const task = await bench.running(aTask({ id: "t" }));
    expect(await bench.cancel("t")).toEqual(["running"]);
    expect(await bench.complete(task)).toBe(true);
  });

  it("leaves finished tasks as they are when it cancels", async () => {
    await bench.complete(await bench.running(aTask({ id: "t" })), birth + 1);
    const before = await bench.life("t");
    expect(await bench.cancel("t", "t")).toEqual(["completed", "completed"]);
    expect(await bench.life("t")).toEqual(before);
  });

  it("requeues failed, cancelled and expired tasks and tells in which state it found each", async () => {
    await bench.fail(await bench.running(aTask({ id: "failed" })));
    await bench.enqueue(aTask({ id: "cancelled" }), aTask({ id: "expired", expiresAt: birth + 1 }));
    await bench.cancel("cancelled");
    await bench.advance(birth + 1);
    const ids = ["cancelled", "nobody", "expired", "failed"];
    expect(await bench.requeue(ids)).toEqual(["cancelled", undefined, "expired", "failed"]);
    expect((await bench.storage.counts()).queues.get("default")).toEqual({ ready: 3 });
    expect((await bench.claim()).tasks).toHaveLength(3);
  });

  it("requeues with new retries, but numbers attempts on and keeps the failures", async () => {
    const failure = aFailure(1);
    const task = await bench.running(aTask({ id: "t" }));
    const end = { to: "failed", reason: "error", failure, failures: 3, crashes: 2, interruptions: 1 } as const;
    await bench.settle(task, end, { startedAt: birth });
    await bench.requeue(["t"]);
    const life = await bench.life("t");
    expect(life).toMatchObject({
      state: "ready",
      attempt: 1,
      failures: 0,
      crashes: 0,
      interruptions: 0,
      failed: [failure],
    });
    expect(life).toMatchObject({ requeuedAt: birth });
    expect(life).not.toHaveProperty("finishedAt");
    expect(life).not.toHaveProperty("reason");
    expect((await bench.claimOne()).life.attempt).toBe(2);
  });

  it("leaves completed and unfinished tasks as they are when it requeues", async () => {
    await bench.complete(await bench.running(aTask({ id: "done" })));
    await bench.running(aTask({ id: "running" }));
    await bench.enqueue(aTask({ id: "ready" }), aTask({ id: "scheduled", runAt: birth + 5 }));
    const before = await bench.all();
    expect(await bench.requeue(["done", "running", "ready", "scheduled"])).toEqual([
      "completed",
      "running",
      "ready",
      "scheduled",
    ]);
    expect(await bench.all()).toEqual(before);
    expect(await bench.storage.result("done")).toBeDefined();
  });

  it("finds a task that is requeued twice in a list ready the second time", async () => {
    await bench.enqueue(aTask({ id: "t" }));
    await bench.cancel("t");
    expect(await bench.requeue(["t", "t"])).toEqual(["cancelled", "ready"]);
    expect((await bench.claim()).tasks).toHaveLength(1);
  });

  it("gives the whole time to live anew with every requeue", async () => {
    await bench.enqueue(aTask({ id: "t", expiresAt: birth + 100 }));
    await bench.cancel("t");
    await bench.requeue(["t"], birth + 1_000);
    expect((await bench.storage.get(["t"]))[0]?.request.expiresAt).toBe(birth + 1_100);
    expect((await bench.advance(birth + 1_099)).expired).toEqual([]);
    expect((await bench.advance(birth + 1_100)).expired).toEqual(["t"]);
    await bench.requeue(["t"], birth + 2_000);
    expect((await bench.storage.nextDue()).advance).toBe(birth + 2_100);
  });

  it("puts a requeued task at its old place", async () => {
    await bench.enqueue(aTask({ id: "a" }), aTask({ id: "b" }));
    await bench.cancel("a");
    await bench.requeue(["a"]);
    expect(idsOf((await bench.claim()).tasks)).toEqual(["a", "b"]);
  });

  it("requeues a task that was scheduled as ready", async () => {
    await bench.enqueue(aTask({ id: "t", runAt: birth + 1e6 }));
    await bench.cancel("t");
    await bench.requeue(["t"]);
    expect(idsOf((await bench.claim()).tasks)).toEqual(["t"]);
  });

  it("refuses to requeue a task whose dedupe key was taken meanwhile", async () => {
    await bench.enqueue(aTask({ id: "a", dedupeKey: "k" }), aTask({ id: "c" }));
    await bench.cancel("a", "c");
    await bench.enqueue(aTask({ id: "b", dedupeKey: "k" }));
    const requeue = bench.requeue(["c", "a"]);
    await expect(requeue).rejects.toBeInstanceOf(DuplicateTaskError);
    await expect(requeue).rejects.toMatchObject({ existingId: "b" });
    expect(await bench.state("c")).toBe("cancelled");
  });

  it("gives a requeued task its dedupe key again", async () => {
    await bench.enqueue(aTask({ id: "a", dedupeKey: "k" }));
    await bench.cancel("a");
    await bench.requeue(["a"]);
    expect(await bench.enqueue(aTask({ id: "b", dedupeKey: "k", onConflict: "return" }))).toEqual(["a"]);
  });

  it("requeues into a full queue", async () => {
    await bench.enqueue(aTask({ id: "a" }));
    await bench.cancel("a");
    await bench.configure("default", { maxSize: 1 });
    await bench.enqueue(aTask({ id: "b" }));
    expect(await bench.requeue(["a"])).toEqual(["cancelled"]);
    expect((await bench.storage.counts()).queues.get("default")).toEqual({ ready: 2 });
  });

  it("forgets a deleted task and its result", async () => {
    await bench.complete(await bench.running(aTask({ id: "done" })));
    await bench.enqueue(aTask({ id: "ready" }), aTask({ id: "scheduled", runAt: birth + 9 }));
    expect(await bench.delete(["done", "nobody", "ready", "scheduled", "ready"])).toEqual([
      true,
      false,
      true,
      true,
      false,
    ]);
    expect(await bench.all()).toEqual([]);
    expect(await bench.storage.get(["done"])).toEqual([undefined]);
    expect(await bench.storage.result("done")).toBeUndefined();
    expect((await bench.storage.counts()).queues.size).toBe(0);
    expect((await bench.claim()).tasks).toEqual([]);
    expect((await bench.storage.nextDue()).advance).toBeUndefined();
  });

  it("refuses to delete a running task, and deletes nothing of that list", async () => {
    await bench.running(aTask({ id: "a" }));
    await bench.enqueue(aTask({ id: "b" }));
    await expect(bench.delete(["b", "a"])).rejects.toBeInstanceOf(TaskBusyError);
    expect(idsOf(await bench.all())).toEqual(["a", "b"]);
    expect(idsOf((await bench.claim()).tasks)).toEqual(["b"]);
  });

  it("deletes a running task by force, and does not count its outcome", async () => {
    const task = await bench.running(aTask({ id: "t" }), { until: birth + 10 });
    expect(await bench.delete(["t"], { force: true })).toEqual([true]);
    expect(await bench.complete(task)).toBe(false);
    expect(await bench.state("t")).toBeUndefined();
    expect(await bench.storage.result("t")).toBeUndefined();
    expect((await bench.advance(birth + 10)).interrupted).toEqual([]);
  });

  it("frees the place of a task deleted by force in its queue's concurrency", async () => {
    await bench.configure("default", { concurrency: 1 });
    await bench.running(aTask({ id: "a" }));
    await bench.enqueue(aTask({ id: "b" }));
    await bench.delete(["a"], { force: true });
    expect(idsOf((await bench.claim()).tasks)).toEqual(["b"]);
  });

  it("never takes what a deleted task says for a new one with its id", async () => {
    const old = await bench.running(aTask({ id: "t" }));
    await bench.delete(["t"], { force: true });
    const task = await bench.running(aTask({ id: "t" }));
    expect(await bench.complete(old)).toBe(false);
    expect(await bench.complete(task)).toBe(true);
  });

  it("deletes only what is still in the state it was meant in", async () => {
    await bench.fail(await bench.running(aTask({ id: "a" })));
    await bench.enqueue(aTask({ id: "b" }));
    await bench.requeue(["a"]);
    const [deleted] = await bench.storage.commit([
      { type: "delete", ids: ["a", "b"], now: birth, ifState: ["failed", "ready"] },
    ]);
    expect(deleted).toEqual([false, true]);
    expect(idsOf(await bench.all())).toEqual(["a"]);
  });

  it("takes the id of a deleted task for a new one", async () => {
    await bench.fail(await bench.running(aTask({ id: "t" })));
    await bench.delete(["t"]);
    await bench.enqueue(aTask({ id: "t", args: someBytes(5) }));
    const task = await bench.claimOne();
    expect([task.life.attempt, task.life.failed, Array.from(task.args)]).toEqual([1, [], [5]]);
  });
}
