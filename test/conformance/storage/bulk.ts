import { expect, it } from "vitest";
import type { NewTask } from "../../../src/storage/storage.ts";
import type { StoredTask } from "../../../src/task/task.ts";
import { aRequest, birth, someBytes } from "../../support/tasks.ts";
import { idsOf, someSettings, type Bench } from "./bench.ts";

/** Tasks of one call, as our own client makes them: one request, rising UUIDs. */
let made = 0;
function someTasks(count: number, args: (index: number) => Uint8Array = (index) => someBytes(index % 256)): NewTask[] {
  const request = aRequest();
  return Array.from({ length: count }, (_, index) => {
    made += 1;
    return { id: `01900000-0000-7000-9000-${made.toString(16).padStart(12, "0")}`, request, args: args(index) };
  });
}

/** What is the same for every storage where tasks come in bulk, however a storage may pack them. */
export function bulk(bench: Bench): void {
  const settleAll = (tasks: readonly StoredTask[], now = birth): Promise<unknown> =>
    bench.storage.commit([
      {
        type: "settle",
        now,
        settlements: tasks.map(({ id, life }, index) => ({
          id,
          fence: { epoch: bench.epoch, attempt: life.attempt },
          end: { to: "completed", result: someBytes(index % 256) },
          startedAt: now,
          durationMs: 1,
          workerId: "thread-1",
        })),
      },
    ]);

  it("keeps thousands of one call in their order, with their arguments", async () => {
    const tasks = someTasks(1_300);
    await bench.enqueue(...tasks);
    const claimed: StoredTask[] = [];
    for (let limit = 1; claimed.length < 1_300; limit *= 2) claimed.push(...(await bench.claim({ limit })).tasks);
    expect(idsOf(claimed)).toEqual(idsOf(tasks));
    expect(claimed.map(({ args }) => [...args])).toEqual(tasks.map(({ args }) => [...args]));
  });

  it("finds tasks of lists whose ids lie between each other", async () => {
    const [one, two, three, four] = someTasks(4) as [NewTask, NewTask, NewTask, NewTask];
    await bench.storage.commit([
      { type: "enqueue", tasks: [one, three] },
      { type: "enqueue", tasks: [two, four] },
    ]);
    const found = await bench.storage.get(idsOf([one, two, three, four]));
    expect(found.map((task) => task?.id)).toEqual(idsOf([one, two, three, four]));
    expect(idsOf(await bench.all())).toEqual(idsOf([one, two, three, four]));
  });

  it("keeps large results of neighbours apart", async () => {
    const tasks = someTasks(6);
    await bench.enqueue(...tasks);
    const { tasks: running } = await bench.claim();
    const settlements = running.map(({ id, life }, index) => ({
      id,
      fence: { epoch: bench.epoch, attempt: life.attempt },
      end: { to: "completed" as const, result: new Uint8Array(40_000).fill(index) },
    }));
    await bench.storage.commit([{ type: "settle", now: birth, settlements }]);
    const results = await Promise.all(idsOf(tasks).map((id) => bench.storage.result(id)));
    expect(results.map((result) => [result?.length, result?.[0]])).toEqual(tasks.map((_, index) => [40_000, index]));
  });

  it("keeps large and empty arguments side by side", async () => {
    const sizes = [0, 70_000, 0, 30_000, 40_000, 5, 200_000];
    const tasks = someTasks(sizes.length, (index) => new Uint8Array(sizes[index] ?? 0).fill(index));
    await bench.enqueue(...tasks);
    const { tasks: claimed } = await bench.claim();
    expect(claimed.map(({ args }) => args.length)).toEqual(sizes);
  });

  it("settles together what was claimed in turns, and takes back the rest at the next opening", async () => {
    const tasks = someTasks(10);
    await bench.enqueue(...tasks);
    const first = await bench.claim({ limit: 4 });
    const second = await bench.claim({ limit: 4 });
    await settleAll([...first.tasks.slice(2), ...second.tasks.slice(0, 2)]);
    expect((await bench.reopen()).interrupted).toBe(4);
    const states = (await bench.storage.get(idsOf(tasks))).map((task) => task?.life.state);
    const isCompleted = (index: number): boolean => index >= 2 && index < 6;
    expect(states).toEqual(tasks.map((_, index) => (isCompleted(index) ? "completed" : "ready")));
    const { tasks: again } = await bench.claim();
    expect(again.map(({ life }) => life.interruptions)).toEqual([1, 1, 1, 1, 0, 0]);
  });

  it("takes one out of the middle, whatever it does", async () => {
    for (const at of [0, 3, 4, 7, 8, 11]) {
      const tasks = someTasks(12);
      await bench.enqueue(...tasks);
      const { tasks: running } = await bench.claim({ limit: 8 });
      await settleAll(running.slice(0, 4));
      const id = tasks[at]?.id ?? "";
      await bench.delete([id], { force: true });
      const left = tasks.filter((task) => task.id !== id);
      expect(idsOf((await bench.all()).filter((task) => tasks.some((mine) => mine.id === task.id)))).toEqual(
        idsOf(left),
      );
      const rest = await bench.claim();
      expect(idsOf(rest.tasks)).toEqual(idsOf(left.filter((task) => tasks.indexOf(task) >= 8)));
      await settleAll([...running.slice(4), ...rest.tasks]);
      const states = (await bench.storage.get(idsOf(left))).map((task) => task?.life.state);
      expect(new Set(states)).toEqual(new Set(["completed"]));
    }
  });

  it("does not bring back a task that was deleted while it ran", async () => {
    const tasks = someTasks(5);
    await bench.enqueue(...tasks);
    await bench.claim();
    await bench.delete([tasks[2]?.id ?? ""], { force: true });
    expect((await bench.reopen()).interrupted).toBe(4);
    expect(idsOf(await bench.all())).toEqual(idsOf(tasks.filter((_, index) => index !== 2)));
  });

  it("does not bring back what completed and was forgotten while a neighbour ran", async () => {
    const tasks = someTasks(5);
    await bench.enqueue(...tasks);
    const { tasks: running } = await bench.claim();
    await settleAll(running.slice(1));
    const now = birth + someSettings.retention.completedMs + 1;
    await bench.storage.commit([{ type: "prune", now, limit: 1_000 }]);
    expect((await bench.reopen()).interrupted).toBe(1);
    expect(idsOf(await bench.all())).toEqual(idsOf(tasks.slice(0, 1)));
  });

  it("keeps the numbers of what is stored, and of what has ended, in bulk", async () => {
    const tasks = someTasks(600);
    await bench.enqueue(...tasks);
    const { tasks: running } = await bench.claim({ limit: 550 });
    await settleAll(running);
    const { queues, totals } = await bench.storage.counts();
    expect(queues.get("default")).toEqual({ ready: 50, completed: 550 });
    expect(totals).toMatchObject({ enqueued: 600, completed: 550 });
  });
}
