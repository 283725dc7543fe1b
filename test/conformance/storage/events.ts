import { expect, it } from "vitest";
import { DuplicateTaskError } from "../../../src/base/errors.ts";
import type { EventQuery } from "../../../src/storage/storage.ts";
import type { StoredEvent } from "../../../src/task/event.ts";
import { aTask, birth } from "../../support/tasks.ts";
import { aFailure, type Bench, noTallies } from "./bench.ts";

export function events(bench: Bench): void {
  const find = (query: Partial<EventQuery> = {}) => bench.storage.events({ limit: 1_000, ...query });
  const types = async (query: Partial<EventQuery> = {}) => (await find(query)).map(({ type }) => type);

  it("keeps one for everything that happens to a task", async () => {
    await bench.enqueue(aTask({ id: "t", expiresAt: birth + 50 }));
    await bench.retry(await bench.claimOne(), birth);
    await bench.advance(birth);
    await bench.settle(
      await bench.claimOne(),
      { to: "ready", cause: "interrupted", ...noTallies },
      { startedAt: birth },
    );
    await bench.fail(await bench.claimOne());
    await bench.requeue(["t"]);
    await bench.cancel("t");
    await bench.requeue(["t"]);
    await bench.advance(birth + 50);
    await bench.requeue(["t"]);
    await bench.complete(await bench.claimOne());
    expect((await find()).map(({ type, attempt }) => [type, attempt])).toEqual([
      ["enqueued", 0],
      ["started", 1],
      ["retrying", 1],
      ["started", 2],
      ["interrupted", 2],
      ["started", 3],
      ["failed", 3],
      ["requeued", 3],
      ["cancelled", 3],
      ["requeued", 3],
      ["expired", 3],
      ["requeued", 3],
      ["started", 4],
      ["completed", 4],
    ]);
  });

  it("tells what happened, when, to which task and why", async () => {
    const task = await bench.running(aTask({ id: "t", queue: "x", name: "mail" }));
    const failure = aFailure(1, birth + 3, "timeout");
    await bench.settle(task, { to: "failed", reason: "timeout", failure, ...noTallies }, { now: birth + 4 });
    const [event] = await find({ types: ["failed"] });
    expect(event).toEqual({
      sequence: expect.any(Number),
      type: "failed",
      at: birth + 4,
      taskId: "t",
      name: "mail",
      queue: "x",
      attempt: 1,
      reason: "timeout",
      error: failure.error,
    });
  });

  it("tells the reason of a cancellation, and of a retry", async () => {
    await bench.retry(await bench.running(aTask({ id: "t" })), birth + 1);
    await bench.cancel("t");
    expect(await find({ types: ["retrying", "cancelled"] })).toMatchObject([
      { type: "retrying", reason: "error", error: { message: "attempt 1 failed" } },
      { type: "cancelled", reason: "not wanted" },
    ]);
  });

  it("dates the enqueueing of a task by its creation", async () => {
    await bench.enqueue(aTask({ createdAt: 123 }));
    expect(await find()).toMatchObject([{ type: "enqueued", at: 123 }]);
  });

  it("numbers them without gaps", async () => {
    await bench.enqueue(aTask(), aTask(), aTask());
    await bench.claim();
    const sequences = (await find()).map(({ sequence }) => sequence);
    expect(sequences).toEqual(sequences.map((_, index) => (sequences[0] ?? 0) + index));
    expect(sequences).toHaveLength(6);
  });

  it("keeps none for tasks that are skipped, given back unstarted, or deleted", async () => {
    const task = await bench.running(aTask({ id: "t", dedupeKey: "k" }));
    const before = await types();
    await bench.enqueue(aTask({ dedupeKey: "k", onConflict: "skip" }), aTask({ dedupeKey: "k", onConflict: "return" }));
    await bench.settle(task, { to: "ready", cause: "unstarted" });
    await bench.complete(task);
    await bench.delete(["t"]);
    expect(await types()).toEqual(before);
  });

  it("keeps one for a replaced task, under the id it keeps", async () => {
    await bench.enqueue(aTask({ id: "a", dedupeKey: "k" }));
    await bench.enqueue(aTask({ id: "b", dedupeKey: "k", onConflict: "replace" }));
    expect((await find()).map(({ type, taskId }) => [type, taskId])).toEqual([
      ["enqueued", "a"],
      ["enqueued", "a"],
    ]);
  });

  it("keeps only those of trouble at level errors", async () => {
    await bench.start({ events: "errors" });
    await bench.enqueue(...["a", "b", "c", "d"].map((id) => aTask({ id, expiresAt: birth + 9 })));
    const [a, b, c] = (await bench.claim({ limit: 3 })).tasks;
    if (!a || !b || !c) throw new Error("Tasks are missing.");
    await bench.complete(a);
    await bench.fail(b);
    await bench.retry(c, birth);
    await bench.cancel("c");
    await bench.advance(birth + 9);
    expect((await find()).map(({ type, taskId }) => [type, taskId])).toEqual([
      ["failed", "b"],
      ["retrying", "c"],
      ["expired", "d"],
    ]);
  });

  it("keeps none at level off", async () => {
    await bench.start({ events: "off" });
    await bench.fail(await bench.running(aTask()));
    expect(await find()).toEqual([]);
  });

  it("tells them instead of keeping them where they are kept elsewhere", async () => {
    const told: StoredEvent[] = [];
    await bench.start({ onEvents: (some) => told.push(...some) });
    await bench.enqueue(aTask({ id: "a" }));
    await expect(bench.enqueue(aTask({ id: "b" }), aTask({ id: "a" }))).rejects.toBeInstanceOf(DuplicateTaskError);
    await bench.claim();
    expect(told.map(({ type, taskId }) => [type, taskId])).toEqual([
      ["enqueued", "a"],
      ["started", "a"],
    ]);
    expect(told[1]?.sequence).toBe((told[0]?.sequence ?? 0) + 1);
    expect(await find()).toEqual([]);
    expect((await bench.storage.nextDue()).prune).toBeUndefined();
  });

  it("finds them by task, type and queue, joined by and", async () => {
    await bench.enqueue(aTask({ id: "a", queue: "x" }), aTask({ id: "b", queue: "y" }));
    await bench.claim();
    const found = async (query: Partial<EventQuery>) =>
      (await find(query)).map(({ type, taskId }) => `${type} ${taskId}`);
    expect(await found({ taskId: "b" })).toEqual(["enqueued b", "started b"]);
    expect(await found({ queue: "x" })).toEqual(["enqueued a", "started a"]);
    expect(await found({ types: ["started", "failed"] })).toEqual(["started a", "started b"]);
    expect(await found({ types: ["started"], taskId: "a", queue: "y" })).toEqual([]);
  });

  it("finds those from a moment, inclusive, to another, exclusive", async () => {
    await bench.enqueue(...[10, 20, 30].map((createdAt) => aTask({ createdAt })));
    expect((await find({ since: 20 })).map(({ at }) => at)).toEqual([20, 30]);
    expect((await find({ until: 20 })).map(({ at }) => at)).toEqual([10]);
    expect((await find({ since: 20, until: 30 })).map(({ at }) => at)).toEqual([20]);
  });

  it("goes on after a sequence, a page at a time", async () => {
    await bench.enqueue(...["a", "b", "c"].map((id) => aTask({ id })));
    const first = await find({ limit: 2 });
    expect(first.map(({ taskId }) => taskId)).toEqual(["a", "b"]);
    const rest = await find({ limit: 2, after: first.at(-1)?.sequence ?? 0 });
    expect(rest.map(({ taskId }) => taskId)).toEqual(["c"]);
    expect(await find({ after: 1e9 })).toEqual([]);
  });

  it("keeps them, and goes on numbering, over an opening", async () => {
    await bench.enqueue(aTask({ id: "a" }));
    const [first] = await find();
    await bench.reopen();
    await bench.enqueue(aTask({ id: "b" }));
    expect(await find()).toMatchObject([{ taskId: "a" }, { taskId: "b", sequence: (first?.sequence ?? 0) + 1 }]);
  });

  it("tells of tasks that an opening took back", async () => {
    await bench.running(aTask({ id: "t" }));
    await bench.reopen({ now: birth + 77 });
    expect((await find()).at(-1)).toMatchObject({ type: "interrupted", taskId: "t", attempt: 1, at: birth + 77 });
  });

  it("tells of leases that ran out", async () => {
    await bench.running(aTask({ id: "t" }), { until: birth + 5 });
    await bench.advance(birth + 5);
    expect((await find()).at(-1)).toMatchObject({ type: "interrupted", taskId: "t", attempt: 1, at: birth + 5 });
  });
}
