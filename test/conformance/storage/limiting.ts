import { expect, it } from "vitest";
import type { Limits } from "../../../src/storage/storage.ts";
import type { TaskRequest } from "../../../src/task/task.ts";
import { aTask, birth } from "../../support/tasks.ts";
import { type Bench, idsOf, noTallies } from "./bench.ts";

/** Limits on how many run and start, of queues, names, keys and executors. */
export function limiting(bench: Bench): void {
  const enqueue = (ids: string, given: Partial<TaskRequest> = {}) =>
    bench.enqueue(...Array.from(ids).map((id) => aTask({ id, ...given })));
  const claim = async (given: Parameters<Bench["claim"]>[0] = {}) => idsOf((await bench.claim(given)).tasks).join("");
  const names = (limits: Limits) => ({ names: new Map([["mail", limits]]) });
  const end = async (id: string): Promise<void> => {
    const [task] = await bench.storage.get([id]);
    if (task !== undefined) await bench.complete(task);
  };

  it("claims no more of an executor than it has room for", async () => {
    await enqueue("ab", { executor: "process" });
    await enqueue("cd", { executor: "thread", priority: 1 });
    await enqueue("ef", { priority: 2 });
    const room = new Map([
      ["thread", 3],
      ["process", 1],
    ]);
    expect(await claim({ room })).toBe("efca");
    expect(await claim({ room: new Map([["process", 9]]) })).toBe("b");
    expect(await claim({ room: new Map() })).toBe("");
    expect(await claim()).toBe("d");
  });

  it("takes tasks that name no executor for those of the default one", async () => {
    await bench.start({ defaultExecutor: "process" });
    await enqueue("a");
    await enqueue("b", { executor: "thread" });
    expect(await claim({ room: new Map([["process", 5]]) })).toBe("a");
  });

  it("leaves tasks with excepted names, and their places", async () => {
    await enqueue("a", { name: "mail" });
    await enqueue("b", { name: "sum" });
    expect(await claim({ perName: new Map([["mail", 0]]) })).toBe("b");
    await enqueue("c", { name: "sum" });
    expect(await claim()).toBe("ac");
  });

  it("runs no more tasks of a name than its concurrency, over all queues", async () => {
    await bench.start(names({ concurrency: 2 }));
    await enqueue("ab", { name: "mail", queue: "x" });
    await enqueue("cd", { name: "mail", queue: "y" });
    await enqueue("e", { name: "sum", queue: "y" });
    expect(await claim()).toBe("abe");
    await end("a");
    expect(await claim()).toBe("c");
  });

  it("frees the concurrency of a name whichever way an attempt ends", async () => {
    await bench.start(names({ concurrency: 1 }));
    await bench.enqueue(...Array.from("abcdef").map((id) => aTask({ id, name: "mail" })));
    await bench.complete(await bench.claimOne());
    await bench.fail(await bench.claimOne());
    await bench.retry(await bench.claimOne(), birth + 99);
    await bench.settle(await bench.claimOne(), { to: "ready", cause: "parked" });
    await bench.settle(await bench.claimOne(), { to: "cancelled", reason: "stopped" });
    await bench.settle(await bench.claimOne(), { to: "ready", cause: "interrupted", ...noTallies, interruptions: 1 });
    expect(await claim()).toBe("f");
    await bench.delete(["f"], { force: true });
    await enqueue("g", { name: "mail" });
    expect(await claim({ until: birth + 5 })).toBe("g");
    await bench.advance(birth + 5);
    expect(await claim()).toBe("g");
    await bench.reopen(names({ concurrency: 1 }));
    expect(await claim()).toBe("g");
  });

  it("runs no more tasks with one key than a queue says, and none of them holds up another key", async () => {
    await bench.configure("default", { concurrencyPerKey: 2 });
    await enqueue("abcd", { concurrencyKey: "k" });
    await enqueue("ef", { concurrencyKey: "l" });
    await enqueue("g");
    expect(await claim()).toBe("abefg");
    expect(await claim()).toBe("");
    await end("b");
    expect(await claim()).toBe("c");
  });

  it("runs no more tasks with one key than a name says, over all queues", async () => {
    await bench.start(names({ concurrencyPerKey: 1 }));
    await enqueue("a", { name: "mail", concurrencyKey: "k", queue: "x" });
    await enqueue("b", { name: "mail", concurrencyKey: "k", queue: "y" });
    await enqueue("c", { name: "sum", concurrencyKey: "k", queue: "y" });
    expect(await claim()).toBe("ac");
    await end("a");
    expect(await claim()).toBe("b");
  });

  it("prefers the more important of the tasks with one key, also when they come later", async () => {
    await bench.configure("default", { concurrencyPerKey: 1 });
    await enqueue("ab", { concurrencyKey: "k" });
    await enqueue("c", { concurrencyKey: "k", priority: 5 });
    expect(await claim()).toBe("c");
    await enqueue("d", { concurrencyKey: "k", priority: 9 });
    await end("c");
    expect(await claim()).toBe("d");
    await end("d");
    expect(await claim()).toBe("a");
  });

  it("does not keep a key back in a queue because its other tasks are where they may not start", async () => {
    await bench.start(names({ concurrencyPerKey: 1 }));
    await enqueue("a", { name: "mail", concurrencyKey: "k", queue: "x" });
    await enqueue("b", { name: "mail", concurrencyKey: "k", queue: "y" });
    await bench.configure("x", { isPaused: true });
    expect(await claim()).toBe("b");
  });

  it("lets others with the key start when a waiting one is cancelled, deleted or expires", async () => {
    await bench.configure("default", { concurrencyPerKey: 1 });
    await enqueue("ab", { concurrencyKey: "k" });
    await enqueue("c", { concurrencyKey: "k", expiresAt: birth + 5 });
    await enqueue("d", { concurrencyKey: "k" });
    await bench.cancel("a");
    await bench.delete(["b"]);
    await bench.advance(birth + 5);
    expect(await claim({ now: birth + 5 })).toBe("d");
  });

  it("follows a limit per key that is raised, lowered and taken away", async () => {
    await bench.configure("default", { concurrencyPerKey: 1 });
    await enqueue("abcdef", { concurrencyKey: "k" });
    expect(await claim()).toBe("a");
    await bench.configure("default", { concurrencyPerKey: 3 });
    expect(await claim()).toBe("bc");
    await bench.configure("default", { concurrencyPerKey: 1 });
    await end("a");
    await end("b");
    expect(await claim()).toBe("");
    await end("c");
    expect(await claim()).toBe("d");
    await bench.configure("default", { concurrencyPerKey: null });
    expect(await claim()).toBe("ef");
  });

  it("keeps a limit per key over an opening, with all of it free", async () => {
    await bench.configure("default", { concurrencyPerKey: 1 });
    await enqueue("abc", { concurrencyKey: "k" });
    expect(await claim()).toBe("a");
    await bench.reopen();
    expect(await claim()).toBe("a");
    await end("a");
    await bench.reopen();
    expect(await claim()).toBe("b");
  });

  it("lets the next with a key start when an opening ends the one that ran, or raises the limit", async () => {
    await bench.start(names({ concurrencyPerKey: 1 }));
    await enqueue("a", { name: "mail", concurrencyKey: "k", maxInterruptions: 0 });
    await enqueue("bcd", { name: "mail", concurrencyKey: "k" });
    expect(await claim()).toBe("a");
    await bench.reopen(names({ concurrencyPerKey: 1 }));
    expect(await bench.state("a")).toBe("failed");
    expect(await claim()).toBe("b");
    await bench.reopen(names({ concurrencyPerKey: 2 }));
    expect(await claim()).toBe("bc");
  });

  it("starts no more than a rate limit at once, and as many more in its time, evenly", async () => {
    await bench.configure("default", { rateLimit: { max: 2, perMs: 10 } });
    await enqueue("abcdef");
    expect(await bench.claim()).toMatchObject({ tasks: [{ id: "a" }, { id: "b" }], heldUntil: birth + 5 });
    expect(await claim({ now: birth + 4 })).toBe("");
    expect(await claim({ now: birth + 5 })).toBe("c");
    expect(await claim({ now: birth + 9 })).toBe("");
    expect(await claim({ now: birth + 100 })).toBe("de");
  });

  it("limits the starts of a name over all queues", async () => {
    await bench.start(names({ rateLimit: { max: 1, perMs: 10 } }));
    await enqueue("a", { name: "mail", queue: "x" });
    await enqueue("b", { name: "mail", queue: "y" });
    await enqueue("c", { name: "sum", queue: "y" });
    expect(await claim()).toBe("ac");
    expect(await claim({ now: birth + 10 })).toBe("b");
  });

  it("tells when a rate limit lets the next task start, so that nobody has to ask", async () => {
    await bench.configure("default", { rateLimit: { max: 1, perMs: 10 } });
    await enqueue("ab");
    await bench.claim();
    expect((await bench.storage.nextDue()).advance).toBe(birth + 10);
    expect((await bench.advance(birth + 9)).released).toBe(false);
    expect((await bench.advance(birth + 10)).released).toBe(true);
    expect((await bench.storage.nextDue()).advance).toBeUndefined();
    expect(await claim({ now: birth + 10 })).toBe("b");
    expect((await bench.claim({ now: birth + 10 })).heldUntil).toBeUndefined();
  });

  it("gives no start anew for an opening, a change of the limit, or a clock that was set back", async () => {
    await bench.configure("default", { rateLimit: { max: 2, perMs: 10 } });
    await enqueue("abcdef");
    expect(await claim()).toBe("ab");
    await bench.reopen({ now: birth });
    expect(await claim()).toBe("");
    await bench.configure("default", { rateLimit: { max: 4, perMs: 20 } });
    expect(await claim()).toBe("");
    expect(await claim({ now: birth - 500 })).toBe("");
    expect(await claim({ now: birth + 5 })).toBe("a");
  });

  it("does not count a claim that was given back unstarted as a start", async () => {
    await bench.configure("default", { rateLimit: { max: 1, perMs: 10 } });
    await bench.settle(await bench.running(aTask({ id: "a" })), { to: "ready", cause: "unstarted" });
    expect(await claim()).toBe("a");
    expect(await claim()).toBe("");
  });

  it("keeps all limits of a queue apart, and changes only what is given", async () => {
    const limits = { concurrency: 3, concurrencyPerKey: 2, rateLimit: { max: 5, perMs: 7 }, maxSize: 9 };
    expect(await bench.configure("x", limits)).toEqual({ name: "x", isPaused: false, ...limits });
    const { rateLimit: _rateLimit, ...rest } = limits;
    expect(await bench.configure("x", { rateLimit: null })).toEqual({ name: "x", isPaused: false, ...rest });
    await bench.reopen();
    expect(await bench.storage.queues()).toEqual([{ name: "x", isPaused: false, ...rest }]);
  });

  it("finds the best over hundreds of lanes, claim by claim", async () => {
    const tasks = Array.from({ length: 600 }, (_, n) =>
      aTask({ name: `n${n % 150}`, queue: `q${n % 4}`, priority: n % 7 }),
    );
    await bench.enqueue(...tasks);
    const claimed: string[] = [];
    for (let left = tasks.length; left > 0; left -= 60)
      claimed.push(...idsOf((await bench.claim({ limit: 60 })).tasks));
    expect(claimed).toEqual(idsOf([...tasks].sort((a, b) => b.request.priority - a.request.priority)));
  });
}
