import { expect, it } from "vitest";
import { DuplicateTaskError, QueueFullError } from "../../../src/base/errors.ts";
import type { Routing } from "../../../src/storage/routing.ts";
import { aTask, birth } from "../../support/tasks.ts";
import { type Bench, idsOf } from "./bench.ts";

/** Which queue a claim takes from. */
export function routing(bench: Bench): void {
  const start = async (type: Routing): Promise<void> => {
    await bench.start({ routing: type });
    for (const [queue, priority] of [
      ["x", 0],
      ["y", 5],
      ["z", 9],
    ] as const) {
      // One request, as tasks of one call have it.
      const { request } = aTask({ queue, priority });
      await bench.enqueue(...Array.from({ length: 40 }, () => ({ ...aTask(), request })));
    }
  };
  const queuesOf = async (limit: number, queues?: string[]): Promise<string> => {
    const { tasks } = await bench.claim({ limit, ...(queues === undefined ? {} : { queues }) });
    return tasks.map(({ request }) => request.queue).join("");
  };

  it("by priority takes the best of all", async () => {
    await start({ type: "priority" });
    expect(await queuesOf(41)).toBe(`${"z".repeat(40)}y`);
  });

  it("strict empties one queue after the other, those that are not listed last", async () => {
    await start({ type: "strict", queues: ["y", "x"] });
    expect(await queuesOf(81)).toBe(`${"y".repeat(40)}${"x".repeat(40)}z`);
  });

  it("strict passes over a queue that may not give", async () => {
    await start({ type: "strict", queues: ["x", "y"] });
    await bench.configure("x", { concurrency: 1 });
    expect(await queuesOf(3)).toBe("xyy");
  });

  it("round-robin gives each queue its turn, within it by priority", async () => {
    await start({ type: "round-robin" });
    await bench.enqueue(aTask({ id: "first", queue: "y", priority: 99 }));
    const { tasks } = await bench.claim({ limit: 6 });
    expect(tasks.map(({ request }) => request.queue).join("")).toBe("xyzxyz");
    expect(tasks[1]?.id).toBe("first");
    expect(await queuesOf(2)).toBe("xy");
    expect(await queuesOf(2)).toBe("zx");
  });

  it("weighted gives turns as the weights say, also over several claims", async () => {
    await start({ type: "weighted" });
    await bench.configure("x", { weight: 3 });
    let given = "";
    for (let claims = 0; claims < 10; claims++) given += await queuesOf(4, ["x", "y"]);
    expect(Array.from(given).filter((queue) => queue === "x")).toHaveLength(30);
  });

  it("a queue that had nothing to give does not catch up", async () => {
    await start({ type: "round-robin" });
    expect(await queuesOf(20, ["y", "z"])).toHaveLength(20);
    const given = Array.from(await queuesOf(20, ["x", "y"]));
    expect(Math.abs(given.filter((queue) => queue === "x").length - 10)).toBeLessThanOrEqual(1);
  });
}

/** Priorities that rise. */
export function aging(bench: Bench): void {
  it("lets a task rise by one priority with every step that it waits", async () => {
    await bench.configure("default", { agingStepMs: 10 });
    await bench.enqueue(aTask({ id: "low" }), aTask({ id: "high", priority: 3, createdAt: birth + 25 }));
    expect((await bench.claim({ limit: 1, now: birth + 29 })).tasks).toMatchObject([{ id: "high" }]);
    await bench.enqueue(aTask({ id: "higher", priority: 3, createdAt: birth + 29 }));
    expect((await bench.claim({ limit: 1, now: birth + 30 })).tasks).toMatchObject([{ id: "low" }]);
  });

  it("claims a task within its bound under an endless load of higher priority", async () => {
    await bench.configure("default", { agingStepMs: 10 });
    await bench.enqueue(aTask({ id: "low", priority: -2 }));
    let claimedAt: number | undefined;
    for (let now = birth; claimedAt === undefined && now < birth + 1_000; now += 5) {
      const { request } = aTask({ priority: 5, createdAt: now });
      await bench.enqueue({ ...aTask(), request }, { ...aTask(), request });
      const { tasks } = await bench.claim({ limit: 2, now });
      if (idsOf(tasks).includes("low")) claimedAt = now;
    }
    expect(claimedAt).toBe(birth + 70);
  });

  it("compares with other queues, whose tasks stay as they are", async () => {
    await bench.configure("aging", { agingStepMs: 10 });
    await bench.enqueue(
      aTask({ id: "a", queue: "aging" }),
      aTask({ id: "b", priority: 2 }),
      aTask({ id: "c", priority: 1 }),
    );
    expect(idsOf((await bench.claim({ now: birth + 15, limit: 9 })).tasks)).toEqual(["b", "a", "c"]);
  });

  it("counts from when a task was to start, or was requeued", async () => {
    await bench.configure("default", { agingStepMs: 10 });
    await bench.enqueue(
      aTask({ id: "late", runAt: birth + 100 }),
      aTask({ id: "again" }),
      aTask({ id: "plain", priority: 1, createdAt: birth + 100 }),
    );
    await bench.cancel("again");
    await bench.requeue(["again"], birth + 100);
    await bench.advance(birth + 100);
    expect(idsOf((await bench.claim({ now: birth + 105 })).tasks)).toEqual(["plain", "late", "again"]);
  });

  it("leaves priorities alone in a queue that does not age any more", async () => {
    await bench.configure("default", { agingStepMs: 1 });
    await bench.configure("default", { agingStepMs: null });
    await bench.enqueue(aTask({ id: "low" }), aTask({ id: "high", priority: 1, createdAt: birth + 99 }));
    expect(idsOf((await bench.claim({ now: birth + 99 })).tasks)).toEqual(["high", "low"]);
  });
}

/** Tasks that go to another queue. */
export function moving(bench: Bench): void {
  const move = async (queue: string, ...ids: string[]) =>
    (await bench.storage.commit([{ type: "move", ids, queue }]))[0];

  it("moves waiting tasks, with their priorities and ages", async () => {
    await bench.enqueue(
      aTask({ id: "a", queue: "x", priority: 5 }),
      aTask({ id: "b", queue: "y", priority: 5 }),
      aTask({ id: "c", queue: "x" }),
    );
    expect(await move("y", "a", "c", "unknown")).toEqual(["ready", "ready", undefined]);
    expect(await bench.claim({ queues: ["x"] })).toEqual({ tasks: [], expired: [] });
    const { tasks } = await bench.claim({ queues: ["y"] });
    expect(tasks.map(({ id, request }) => [id, request.queue])).toEqual([
      ["a", "y"],
      ["b", "y"],
      ["c", "y"],
    ]);
  });

  it("leaves tasks that run or have ended where they are", async () => {
    await bench.complete(await bench.running(aTask({ id: "a" })));
    await bench.running(aTask({ id: "b" }));
    expect(await move("x", "a", "b")).toEqual(["completed", "running"]);
    expect((await bench.all()).map(({ request }) => request.queue)).toEqual(["default", "default"]);
  });

  it("moves what is scheduled, retried, parked and about to expire with all that is due", async () => {
    await bench.enqueue(aTask({ id: "a", runAt: birth + 5 }), aTask({ id: "b", expiresAt: birth + 5 }));
    await move("x", "a", "b");
    expect(await bench.advance(birth + 5)).toMatchObject({ ready: 1, expired: ["b"] });
    await bench.retry(await bench.claimOne({ queues: ["x"] }), birth + 9);
    await move("y", "a");
    expect(await bench.advance(birth + 9)).toMatchObject({ ready: 1 });
    await bench.settle(await bench.claimOne({ queues: ["y"] }), { to: "ready", cause: "parked" });
    await move("z", "a");
    expect(await bench.storage.parked()).toEqual(new Map([["greet", 1]]));
    await bench.storage.commit([{ type: "unpark", handler: "greet", limit: 9 }]);
    expect(idsOf((await bench.claim({ queues: ["z"] })).tasks)).toEqual(["a"]);
  });

  it("takes keys along, and refuses where one is taken", async () => {
    await bench.enqueue(aTask({ id: "a", queue: "x", dedupeKey: "k" }), aTask({ id: "b", queue: "y", dedupeKey: "k" }));
    await expect(move("y", "a")).rejects.toBeInstanceOf(DuplicateTaskError);
    await move("z", "a");
    expect(await bench.enqueue(aTask({ id: "c", queue: "x", dedupeKey: "k" }))).toEqual(["c"]);
    await expect(bench.enqueue(aTask({ queue: "z", dedupeKey: "k" }))).rejects.toBeInstanceOf(DuplicateTaskError);
  });

  it("joins the ordered line of the other queue at its age", async () => {
    await bench.enqueue(
      aTask({ id: "a", queue: "x", orderingKey: "k" }),
      aTask({ id: "b", queue: "x", orderingKey: "k" }),
      aTask({ id: "c", queue: "y", orderingKey: "k" }),
    );
    await move("y", "a");
    expect(idsOf((await bench.claim()).tasks)).toEqual(["a", "b"]);
  });

  it("refuses to fill a queue beyond its maxSize", async () => {
    await bench.configure("y", { maxSize: 1 });
    await bench.enqueue(aTask({ id: "a" }), aTask({ id: "b" }));
    await expect(move("y", "a", "b")).rejects.toBeInstanceOf(QueueFullError);
    expect((await bench.storage.counts()).queues).toEqual(new Map([["default", { ready: 2 }]]));
    await move("y", "a");
  });

  it("moves one of many that were enqueued together, and keeps it there over an opening", async () => {
    const { request } = aTask({ queue: "x" });
    const tasks = Array.from({ length: 5 }, (_, n) => ({
      ...aTask({ id: `0190000${n}-0000-7000-8000-000000000000` }),
      request,
    }));
    await bench.enqueue(...tasks);
    await move("y", tasks[2]?.id ?? "");
    await bench.reopen();
    expect(idsOf((await bench.claim({ queues: ["y"] })).tasks)).toEqual([tasks[2]?.id]);
    expect((await bench.claim({ queues: ["x"] })).tasks).toHaveLength(4);
  });
}
