import { expect, it } from "vitest";
import type { NewTask } from "../../../src/storage/storage.ts";
import { QueueFullError } from "../../../src/base/errors.ts";
import { aTask, birth } from "../../support/tasks.ts";
import { type Bench, idsOf } from "./bench.ts";

export function staging(bench: Bench): void {
  const stage = (name: string, ...tasks: NewTask[]) => bench.storage.commit([{ type: "stage", stage: name, tasks }]);
  const publish = (name: string, how: "appear" | "drop" = "appear") =>
    bench.storage.commit([{ type: "publish", stage: name, how }]);
  const ids = async () => idsOf(await bench.all());

  it("shows, counts, runs and expires nothing that is only staged", async () => {
    await stage(
      "s",
      aTask({ id: "a" }),
      aTask({ id: "b", runAt: birth + 1 }),
      aTask({ id: "c", expiresAt: birth + 1 }),
    );
    expect(await bench.all()).toEqual([]);
    expect(await bench.storage.get(["a"])).toEqual([undefined]);
    const { queues, totals } = await bench.storage.counts();
    expect([queues.size, totals.enqueued]).toEqual([0, 0]);
    expect(await bench.storage.events({ limit: 10 })).toEqual([]);
    expect((await bench.claim({ now: birth + 9 })).tasks).toEqual([]);
    expect(await bench.advance(birth + 9)).toMatchObject({ ready: 0, expired: [] });
    expect((await bench.storage.nextDue()).advance).toBeUndefined();
  });

  it("publishes all pieces at once, in the order they were staged in", async () => {
    await stage("s", aTask({ id: "c" }), aTask({ id: "a", runAt: birth + 1 }));
    await stage("s", aTask({ id: "b" }), aTask({ id: "d", queue: "other" }));
    await publish("s");
    expect(await ids()).toEqual(["a", "b", "c", "d"]);
    await bench.advance(birth + 1);
    expect(idsOf((await bench.claim()).tasks)).toEqual(["c", "a", "b", "d"]);
  });

  it("counts what was published as enqueued", async () => {
    await stage("s", aTask(), aTask({ runAt: birth + 1 }));
    await publish("s");
    const { queues, totals } = await bench.storage.counts();
    expect([queues.get("default"), totals.enqueued]).toEqual([{ ready: 1, scheduled: 1 }, 2]);
  });

  it("treats published tasks as any others", async () => {
    await stage(
      "s",
      aTask({ id: "a", expiresAt: birth + 5 }),
      aTask({ id: "b" }),
      aTask({ id: "c", runAt: birth + 5 }),
    );
    await publish("s");
    expect(await bench.cancel("b")).toEqual(["ready"]);
    expect(await bench.advance(birth + 5)).toMatchObject({ ready: 1, expired: ["a"] });
    expect(await bench.complete(await bench.claimOne())).toBe(true);
    expect(await bench.delete(["a", "b", "c"])).toEqual([true, true, true]);
  });

  it("keeps stages apart", async () => {
    await stage("s", aTask({ id: "a" }));
    await stage("t", aTask({ id: "b" }));
    await publish("t");
    expect(await ids()).toEqual(["b"]);
  });

  it("forgets a dropped stage", async () => {
    await stage("s", aTask({ id: "a" }));
    await publish("s", "drop");
    await publish("s");
    expect(await ids()).toEqual([]);
    expect(await bench.enqueue(aTask({ id: "a" }))).toEqual(["a"]);
  });

  it("does nothing for an unknown stage, and for one that was published", async () => {
    await stage("s", aTask({ id: "a" }));
    await publish("s");
    await publish("s");
    await publish("unknown");
    await publish("unknown", "drop");
    expect(await ids()).toEqual(["a"]);
  });

  it("checks maxSize when it publishes, and keeps the stage when it refuses", async () => {
    await bench.configure("default", { maxSize: 2 });
    await bench.enqueue(aTask({ id: "x" }));
    await stage("s", aTask({ id: "a" }), aTask({ id: "b" }));
    await expect(publish("s")).rejects.toBeInstanceOf(QueueFullError);
    expect(await ids()).toEqual(["x"]);
    await bench.delete(["x"]);
    await publish("s");
    expect(await ids()).toEqual(["a", "b"]);
  });

  it("lets what is hidden go before nobody, and what appears go in order", async () => {
    const orderingKey = "o";
    await stage("s", aTask({ id: "a", orderingKey }), aTask({ id: "b", orderingKey }));
    await bench.enqueue(aTask({ id: "x", orderingKey }));
    const x = await bench.claimOne();
    expect(x.id).toBe("x");
    await publish("s");
    expect((await bench.claim()).tasks).toEqual([]);
    await bench.complete(x);
    const a = await bench.claimOne();
    expect(a.id).toBe("a");
    expect((await bench.claim()).tasks).toEqual([]);
    await bench.complete(a);
    expect(idsOf((await bench.claim()).tasks)).toEqual(["b"]);
  });

  it("runs the next in order when a stage that would go before it is dropped", async () => {
    const orderingKey = "o";
    await stage("s", aTask({ id: "a", orderingKey }), aTask({ id: "b", orderingKey, runAt: birth + 1 }));
    await bench.enqueue(aTask({ id: "x", orderingKey }), aTask({ id: "y", orderingKey }));
    await publish("s", "drop");
    await bench.complete(await bench.claimOne());
    expect(idsOf((await bench.claim()).tasks)).toEqual(["y"]);
  });

  it("holds the limits per key of what was staged", async () => {
    await bench.configure("default", { concurrencyPerKey: 1 });
    const concurrencyKey = "k";
    await stage("s", aTask({ id: "a", concurrencyKey }), aTask({ id: "b", concurrencyKey }), aTask({ id: "c" }));
    await bench.enqueue(aTask({ id: "x", concurrencyKey, priority: 1 }));
    await publish("s");
    const { tasks } = await bench.claim();
    expect(idsOf(tasks)).toEqual(["x", "c"]);
    for (const task of tasks) await bench.complete(task);
    await bench.complete(await bench.claimOne());
    expect(idsOf((await bench.claim()).tasks)).toEqual(["b"]);
  });

  it("forgets a dropped stage of scheduled and ready tasks over several lanes", async () => {
    const ids = Array.from({ length: 30 }, (_, n) => `t${n}`);
    const tasks = ids.map((id, n) => aTask({ id, name: `n${n % 3}`, ...(n % 2 === 0 ? { runAt: birth + 1 } : {}) }));
    await bench.enqueue(aTask({ id: "x", runAt: birth + 1 }));
    await stage("s", ...tasks.slice(0, 15));
    await stage("s", ...tasks.slice(15));
    await publish("s", "drop");
    expect(await bench.enqueue(...tasks)).toEqual(ids);
    expect(await bench.advance(birth + 1)).toMatchObject({ ready: 16 });
  });

  it("forgets at the next opening what was never published", async () => {
    await stage("s", aTask({ id: "a" }));
    await bench.reopen();
    await publish("s");
    expect(await ids()).toEqual([]);
    expect(await bench.enqueue(aTask({ id: "a" }))).toEqual(["a"]);
  });

  it("keeps over an opening what was published, with what became of it", async () => {
    await stage("s", aTask({ id: "a" }), aTask({ id: "b" }), aTask({ id: "c" }));
    await publish("s");
    await bench.complete(await bench.claimOne());
    await bench.claimOne();
    expect((await bench.reopen()).interrupted).toBe(1);
    expect((await bench.all()).map(({ life }) => life.state)).toEqual(["completed", "ready", "ready"]);
    expect(idsOf((await bench.claim()).tasks)).toEqual(["b", "c"]);
  });
}
