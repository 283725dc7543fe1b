import { expect, it } from "vitest";
import { DuplicateTaskError } from "../../../src/base/errors.ts";
import type { Pruned } from "../../../src/storage/storage.ts";
import { aTask, birth } from "../../support/tasks.ts";
import { type Bench, idsOf } from "./bench.ts";

export function pruning(bench: Bench): void {
  const prune = async (now: number, limit = 1_000): Promise<Pruned> => {
    const [pruned] = await bench.storage.commit([{ type: "prune", now, limit }]);
    return pruned;
  };

  it("forgets completed, cancelled and expired tasks when their retention ends", async () => {
    await bench.complete(await bench.running(aTask({ id: "completed" })), birth);
    await bench.enqueue(aTask({ id: "cancelled" }), aTask({ id: "expired", expiresAt: birth }));
    await bench.cancel("cancelled");
    await bench.advance(birth);
    expect(await prune(birth + 999)).toMatchObject({ tasks: 0, hasMore: false });
    expect(await bench.all()).toHaveLength(3);
    expect(await prune(birth + 1_000)).toMatchObject({ tasks: 3, hasMore: false });
    expect(await bench.all()).toEqual([]);
    expect(await bench.storage.result("completed")).toBeUndefined();
  });

  it("keeps failed tasks for a retention of their own", async () => {
    await bench.fail(await bench.running(aTask({ id: "t" })));
    expect((await prune(birth + 4_999)).tasks).toBe(0);
    expect((await prune(birth + 5_000)).tasks).toBe(1);
  });

  it("never forgets unfinished tasks", async () => {
    await bench.retry(await bench.running(aTask()), birth + 1e9);
    await bench.running(aTask());
    await bench.enqueue(aTask(), aTask({ runAt: birth + 1e9 }));
    expect((await prune(birth + 1e12)).tasks).toBe(0);
    expect(await bench.all()).toHaveLength(4);
  });

  it("does not forget a task that was requeued", async () => {
    await bench.enqueue(aTask({ id: "t" }));
    await bench.cancel("t");
    await bench.requeue(["t"]);
    expect((await prune(birth + 1_000)).tasks).toBe(0);
    await bench.complete(await bench.claimOne(), birth + 1_500);
    expect((await prune(birth + 2_499)).tasks).toBe(0);
    expect((await prune(birth + 2_500)).tasks).toBe(1);
  });

  it("forgets a result before its task where its time is shorter", async () => {
    await bench.complete(await bench.running(aTask({ id: "t", resultTtlMs: 10 })), birth);
    await prune(birth + 9);
    expect(await bench.storage.result("t")).toBeDefined();
    expect(await prune(birth + 10)).toMatchObject({ tasks: 0, results: 1 });
    expect(await bench.storage.result("t")).toBeUndefined();
    expect(await bench.state("t")).toBe("completed");
    expect((await prune(birth + 1_000)).tasks).toBe(1);
  });

  it("keeps a task as long as its result where that time is longer", async () => {
    await bench.complete(await bench.running(aTask({ id: "t", resultTtlMs: 3_000 })), birth);
    expect((await prune(birth + 2_999)).tasks).toBe(0);
    expect(await bench.storage.result("t")).toBeDefined();
    expect((await prune(birth + 3_000)).tasks).toBe(1);
    expect(await bench.storage.result("t")).toBeUndefined();
  });

  it("forgets events when their retention ends, and goes on numbering", async () => {
    await bench.enqueue(aTask({ createdAt: 100 }), aTask({ createdAt: 200 }));
    const last = (await bench.storage.events({ limit: 10 })).at(-1);
    expect((await prune(10_099)).events).toBe(0);
    expect((await prune(10_100)).events).toBe(1);
    expect(await bench.storage.events({ limit: 10 })).toEqual([last]);
    expect((await prune(10_200)).events).toBe(1);
    await bench.reopen();
    await bench.enqueue(aTask());
    expect(await bench.storage.events({ limit: 10 })).toMatchObject([{ sequence: (last?.sequence ?? 0) + 1 }]);
  });

  it("forgets at most as many as were asked for, the oldest first, and tells that there may be more", async () => {
    await bench.start({ events: "off" });
    await bench.enqueue(...["a", "b", "c"].map((id) => aTask({ id })));
    const { tasks } = await bench.claim();
    for (const [index, task] of tasks.entries()) await bench.complete(task, birth + 10 - index);
    expect(await prune(birth + 5_000, 2)).toMatchObject({ tasks: 2, hasMore: true });
    expect(idsOf(await bench.all())).toEqual(["a"]);
    expect(await prune(birth + 5_000, 2)).toMatchObject({ tasks: 1, hasMore: false });
  });

  it("forgets nothing with a list that is refused", async () => {
    await bench.complete(await bench.running(aTask({ id: "t", resultTtlMs: 10 })));
    await bench.enqueue(aTask({ id: "other" }));
    const before = await bench.storage.events({ limit: 10 });
    for (const now of [birth + 10, birth + 20_000]) {
      const commit = bench.storage.commit([
        { type: "prune", now, limit: 10 },
        { type: "enqueue", tasks: [aTask({ id: "other" })] },
      ]);
      await expect(commit).rejects.toBeInstanceOf(DuplicateTaskError);
    }
    expect(await bench.storage.events({ limit: 10 })).toEqual(before);
    expect(await bench.state("t")).toBe("completed");
    expect(await bench.storage.result("t")).toBeDefined();
  });

  it("frees the ids of what it forgot", async () => {
    await bench.complete(await bench.running(aTask({ id: "t" })));
    await prune(birth + 1_000);
    expect(await bench.enqueue(aTask({ id: "t" }))).toEqual(["t"]);
  });

  it("tells when it has something to do next", async () => {
    await bench.start({ events: "off" });
    expect(await bench.storage.nextDue()).toEqual({});
    await bench.fail(await bench.running(aTask()));
    expect(await bench.storage.nextDue()).toEqual({ prune: birth + 5_000 });
    await bench.complete(await bench.running(aTask({ resultTtlMs: 10 })));
    expect(await bench.storage.nextDue()).toEqual({ prune: birth + 10 });
    await prune(birth + 10);
    expect(await bench.storage.nextDue()).toEqual({ prune: birth + 1_000 });
  });

  it("counts the events among what it has to do", async () => {
    await bench.enqueue(aTask());
    expect(await bench.storage.nextDue()).toEqual({ prune: birth + 10_000 });
  });
}
