import { expect, it } from "vitest";
import type { Limits } from "../../../src/storage/storage.ts";
import type { TaskRequest } from "../../../src/task/task.ts";
import { aTask, birth } from "../../support/tasks.ts";
import { type Bench, idsOf } from "./bench.ts";

/** Rate limits that count per key. */
export function pacing(bench: Bench): void {
  const rateLimit = { max: 2, perMs: 10, perKey: true };
  const enqueue = (ids: string, given: Partial<TaskRequest> = {}) =>
    bench.enqueue(...Array.from(ids).map((id) => aTask({ id, ...given })));
  const claim = async (given: Parameters<Bench["claim"]>[0] = {}) => idsOf((await bench.claim(given)).tasks).join("");
  const names = (limits: Limits) => ({ names: new Map([["mail", limits]]) });

  it("starts no more with one key than the limit, evenly, and none of them holds up another key", async () => {
    await bench.configure("default", { rateLimit });
    await enqueue("abcd", { concurrencyKey: "k" });
    await enqueue("ef", { concurrencyKey: "l" });
    await enqueue("ghi");
    expect(await claim()).toBe("abefghi");
    expect(await claim({ now: birth + 4 })).toBe("");
    expect(await claim({ now: birth + 5 })).toBe("c");
    expect(await claim({ now: birth + 9 })).toBe("");
    expect(await claim({ now: birth + 10 })).toBe("d");
  });

  it("limits the starts of a name with one key over all queues", async () => {
    await bench.start(names({ rateLimit: { ...rateLimit, max: 1 } }));
    await enqueue("a", { name: "mail", concurrencyKey: "k", queue: "x" });
    await enqueue("b", { name: "mail", concurrencyKey: "k", queue: "y" });
    await enqueue("c", { name: "sum", concurrencyKey: "k", queue: "y" });
    expect(await claim()).toBe("ac");
    expect(await claim({ now: birth + 10 })).toBe("b");
  });

  it("prefers the more important of the tasks that wait for their key", async () => {
    await bench.configure("default", { rateLimit: { ...rateLimit, max: 1 } });
    await enqueue("abc", { concurrencyKey: "k" });
    expect(await claim()).toBe("a");
    await enqueue("d", { concurrencyKey: "k", priority: 5 });
    expect(await claim({ now: birth + 10 })).toBe("d");
    expect(await claim({ now: birth + 20 })).toBe("b");
  });

  it("tells when the next of a key may start, so that nobody has to ask", async () => {
    await bench.configure("default", { rateLimit: { ...rateLimit, max: 1 } });
    await enqueue("ab", { concurrencyKey: "k" });
    expect(await bench.claim()).toMatchObject({ tasks: [{ id: "a" }], heldUntil: birth + 10 });
    expect((await bench.storage.nextDue()).advance).toBe(birth + 10);
    expect((await bench.advance(birth + 9)).released).toBe(false);
    expect((await bench.advance(birth + 10)).released).toBe(true);
    expect((await bench.storage.nextDue()).advance).toBeUndefined();
    expect(await claim({ now: birth + 10 })).toBe("b");
    expect((await bench.claim({ now: birth + 10 })).heldUntil).toBeUndefined();
  });

  it("tells of each key by itself", async () => {
    await bench.configure("default", { rateLimit: { ...rateLimit, max: 1 } });
    await enqueue("ab", { concurrencyKey: "k" });
    expect(await claim()).toBe("a");
    await enqueue("cd", { concurrencyKey: "l" });
    expect(await bench.claim({ now: birth + 4 })).toMatchObject({ tasks: [{ id: "c" }], heldUntil: birth + 10 });
    expect(await bench.claim({ now: birth + 10 })).toMatchObject({ tasks: [{ id: "b" }], heldUntil: birth + 14 });
    expect(await claim({ now: birth + 14 })).toBe("d");
  });

  it("gives no start anew for an opening, and lets the others start in time after it", async () => {
    await bench.configure("default", { rateLimit });
    await enqueue("abcd", { concurrencyKey: "k" });
    const { tasks } = await bench.claim();
    for (const task of tasks) await bench.complete(task);
    await bench.reopen({ now: birth });
    expect(await claim()).toBe("");
    expect((await bench.storage.nextDue()).advance).toBe(birth + 5);
    expect(await claim({ now: birth + 5 })).toBe("c");
  });

  it("holds back nothing when the limit is gone at the next opening", async () => {
    await bench.start(names({ rateLimit: { max: 1, perMs: 100_000, perKey: true } }));
    await enqueue("abc", { name: "mail", concurrencyKey: "k" });
    await bench.complete(await bench.claimOne());
    expect(await claim()).toBe("");
    await bench.reopen();
    expect(await claim()).toBe("bc");
  });

  it("follows a limit that is raised, lowered and taken away", async () => {
    await bench.configure("default", { rateLimit: { max: 1, perMs: 100, perKey: true } });
    await enqueue("abcdef", { concurrencyKey: "k" });
    expect(await claim()).toBe("a");
    await bench.configure("default", { rateLimit: { max: 10, perMs: 100, perKey: true } });
    expect(await claim({ now: birth + 20 })).toBe("bc");
    await bench.configure("default", { rateLimit: { max: 1, perMs: 100, perKey: true } });
    expect(await claim({ now: birth + 30 })).toBe("");
    await bench.configure("default", { rateLimit: null });
    expect(await claim({ now: birth + 30 })).toBe("def");
  });

  it("holds back no longer than a limit that was raised says", async () => {
    await bench.configure("default", { rateLimit: { max: 1, perMs: 100, perKey: true } });
    await enqueue("ab", { concurrencyKey: "k" });
    expect(await claim()).toBe("a");
    await bench.configure("default", { rateLimit: { max: 2, perMs: 100, perKey: true } });
    expect(await bench.claim({ now: birth + 10 })).toMatchObject({ tasks: [], heldUntil: birth + 50 });
    expect(await claim({ now: birth + 50 })).toBe("b");
  });

  it("does not count a claim that was given back unstarted as a start", async () => {
    await bench.configure("default", { rateLimit: { ...rateLimit, max: 1 } });
    await enqueue("ab", { concurrencyKey: "k" });
    const task = await bench.claimOne();
    expect(await claim()).toBe("");
    await bench.settle(task, { to: "ready", cause: "unstarted" });
    expect(await claim()).toBe("a");
    expect(await claim()).toBe("");
  });

  it("joins with a limit on how many run", async () => {
    await bench.configure("default", { rateLimit, concurrencyPerKey: 1 });
    await enqueue("abcd", { concurrencyKey: "k" });
    const first = await bench.claimOne();
    expect(await claim({ now: birth + 100 })).toBe("");
    await bench.complete(first, birth + 100);
    const second = await bench.claimOne({ now: birth + 100 });
    await bench.complete(second, birth + 100);
    const third = await bench.claimOne({ now: birth + 100 });
    await bench.complete(third, birth + 100);
    expect([first.id, second.id, third.id]).toEqual(["a", "b", "c"]);
    expect(await claim({ now: birth + 104 })).toBe("");
    expect(await claim({ now: birth + 105 })).toBe("d");
  });
}
