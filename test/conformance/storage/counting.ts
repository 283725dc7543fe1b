import { expect, it } from "vitest";
import { aTask, birth } from "../../support/tasks.ts";
import { type Bench, noTallies } from "./bench.ts";

const nothing = { enqueued: 0, completed: 0, failed: 0, retried: 0, interrupted: 0, late: 0 };

export function counting(bench: Bench): void {
  it("starts with nothing", async () => {
    expect(await bench.storage.counts()).toEqual({ queues: new Map(), parked: 0, totals: nothing });
  });

  it("counts tasks by queue and state, leaving out what there is none of", async () => {
    await bench.enqueue(aTask({ queue: "x" }), aTask({ queue: "y" }), aTask({ queue: "x", runAt: birth + 1 }));
    await bench.claimOne({ queues: ["x"] });
    const { queues } = await bench.storage.counts();
    expect(queues).toEqual(
      new Map([
        ["x", { running: 1, scheduled: 1 }],
        ["y", { ready: 1 }],
      ]),
    );
  });

  it("adds up what was enqueued, completed, failed, retried and interrupted", async () => {
    await bench.enqueue(...Array.from({ length: 6 }, () => aTask()));
    const [a, b, c, d, e] = (await bench.claim()).tasks;
    if (!a || !b || !c || !d || !e) throw new Error("Tasks are missing.");
    await bench.complete(a);
    await bench.fail(b);
    await bench.retry(c, birth);
    await bench.settle(d, { to: "ready", cause: "interrupted", ...noTallies, interruptions: 1 });
    await bench.settle(e, { to: "ready", cause: "unstarted" });
    const { totals } = await bench.storage.counts();
    expect(totals).toEqual({ enqueued: 6, completed: 1, failed: 1, retried: 1, interrupted: 1, late: 0 });
  });

  it("does not count a requeued task as enqueued again", async () => {
    await bench.fail(await bench.running(aTask({ id: "t" })));
    await bench.requeue(["t"]);
    expect((await bench.storage.counts()).totals).toMatchObject({ enqueued: 1, failed: 1 });
  });

  it("keeps totals when tasks are deleted and pruned, and counts only what is there", async () => {
    await bench.complete(await bench.running(aTask({ id: "a" })));
    await bench.fail(await bench.running(aTask({ id: "b" })));
    await bench.delete(["b"]);
    await bench.storage.commit([{ type: "prune", now: birth + 1_000, limit: 10 }]);
    const { queues, totals } = await bench.storage.counts();
    expect([queues.size, totals]).toEqual([0, { ...nothing, enqueued: 2, completed: 1, failed: 1 }]);
  });

  it("keeps counts and totals over an opening", async () => {
    await bench.enqueue(aTask({ queue: "x" }), aTask({ runAt: birth + 5 }));
    const task = await bench.claimOne();
    await bench.complete(task);
    await bench.complete(task);
    const before = await bench.storage.counts();
    expect(before.totals).toEqual({ ...nothing, enqueued: 2, completed: 1, late: 1 });
    await bench.reopen();
    expect(await bench.storage.counts()).toEqual(before);
  });
}
