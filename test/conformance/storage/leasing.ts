import { expect, it } from "vitest";
import type { StoredTask } from "../../../src/task/task.ts";
import { aTask, birth } from "../../support/tasks.ts";
import { type Bench, idsOf } from "./bench.ts";

export function leasing(bench: Bench): void {
  const leased = (id: string, until: number) => bench.running(aTask({ id }), { until });
  const extend = async ({ id, life }: StoredTask, until: number, epoch = bench.epoch) => {
    const leases = [{ id, fence: { epoch, attempt: life.attempt } }];
    const [[current]] = await bench.storage.commit([{ type: "extend", leases, until }]);
    return current;
  };

  it("makes a task ready again when its lease runs out, as an interruption", async () => {
    await leased("t", birth + 10);
    expect((await bench.advance(birth + 9)).interrupted).toEqual([]);
    expect(await bench.advance(birth + 10)).toMatchObject({ ready: 0, interrupted: ["t"], expired: [] });
    expect(await bench.life("t")).toMatchObject({ state: "ready", interruptions: 1 });
    expect((await bench.storage.counts()).totals.interrupted).toBe(1);
  });

  it("never takes back a claim without a lease", async () => {
    const task = await bench.running(aTask());
    expect((await bench.advance(birth + 1e9)).interrupted).toEqual([]);
    expect((await bench.storage.nextDue()).advance).toBeUndefined();
    expect(await bench.complete(task)).toBe(true);
  });

  it("does not count what comes from a claim whose lease ran out", async () => {
    const task = await leased("t", birth + 10);
    await bench.advance(birth + 10);
    expect(await bench.complete(task)).toBe(false);
    expect(await extend(task, birth + 50)).toBe(false);
  });

  it("does not take an old claim for the next one of the same task", async () => {
    const old = await leased("t", birth + 10);
    await bench.advance(birth + 10);
    const next = await bench.claimOne({ until: birth + 100 });
    expect(await bench.complete(old)).toBe(false);
    expect(await extend(old, birth + 500)).toBe(false);
    expect(await bench.state("t")).toBe("running");
    expect(await bench.complete(next)).toBe(true);
  });

  it("counts a settlement after the end of the lease as long as nobody took the claim back", async () => {
    const task = await leased("t", birth + 10);
    expect(await bench.complete(task, birth + 20)).toBe(true);
    expect((await bench.advance(birth + 30)).interrupted).toEqual([]);
  });

  it("prolongs a lease", async () => {
    const task = await leased("t", birth + 10);
    expect(await extend(task, birth + 30)).toBe(true);
    expect((await bench.storage.nextDue()).advance).toBe(birth + 30);
    expect((await bench.advance(birth + 29)).interrupted).toEqual([]);
    expect((await bench.advance(birth + 30)).interrupted).toEqual(["t"]);
  });

  it("never shortens a claim", async () => {
    await bench.enqueue(aTask({ id: "a" }), aTask({ id: "b" }));
    const a = await bench.claimOne({ until: birth + 20 });
    const b = await bench.claimOne();
    expect([await extend(a, birth + 5), await extend(b, birth + 5)]).toEqual([true, true]);
    expect((await bench.advance(birth + 5)).interrupted).toEqual([]);
    expect((await bench.advance(birth + 20)).interrupted).toEqual(["a"]);
  });

  it("does not prolong the lease of another epoch", async () => {
    const task = await leased("t", birth + 10);
    expect(await extend(task, birth + 30, bench.epoch + 1)).toBe(false);
    expect((await bench.advance(birth + 10)).interrupted).toEqual(["t"]);
  });

  it("gives a task whose lease ran out at its old place", async () => {
    await leased("a", birth + 10);
    await bench.enqueue(aTask({ id: "b" }));
    await bench.advance(birth + 10);
    expect(idsOf((await bench.claim()).tasks)).toEqual(["a", "b"]);
  });

  it("leaves nothing due that was due when it had done all", async () => {
    await bench.running(aTask({ id: "t", expiresAt: birth + 5 }), { until: birth + 10 });
    expect(await bench.advance(birth + 20)).toMatchObject({ interrupted: ["t"], expired: ["t"], hasMore: false });
    expect((await bench.storage.nextDue()).advance).toBeUndefined();
  });

  it("takes leased claims back when the storage is opened again", async () => {
    const task = await leased("t", birth + 1e6);
    expect((await bench.reopen()).interrupted).toBe(1);
    expect(await extend(task, birth + 2e6, bench.epoch - 1)).toBe(false);
    expect((await bench.storage.nextDue()).advance).toBeUndefined();
  });
}
