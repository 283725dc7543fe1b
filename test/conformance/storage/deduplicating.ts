import { expect, it } from "vitest";
import { DuplicateTaskError, QueueFullError } from "../../../src/base/errors.ts";
import { aTask, birth, someBytes } from "../../support/tasks.ts";
import { type Bench, idsOf } from "./bench.ts";

const keyed = (id: string, given: Parameters<typeof aTask>[0] = {}) => aTask({ id, dedupeKey: "k", ...given });

export function deduplicating(bench: Bench): void {
  it("refuses a key that an unfinished task of the queue has, naming that task", async () => {
    await bench.enqueue(keyed("a"));
    const again = bench.enqueue(keyed("b"));
    await expect(again).rejects.toBeInstanceOf(DuplicateTaskError);
    await expect(again).rejects.toMatchObject({ existingId: "a" });
  });

  it("lets the same key stand in another queue", async () => {
    await bench.enqueue(keyed("a"));
    expect(await bench.enqueue(keyed("b", { queue: "other" }))).toEqual(["b"]);
  });

  it("skips a conflicting task, leaving its place empty", async () => {
    await bench.enqueue(keyed("a"));
    expect(await bench.enqueue(keyed("b", { onConflict: "skip" }), aTask({ id: "c" }))).toEqual([undefined, "c"]);
    expect(idsOf(await bench.all())).toEqual(["a", "c"]);
  });

  it("returns the id of the task that is there", async () => {
    await bench.enqueue(keyed("a"));
    expect(await bench.enqueue(keyed("b", { onConflict: "return" }))).toEqual(["a"]);
    expect(idsOf(await bench.all())).toEqual(["a"]);
  });

  it("returns the id of a running task", async () => {
    await bench.running(keyed("a"));
    expect(await bench.enqueue(keyed("b", { onConflict: "return" }))).toEqual(["a"]);
  });

  it("replaces a waiting task under its id", async () => {
    await bench.enqueue(keyed("a", { priority: 1 }));
    const next = keyed("b", { priority: 2, tags: ["new"], args: someBytes(9), onConflict: "replace" });
    expect(await bench.enqueue(next)).toEqual(["a"]);
    const [task, other] = await bench.storage.get(["a", "b"]);
    expect(task?.request).toEqual(next.request);
    expect(Array.from(task?.args ?? [])).toEqual([9]);
    expect(other).toBeUndefined();
  });

  it("gives a replaced task a new life, in which attempts go on", async () => {
    await bench.retry(await bench.running(keyed("a")), birth + 100);
    await bench.enqueue(keyed("b", { onConflict: "replace" }));
    expect(await bench.life("a")).toEqual({
      state: "ready",
      attempt: 1,
      failures: 0,
      crashes: 0,
      interruptions: 0,
      failed: [],
    });
    expect((await bench.storage.nextDue()).advance).toBeUndefined();
  });

  it("puts a replaced task behind those that were enqueued before", async () => {
    await bench.enqueue(keyed("a"), aTask({ id: "b" }));
    await bench.enqueue(keyed("c", { onConflict: "replace" }));
    expect(idsOf((await bench.claim()).tasks)).toEqual(["b", "a"]);
  });

  it("claims a replaced task once, by its new priority", async () => {
    await bench.enqueue(keyed("a", { priority: 5 }), aTask({ id: "b", priority: 3 }));
    await bench.enqueue(keyed("c", { priority: 1, onConflict: "replace" }));
    expect(idsOf((await bench.claim()).tasks)).toEqual(["b", "a"]);
  });

  it("may replace a ready task by a scheduled one", async () => {
    await bench.enqueue(keyed("a"));
    await bench.enqueue(keyed("b", { runAt: birth + 10, onConflict: "replace" }));
    expect((await bench.claim()).tasks).toEqual([]);
    expect((await bench.advance(birth + 10)).ready).toBe(1);
  });

  it("refuses to replace a running task", async () => {
    await bench.running(keyed("a"));
    await expect(bench.enqueue(keyed("b", { onConflict: "replace" }))).rejects.toBeInstanceOf(DuplicateTaskError);
  });

  it("lets the first of a list have the key, and the later ones conflict with it", async () => {
    const answers = await bench.enqueue(
      keyed("a"),
      keyed("b", { onConflict: "skip" }),
      keyed("c", { onConflict: "return" }),
      keyed("d", { onConflict: "replace", priority: 4 }),
    );
    expect(answers).toEqual(["a", undefined, "a", "a"]);
    const tasks = await bench.all();
    expect(tasks.map(({ id, request }) => [id, request.priority])).toEqual([["a", 4]]);
  });

  it.each(["completed", "failed", "cancelled", "expired"] as const)(
    "frees the key of a task that is %s",
    async (state) => {
      const task = await bench.running(keyed("a", { expiresAt: birth + 50 }));
      if (state === "completed") await bench.complete(task);
      if (state === "failed") await bench.fail(task);
      if (state === "cancelled") await bench.settle(task, { to: "cancelled", reason: "no" });
      if (state === "expired") {
        await bench.settle(task, { to: "ready", cause: "unstarted" });
        await bench.advance(birth + 50);
      }
      expect(await bench.state("a")).toBe(state);
      expect(await bench.enqueue(keyed("b"))).toEqual(["b"]);
    },
  );

  it("frees the key of a deleted task", async () => {
    await bench.enqueue(keyed("a"));
    await bench.delete(["a"]);
    expect(await bench.enqueue(keyed("b"))).toEqual(["b"]);
  });

  it("keeps the key while a task waits for its next attempt", async () => {
    await bench.retry(await bench.running(keyed("a")), birth + 100);
    await expect(bench.enqueue(keyed("b"))).rejects.toBeInstanceOf(DuplicateTaskError);
  });

  it("needs no room for a task that is skipped, returned or replaced", async () => {
    await bench.configure("default", { maxSize: 1 });
    await bench.enqueue(keyed("a"));
    expect(await bench.enqueue(keyed("b", { onConflict: "skip" }))).toEqual([undefined]);
    expect(await bench.enqueue(keyed("b", { onConflict: "return" }))).toEqual(["a"]);
    expect(await bench.enqueue(keyed("b", { onConflict: "replace" }))).toEqual(["a"]);
    await expect(bench.enqueue(aTask())).rejects.toBeInstanceOf(QueueFullError);
  });

  it("counts a replaced task once", async () => {
    await bench.enqueue(keyed("a"));
    await bench.enqueue(keyed("b", { onConflict: "replace" }), keyed("c", { onConflict: "skip" }));
    const { queues, totals } = await bench.storage.counts();
    expect([queues.get("default"), totals.enqueued]).toEqual([{ ready: 1 }, 1]);
  });
}
