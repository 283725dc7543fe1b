import { expect, it } from "vitest";
import { handlerKey } from "../../../src/task/task.ts";
import { aTask, birth } from "../../support/tasks.ts";
import { type Bench, idsOf } from "./bench.ts";

export function parking(bench: Bench): void {
  const park = async (...ids: string[]) => {
    await bench.enqueue(...ids.map((id) => aTask({ id, name: "gone", expiresAt: birth + 500 })));
    for (const task of (await bench.claim()).tasks) await bench.settle(task, { to: "ready", cause: "parked" });
  };

  it("sets a parked task aside, ready, with its attempt taken back", async () => {
    await park("t");
    expect(await bench.life("t")).toMatchObject({ state: "ready", parked: true, attempt: 0 });
    expect((await bench.claim()).tasks).toEqual([]);
  });

  it("counts parked tasks by handler, and among the ready ones", async () => {
    await park("a", "b");
    await bench.enqueue(aTask({ id: "c" }));
    expect([...(await bench.storage.parked())]).toEqual([["gone", 2]]);
    const { parked, queues } = await bench.storage.counts();
    expect([parked, queues.get("default")]).toEqual([2, { ready: 3 }]);
  });

  it("puts parked tasks back at their old places", async () => {
    await park("a", "b");
    await bench.enqueue(aTask({ id: "c" }));
    expect(await bench.storage.commit([{ type: "unpark", handler: "gone", limit: 10 }])).toEqual([2]);
    expect(await bench.life("a")).not.toHaveProperty("parked");
    expect(idsOf((await bench.claim()).tasks)).toEqual(["a", "b", "c"]);
    expect((await bench.storage.parked()).size).toBe(0);
  });

  it("unparks at most as many as were asked for", async () => {
    await park("a", "b", "c");
    expect(await bench.storage.commit([{ type: "unpark", handler: "gone", limit: 2 }])).toEqual([2]);
    expect((await bench.storage.counts()).parked).toBe(1);
    expect((await bench.claim()).tasks).toHaveLength(2);
  });

  it("leaves parked tasks of other names where they are", async () => {
    await park("a");
    expect(await bench.storage.commit([{ type: "unpark", handler: "greet", limit: 10 }])).toEqual([0]);
    expect((await bench.storage.counts()).parked).toBe(1);
  });

  it("tells versions of a name apart, and from what has none", async () => {
    const versions = [undefined, "1", "10"].map((version) => ({
      name: "gone",
      ...(version === undefined ? {} : { version }),
    }));
    await bench.enqueue(...versions.flatMap((given, n) => ["a", "b"].map((id) => aTask({ id: id + n, ...given }))));
    for (const task of (await bench.claim()).tasks) await bench.settle(task, { to: "ready", cause: "parked" });
    const left = new Map(versions.map((given) => [handlerKey(given), 2]));
    expect(await bench.storage.parked()).toEqual(left);
    for (const [n, given] of versions.entries()) {
      const handler = handlerKey(given);
      expect(await bench.storage.commit([{ type: "unpark", handler, limit: 1 }])).toEqual([1]);
      expect(idsOf((await bench.claim()).tasks)).toEqual([`a${n}`]);
      expect(await bench.storage.commit([{ type: "unpark", handler, limit: 10 }])).toEqual([1]);
      expect(idsOf((await bench.claim()).tasks)).toEqual([`b${n}`]);
      left.delete(handler);
      expect(await bench.storage.parked()).toEqual(left);
    }
  });

  it("leaves parked tasks of other versions where they are", async () => {
    await bench.settle(await bench.running(aTask({ name: "gone", version: "1" })), { to: "ready", cause: "parked" });
    for (const handler of ["gone", handlerKey({ name: "gone", version: "2" })])
      expect(await bench.storage.commit([{ type: "unpark", handler, limit: 10 }])).toEqual([0]);
    expect((await bench.storage.counts()).parked).toBe(1);
  });

  it("cancels a parked task", async () => {
    await park("a");
    expect(await bench.cancel("a")).toEqual(["ready"]);
    expect(await bench.life("a")).toMatchObject({ state: "cancelled" });
    expect(await bench.life("a")).not.toHaveProperty("parked");
    expect((await bench.storage.counts()).parked).toBe(0);
  });

  it("deletes a parked task", async () => {
    await park("a");
    expect(await bench.delete(["a"])).toEqual([true]);
    expect((await bench.storage.counts()).parked).toBe(0);
    expect((await bench.storage.parked()).size).toBe(0);
  });

  it("expires a parked task", async () => {
    await park("a");
    expect((await bench.advance(birth + 500)).expired).toEqual(["a"]);
    expect((await bench.storage.counts()).parked).toBe(0);
  });

  it("keeps parked tasks parked over an opening", async () => {
    await park("a");
    await bench.reopen();
    expect((await bench.storage.counts()).parked).toBe(1);
    expect((await bench.claim()).tasks).toEqual([]);
  });
}
