import { expect, it } from "vitest";
import { DuplicateTaskError, QueueFullError } from "../../../src/base/errors.ts";
import { aRequest, aTask, birth, someBytes } from "../../support/tasks.ts";
import { type Bench, idsOf } from "./bench.ts";

export function enqueueing(bench: Bench): void {
  it("keeps a task as it was given", async () => {
    const request = aRequest({
      priority: -3,
      expiresAt: 9_000,
      timeoutMs: 50,
      maxRetries: 4,
      maxInterruptions: 2,
      resultTtlMs: 77,
      tags: ["a", "b"],
      metadata: { customer: { id: 12, name: "Zoë" } },
    });
    await bench.storage.commit([{ type: "enqueue", tasks: [{ id: "t", request, args: someBytes(0, 255, 7) }] }]);
    const [task] = await bench.storage.get(["t"]);
    expect(task?.request).toEqual(request);
    expect(Array.from(task?.args ?? [])).toEqual([0, 255, 7]);
    expect(task?.life).toEqual({ state: "ready", attempt: 0, failures: 0, crashes: 0, interruptions: 0, failed: [] });
  });

  it("answers with the ids of the tasks, in order", async () => {
    expect(await bench.enqueue(aTask({ id: "b" }), aTask({ id: "a" }))).toEqual(["b", "a"]);
  });

  it("makes a task with a later runAt scheduled", async () => {
    await bench.enqueue(aTask({ id: "t", runAt: birth + 1 }));
    expect(await bench.life("t")).toMatchObject({ state: "scheduled", runAt: birth + 1 });
  });

  it("makes a task ready whose runAt has come", async () => {
    await bench.enqueue(aTask({ id: "t", runAt: birth }));
    expect(await bench.state("t")).toBe("ready");
    expect(await bench.life("t")).not.toHaveProperty("runAt");
  });

  it("keeps what tasks that share a request have of their own", async () => {
    const request = aRequest();
    const tasks = ["a", "b"].map((id, index) => ({ id, request, args: someBytes(index) }));
    await bench.storage.commit([{ type: "enqueue", tasks }]);
    const stored = await bench.storage.get(["a", "b"]);
    expect(stored.map((task) => Array.from(task?.args ?? []))).toEqual([[0], [1]]);
  });

  it("keeps a task without arguments", async () => {
    await bench.enqueue(aTask({ id: "t", args: someBytes() }));
    expect((await bench.storage.get(["t"]))[0]?.args).toHaveLength(0);
  });

  it("does nothing for an empty list", async () => {
    expect(await bench.enqueue()).toEqual([]);
    expect(await bench.all()).toEqual([]);
  });

  it("refuses an id that exists", async () => {
    await bench.enqueue(aTask({ id: "t" }));
    const again = bench.enqueue(aTask({ id: "t" }));
    await expect(again).rejects.toBeInstanceOf(DuplicateTaskError);
    await expect(again).rejects.toMatchObject({ existingId: "t" });
  });

  it("refuses an id that exists whatever onConflict says", async () => {
    await bench.enqueue(aTask({ id: "t", dedupeKey: "k" }));
    for (const onConflict of ["skip", "return", "replace"] as const) {
      await expect(bench.enqueue(aTask({ id: "t", dedupeKey: "k", onConflict }))).rejects.toBeInstanceOf(
        DuplicateTaskError,
      );
    }
  });

  it("refuses an id that stands twice in a list", async () => {
    await expect(bench.enqueue(aTask({ id: "t" }), aTask({ id: "t" }))).rejects.toBeInstanceOf(DuplicateTaskError);
  });

  it("refuses the id of a finished task", async () => {
    await bench.complete(await bench.running(aTask({ id: "t" })));
    await expect(bench.enqueue(aTask({ id: "t" }))).rejects.toBeInstanceOf(DuplicateTaskError);
  });

  it("stores nothing of a list that is refused", async () => {
    await bench.enqueue(aTask({ id: "c" }));
    await expect(
      bench.enqueue(aTask({ id: "a" }), aTask({ id: "b", queue: "new" }), aTask({ id: "c" })),
    ).rejects.toBeInstanceOf(DuplicateTaskError);
    expect(idsOf(await bench.all())).toEqual(["c"]);
    expect(idsOf((await bench.claim()).tasks)).toEqual(["c"]);
  });

  it("applies nothing of a list of which one change is refused", async () => {
    await bench.enqueue(aTask({ id: "a" }), aTask({ id: "b", dedupeKey: "k" }), aTask({ id: "c" }));
    const task = await bench.claimOne();
    await bench.cancel("c");
    const before = await bench.storage.counts();
    const commit = bench.storage.commit([
      { type: "delete", ids: ["b"], now: birth },
      { type: "requeue", ids: ["c"], now: birth },
      { type: "enqueue", tasks: [aTask({ id: "x", queue: "other" })] },
      { type: "enqueue", tasks: [aTask({ id: "a" })] },
      { type: "claim", limit: 5, now: birth, owner: "bench" },
      { type: "configureQueue", queue: "default", patch: { isPaused: true } },
    ]);
    await expect(commit).rejects.toBeInstanceOf(DuplicateTaskError);
    expect(await bench.storage.counts()).toEqual(before);
    expect(await bench.storage.queues()).toEqual([{ name: "default", isPaused: false }]);
    expect(await bench.complete(task)).toBe(true);
    expect(idsOf((await bench.claim()).tasks)).toEqual(["b"]);
  });

  it("leaves no event of a refused list", async () => {
    await bench.enqueue(aTask({ id: "a" }));
    await expect(bench.enqueue(aTask({ id: "b" }), aTask({ id: "a" }))).rejects.toBeInstanceOf(DuplicateTaskError);
    await bench.enqueue(aTask({ id: "c" }));
    const [first, second, ...more] = await bench.storage.events({ limit: 10 });
    expect([first?.taskId, second?.taskId, more]).toEqual(["a", "c", []]);
    expect(second?.sequence).toBe((first?.sequence ?? 0) + 1);
  });

  it("does all changes of a list in order", async () => {
    const [, claimed, states] = await bench.storage.commit([
      { type: "enqueue", tasks: [aTask({ id: "a" }), aTask({ id: "b" })] },
      { type: "claim", limit: 1, now: birth, owner: "bench" },
      { type: "cancel", ids: ["a", "b"], now: birth, reason: "no" },
    ]);
    expect(idsOf(claimed.tasks)).toEqual(["a"]);
    expect(states).toEqual(["running", "ready"]);
  });

  it("fills a queue up to its maxSize and no further", async () => {
    await bench.configure("default", { maxSize: 2 });
    await bench.enqueue(aTask({ id: "a" }), aTask({ id: "b", runAt: birth + 5 }));
    await expect(bench.enqueue(aTask())).rejects.toBeInstanceOf(QueueFullError);
    expect(await bench.enqueue(aTask({ id: "c", queue: "other" }))).toEqual(["c"]);
  });

  it("refuses a list of which only a part has room", async () => {
    await bench.configure("default", { maxSize: 2 });
    await expect(bench.enqueue(aTask(), aTask(), aTask())).rejects.toBeInstanceOf(QueueFullError);
    expect(await bench.all()).toEqual([]);
  });

  it("counts running and retrying tasks against maxSize, and finished ones not", async () => {
    await bench.configure("default", { maxSize: 1 });
    const task = await bench.running(aTask({ id: "t" }));
    await expect(bench.enqueue(aTask())).rejects.toBeInstanceOf(QueueFullError);
    await bench.retry(task, birth);
    await expect(bench.enqueue(aTask())).rejects.toBeInstanceOf(QueueFullError);
    await bench.cancel("t");
    expect(await bench.enqueue(aTask({ id: "next" }))).toEqual(["next"]);
  });
}
