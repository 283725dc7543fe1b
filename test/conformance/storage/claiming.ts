import { expect, it } from "vitest";
import { aTask, birth, someBytes } from "../../support/tasks.ts";
import { type Bench, idsOf } from "./bench.ts";

export function claiming(bench: Bench): void {
  it("gives ready tasks in the order they were enqueued in", async () => {
    await bench.enqueue(aTask({ id: "b" }));
    await bench.enqueue(aTask({ id: "c" }), aTask({ id: "a" }));
    expect(idsOf((await bench.claim()).tasks)).toEqual(["b", "c", "a"]);
  });

  it("gives higher priorities first, over all queues", async () => {
    await bench.enqueue(
      aTask({ id: "a", queue: "x", priority: -1_000 }),
      aTask({ id: "b", queue: "y", priority: 1_000 }),
      aTask({ id: "c", queue: "x", priority: 7 }),
      aTask({ id: "d", queue: "z" }),
      aTask({ id: "e", queue: "y", priority: 7 }),
    );
    expect(idsOf((await bench.claim()).tasks)).toEqual(["b", "c", "e", "d", "a"]);
  });

  it("mixes queues of one priority by the order of enqueueing", async () => {
    await bench.enqueue(aTask({ id: "a", queue: "y" }), aTask({ id: "b", queue: "x" }), aTask({ id: "c", queue: "y" }));
    expect(idsOf((await bench.claim()).tasks)).toEqual(["a", "b", "c"]);
  });

  it("gives at most as many as were asked for", async () => {
    await bench.enqueue(aTask({ id: "a" }), aTask({ id: "b" }), aTask({ id: "c" }));
    expect(idsOf((await bench.claim({ limit: 2 })).tasks)).toEqual(["a", "b"]);
    expect(idsOf((await bench.claim({ limit: 2 })).tasks)).toEqual(["c"]);
  });

  it("gives nothing when nothing is asked for", async () => {
    await bench.enqueue(aTask());
    expect(await bench.claim({ limit: 0 })).toEqual({ tasks: [], expired: [] });
  });

  it("tells who claimed a task, as long as it is running", async () => {
    await bench.enqueue(...["a", "b", "c", "d"].map((id) => aTask({ id })));
    const [a, b, c, d] = (await bench.claim({ owner: "somebody" })).tasks;
    if (!a || !b || !c || !d) throw new Error("Tasks are missing.");
    expect(a.life.claimedBy).toBe("somebody");
    expect((await bench.life("a"))?.claimedBy).toBe("somebody");
    await bench.complete(a);
    await bench.retry(b, birth);
    await bench.settle(c, { to: "ready", cause: "unstarted" });
    await bench.reopen();
    for (const { life } of await bench.all()) expect(life).not.toHaveProperty("claimedBy");
  });

  it("gives the whole task, running, with the attempt it is claimed for", async () => {
    const given = aTask({ id: "t", args: someBytes(4, 2) });
    const task = await bench.running(given);
    expect(task.request).toEqual(given.request);
    expect(Array.from(task.args)).toEqual([4, 2]);
    expect(task.life).toMatchObject({ state: "running", attempt: 1 });
  });

  it("never gives a task that is claimed already", async () => {
    await bench.enqueue(aTask());
    expect((await bench.claim()).tasks).toHaveLength(1);
    expect((await bench.claim()).tasks).toHaveLength(0);
  });

  it("shows a claimed task as running with its current attempt", async () => {
    await bench.running(aTask({ id: "t" }));
    expect(await bench.life("t")).toMatchObject({ state: "running", attempt: 1 });
    const listed = await bench.storage.list({ states: ["running"], limit: 10 });
    expect(listed.tasks.map(({ id, life }) => [id, life.attempt])).toEqual([["t", 1]]);
    expect((await bench.storage.counts()).queues.get("default")).toEqual({ running: 1 });
  });

  it("numbers attempts on after a failed one", async () => {
    await bench.retry(await bench.running(aTask()), birth);
    await bench.advance(birth);
    expect((await bench.claimOne()).life).toMatchObject({ attempt: 2, failures: 1, failed: [{ attempt: 1 }] });
  });

  it("does not know yet when a running attempt was started", async () => {
    const task = await bench.running(aTask({ id: "t" }));
    expect(task.life).not.toHaveProperty("startedAt");
    expect(await bench.life("t")).not.toHaveProperty("startedAt");
  });

  it("gives tasks only from the queues that were named", async () => {
    await bench.enqueue(aTask({ id: "a", queue: "x" }), aTask({ id: "b", queue: "y" }), aTask({ id: "c", queue: "z" }));
    expect(idsOf((await bench.claim({ queues: ["z", "x", "unknown"] })).tasks)).toEqual(["a", "c"]);
    expect((await bench.claim({ queues: [] })).tasks).toEqual([]);
  });

  it("gives nothing from a paused queue until it is resumed", async () => {
    await bench.enqueue(aTask({ id: "a", queue: "x" }), aTask({ id: "b", queue: "y" }));
    await bench.configure("x", { isPaused: true });
    expect(idsOf((await bench.claim()).tasks)).toEqual(["b"]);
    await bench.configure("x", { isPaused: false });
    expect(idsOf((await bench.claim()).tasks)).toEqual(["a"]);
  });

  it("runs no more tasks of a queue than its concurrency", async () => {
    await bench.configure("x", { concurrency: 2 });
    await bench.enqueue(...["a", "b", "c"].map((id) => aTask({ id, queue: "x" })), aTask({ id: "d", queue: "y" }));
    const { tasks } = await bench.claim();
    expect(idsOf(tasks)).toEqual(["a", "b", "d"]);
    expect((await bench.claim()).tasks).toEqual([]);
    const [first] = tasks;
    if (first !== undefined) await bench.complete(first);
    expect(idsOf((await bench.claim()).tasks)).toEqual(["c"]);
  });

  it("does not let a queue at its concurrency hold up others of lower priority", async () => {
    await bench.configure("x", { concurrency: 1 });
    await bench.enqueue(
      aTask({ id: "a", queue: "x", priority: 9 }),
      aTask({ id: "b", queue: "x", priority: 9 }),
      aTask({ id: "c", queue: "y" }),
    );
    expect(idsOf((await bench.claim({ limit: 2 })).tasks)).toEqual(["a", "c"]);
  });

  it("expires the tasks it finds past their time to live", async () => {
    await bench.enqueue(aTask({ id: "a", expiresAt: birth + 10 }), aTask({ id: "b", expiresAt: birth + 11 }));
    const { tasks, expired } = await bench.claim({ now: birth + 10 });
    expect([idsOf(tasks), expired]).toEqual([["b"], ["a"]]);
    expect(await bench.life("a")).toMatchObject({ state: "expired", finishedAt: birth + 10, attempt: 0 });
  });

  it("does not count expired tasks among those it gives", async () => {
    await bench.enqueue(aTask({ id: "a", expiresAt: birth }), aTask({ id: "b" }));
    expect(idsOf((await bench.claim({ limit: 1 })).tasks)).toEqual(["b"]);
  });

  it("leaves expired tasks of a paused queue alone", async () => {
    await bench.enqueue(aTask({ id: "a", expiresAt: birth }));
    await bench.configure("default", { isPaused: true });
    expect(await bench.claim()).toEqual({ tasks: [], expired: [] });
    expect(await bench.state("a")).toBe("ready");
  });

  it("gives no scheduled or retrying task before it is advanced", async () => {
    await bench.retry(await bench.running(aTask()), birth + 1);
    await bench.enqueue(aTask({ runAt: birth + 1 }));
    expect((await bench.claim({ now: birth + 100 })).tasks).toEqual([]);
  });

  it("gives a task back at its old place after a retry, an interruption and a schedule", async () => {
    await bench.enqueue(
      ...["a", "b", "c", "d"].map((id) => aTask({ id, ...(id === "b" ? { runAt: birth + 1 } : {}) })),
    );
    const { tasks } = await bench.claim({ limit: 2 });
    const [a, c] = tasks;
    expect(idsOf(tasks)).toEqual(["a", "c"]);
    if (a !== undefined) await bench.retry(a, birth + 2);
    if (c !== undefined) await bench.settle(c, { to: "ready", cause: "unstarted" });
    await bench.advance(birth + 2);
    expect(idsOf((await bench.claim({ now: birth + 2 })).tasks)).toEqual(["a", "b", "c", "d"]);
  });

  it("gives hundreds of tasks of mixed priorities in order, claim by claim", async () => {
    const tasks = Array.from({ length: 600 }, (_, n) => aTask({ priority: (n * 7) % 11, queue: `q${n % 3}` }));
    await bench.enqueue(...tasks);
    const claimed: string[] = [];
    for (let left = tasks.length; left > 0; left -= 50)
      claimed.push(...idsOf((await bench.claim({ limit: 50 })).tasks));
    expect(claimed).toEqual(idsOf([...tasks].sort((a, b) => b.request.priority - a.request.priority)));
  });
}
