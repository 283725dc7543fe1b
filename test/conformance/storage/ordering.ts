import { expect, it } from "vitest";
import type { TaskRequest } from "../../../src/task/task.ts";
import { aTask, birth } from "../../support/tasks.ts";
import { type Bench, idsOf, noTallies } from "./bench.ts";

/** Tasks with one ordering key run in order, one at a time. */
export function ordering(bench: Bench): void {
  const enqueue = (ids: string, given: Partial<TaskRequest> = {}) =>
    bench.enqueue(...Array.from(ids).map((id) => aTask({ id, orderingKey: "k", ...given })));
  const claim = async (now = birth) => idsOf((await bench.claim({ now })).tasks).join("");
  const taskOf = async (id: string) => {
    const [task] = await bench.storage.get([id]);
    if (task === undefined) throw new Error(`There is no task ${id}.`);
    return task;
  };

  it("gives one at a time, in the order of enqueueing, whatever their priorities and names", async () => {
    await enqueue("a");
    await enqueue("b", { priority: 9, name: "other" });
    await enqueue("c", { executor: "process" });
    const order = [await claim()];
    for (const id of "abc") {
      await bench.complete(await taskOf(id));
      order.push(await claim());
    }
    expect(order).toEqual(["a", "b", "c", ""]);
  });

  it("keeps keys, and queues, apart", async () => {
    await enqueue("ab");
    await enqueue("cd", { orderingKey: "l" });
    await enqueue("ef", { queue: "other" });
    await bench.enqueue(aTask({ id: "g" }));
    expect(await claim()).toBe("aceg");
  });

  it("keeps the others waiting while the first is retried, interrupted, scheduled or parked", async () => {
    await enqueue("a", { runAt: birth + 5 });
    await enqueue("b");
    expect(await claim()).toBe("");
    await bench.advance(birth + 5);
    expect(await claim(birth + 5)).toBe("a");
    await bench.retry(await taskOf("a"), birth + 9);
    expect(await claim(birth + 5)).toBe("");
    await bench.advance(birth + 9);
    expect(await claim(birth + 9)).toBe("a");
    await bench.settle(await taskOf("a"), { to: "ready", cause: "interrupted", ...noTallies, interruptions: 1 });
    expect(await claim(birth + 9)).toBe("a");
    await bench.settle(await taskOf("a"), { to: "ready", cause: "parked" });
    expect(await claim(birth + 9)).toBe("");
    await bench.storage.commit([{ type: "unpark", handler: "greet", limit: 9 }]);
    expect(await claim(birth + 9)).toBe("a");
  });

  it("goes on when the first has failed, was cancelled, expired or was deleted", async () => {
    await enqueue("ab");
    await enqueue("c", { expiresAt: birth + 5 });
    await enqueue("de");
    await claim();
    await bench.fail(await taskOf("a"));
    await bench.cancel("b");
    expect(await claim(birth + 5)).toBe("d");
    expect(await bench.state("c")).toBe("expired");
    await bench.delete(["d"], { force: true });
    expect(await claim()).toBe("e");
  });

  it("puts a requeued task back to its place, behind one that runs", async () => {
    await enqueue("abc");
    await claim();
    await bench.fail(await taskOf("a"));
    expect(await claim()).toBe("b");
    await bench.requeue(["a"]);
    expect(await claim()).toBe("");
    await bench.complete(await taskOf("b"));
    expect(await claim()).toBe("a");
    await bench.complete(await taskOf("a"));
    expect(await claim()).toBe("c");
  });

  it("puts a task that is replaced at the end", async () => {
    await enqueue("a", { dedupeKey: "d" });
    await enqueue("b");
    await bench.enqueue(aTask({ id: "x", orderingKey: "k", dedupeKey: "d", onConflict: "replace" }));
    expect(await claim()).toBe("b");
    await bench.complete(await taskOf("b"));
    expect(await claim()).toBe("a");
  });

  it("keeps the order over an opening, with one that ran first", async () => {
    await enqueue("abc");
    await claim();
    await bench.complete(await taskOf("a"));
    expect(await claim()).toBe("b");
    await bench.reopen();
    expect(await claim()).toBe("b");
    await bench.complete(await taskOf("b"));
    expect(await claim()).toBe("c");
  });

  it("lets the next start when an opening ends the one that ran", async () => {
    await enqueue("a", { maxInterruptions: 0 });
    await enqueue("b");
    await claim();
    await bench.reopen();
    expect(await bench.state("a")).toBe("failed");
    expect(await claim()).toBe("b");
  });

  it("goes with limits per key", async () => {
    await bench.configure("default", { concurrencyPerKey: 1 });
    await enqueue("ab", { concurrencyKey: "p" });
    await enqueue("cd", { orderingKey: "l", concurrencyKey: "p" });
    expect(await claim()).toBe("a");
    await bench.complete(await taskOf("a"));
    expect(await claim()).toBe("b");
    await bench.complete(await taskOf("b"));
    expect(await claim()).toBe("c");
  });

  it("claims as fast with ten thousand behind the first as with none", async () => {
    const many = Array.from({ length: 10_000 }, () => aTask({ orderingKey: "k", priority: 5 }));
    await bench.enqueue(...many);
    await enqueue("z", { orderingKey: "l" });
    expect(idsOf((await bench.claim()).tasks)).toEqual([many[0]?.id, "z"]);
    const start = performance.now();
    for (let turn = 0; turn < 20; turn++) await bench.claim();
    expect(performance.now() - start).toBeLessThan(1_000);
  });
}
