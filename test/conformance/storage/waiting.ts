import { expect, it } from "vitest";
import { aTask, birth } from "../../support/tasks.ts";
import { type Bench, idsOf } from "./bench.ts";

export function waiting(bench: Bench): void {
  it("makes a scheduled task ready when its time has come, and not before", async () => {
    await bench.enqueue(aTask({ id: "t", runAt: birth + 10 }));
    expect(await bench.advance(birth + 9)).toEqual({
      ready: 0,
      expired: [],
      interrupted: [],
      released: false,
      hasMore: false,
    });
    expect(await bench.state("t")).toBe("scheduled");
    expect((await bench.advance(birth + 10)).ready).toBe(1);
    expect(await bench.life("t")).toMatchObject({ state: "ready" });
    expect(await bench.life("t")).not.toHaveProperty("runAt");
  });

  it("makes a retrying task ready when its time has come, and not before", async () => {
    await bench.retry(await bench.running(aTask({ id: "t" })), birth + 10);
    expect((await bench.advance(birth + 9)).ready).toBe(0);
    expect((await bench.advance(birth + 10)).ready).toBe(1);
    expect(await bench.state("t")).toBe("ready");
  });

  it("gives what it made ready in the order of enqueueing, not of time", async () => {
    await bench.enqueue(aTask({ id: "a", runAt: birth + 20 }), aTask({ id: "b", runAt: birth + 10 }));
    await bench.advance(birth + 20);
    expect(idsOf((await bench.claim()).tasks)).toEqual(["a", "b"]);
  });

  it("expires waiting tasks of every kind", async () => {
    const expiresAt = birth + 10;
    await bench.retry(await bench.running(aTask({ id: "retrying", expiresAt })), birth + 50);
    await bench.enqueue(aTask({ id: "ready", expiresAt }), aTask({ id: "scheduled", runAt: birth + 50, expiresAt }));
    expect((await bench.advance(birth + 9)).expired).toEqual([]);
    const { expired, ready } = await bench.advance(birth + 10);
    expect([[...expired].sort(), ready]).toEqual([["ready", "retrying", "scheduled"], 0]);
    expect(await bench.life("scheduled")).toMatchObject({ state: "expired", finishedAt: birth + 10 });
    expect(await bench.life("scheduled")).not.toHaveProperty("runAt");
    expect((await bench.claim()).tasks).toEqual([]);
  });

  it("expires a task whose start and end have both come", async () => {
    await bench.enqueue(aTask({ id: "t", runAt: birth + 10, expiresAt: birth + 20 }));
    expect(await bench.advance(birth + 30)).toMatchObject({ ready: 0, expired: ["t"] });
  });

  it("expires tasks of a paused queue", async () => {
    await bench.configure("default", { isPaused: true });
    await bench.enqueue(aTask({ id: "t", expiresAt: birth + 10 }));
    expect((await bench.advance(birth + 10)).expired).toEqual(["t"]);
  });

  it("never expires a running task", async () => {
    const task = await bench.running(aTask({ id: "t", expiresAt: birth + 10 }));
    expect((await bench.advance(birth + 10)).expired).toEqual([]);
    expect(await bench.complete(task, birth + 11)).toBe(true);
  });

  it("expires a task that comes back after its time to live", async () => {
    const task = await bench.running(aTask({ id: "t", expiresAt: birth + 10 }));
    await bench.settle(task, { to: "ready", cause: "unstarted" }, { now: birth + 20 });
    expect((await bench.storage.nextDue()).advance).toBe(birth + 10);
    expect((await bench.advance(birth + 20)).expired).toEqual(["t"]);
  });

  it("does at most as much as was asked for, the oldest first, and tells that there may be more", async () => {
    await bench.enqueue(
      aTask({ id: "a", runAt: birth + 3 }),
      aTask({ id: "b", runAt: birth + 1 }),
      aTask({ id: "c", runAt: birth + 2 }),
    );
    expect(await bench.advance(birth + 5, { limit: 2 })).toMatchObject({ ready: 2, hasMore: true });
    expect((await bench.all()).map(({ life }) => life.state)).toEqual(["scheduled", "ready", "ready"]);
    expect(await bench.advance(birth + 5, { limit: 2 })).toMatchObject({ ready: 1, hasMore: false });
  });

  it("tells when it has something to do next", async () => {
    expect((await bench.storage.nextDue()).advance).toBeUndefined();
    await bench.enqueue(aTask({ id: "a", runAt: birth + 30 }), aTask({ id: "b", expiresAt: birth + 40 }));
    expect((await bench.storage.nextDue()).advance).toBe(birth + 30);
    await bench.advance(birth + 30);
    expect((await bench.storage.nextDue()).advance).toBe(birth + 40);
    await bench.cancel("b");
    expect((await bench.storage.nextDue()).advance).toBeUndefined();
  });

  it("forgets the time to live of a task that ended", async () => {
    await bench.complete(await bench.running(aTask({ id: "t", expiresAt: birth + 10 })));
    expect((await bench.storage.nextDue()).advance).toBeUndefined();
    expect((await bench.advance(birth + 10)).expired).toEqual([]);
    expect(await bench.state("t")).toBe("completed");
  });

  it("forgets the schedule of a deleted task whose id is used again", async () => {
    await bench.enqueue(aTask({ id: "t", runAt: birth + 10 }));
    await bench.delete(["t"]);
    await bench.enqueue(aTask({ id: "t", runAt: birth + 20 }));
    expect((await bench.advance(birth + 10)).ready).toBe(0);
    expect((await bench.advance(birth + 20)).ready).toBe(1);
  });
}
