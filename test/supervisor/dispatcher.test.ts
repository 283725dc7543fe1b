import { describe, expect, test } from "vitest";
import { batchMs, largestBatch } from "../../src/supervisor/batching.ts";
import type { NewTask } from "../../src/storage/storage.ts";
import { aTask } from "../support/tasks.ts";
import { TestSupervisor } from "./test-supervisor.ts";

const durations: Readonly<Record<string, number>> = {
  short: batchMs.awaited / largestBatch / 2,
  long: 40,
  greet: batchMs.awaited / 4,
  other: 0,
};

/** Workers that take as long as the name says; the dispatcher has seen each of the names given. */
async function acquaintedWith(
  names: readonly string[],
  threads = 1,
  changed: Record<string, number> = {},
): Promise<TestSupervisor> {
  const now = { ...durations };
  const supervisor = await TestSupervisor.start({
    threads,
    behave: ({ request }) => ({ durationMs: now[request.name] ?? Infinity }),
  });
  for (const name of names) {
    await supervisor.enqueue(...some(30, name));
    await supervisor.advance(2_000);
  }
  Object.assign(now, changed);
  supervisor.executor.batches.splice(0);
  supervisor.executor.starts.splice(0);
  supervisor.listener.outcomes.splice(0);
  return supervisor;
}

const some = (count: number, name: string): NewTask[] => Array.from({ length: count }, () => aTask({ name }));

const sizes = ({ executor }: TestSupervisor): number[] => executor.batches.map(({ length }) => length);

describe("batches", () => {
  test("hold one task while nothing is known of its name", async () => {
    const supervisor = await TestSupervisor.start();
    await supervisor.enqueue(...some(3, "short"));

    expect(sizes(supervisor)).toEqual([1, 1]);
  });

  test("of short tasks grow to hundreds", async () => {
    const supervisor = await acquaintedWith(["short"]);

    await supervisor.enqueue(...some(4 * largestBatch, "short"));
    await supervisor.advance(100);

    expect(Math.max(...sizes(supervisor))).toBeGreaterThanOrEqual(100);
    expect(Math.max(...sizes(supervisor))).toBeLessThanOrEqual(largestBatch);
    expect(supervisor.listener.outcomes).toHaveLength(4 * largestBatch);
  });

  test("of tasks that take a quarter of the time of a batch hold four", async () => {
    const supervisor = await acquaintedWith(["greet"]);

    await supervisor.enqueue(...some(40, "greet"));
    await supervisor.advance(100);

    expect(Math.max(...sizes(supervisor))).toBe(4);
  });

  test("of long tasks hold one, also between short ones", async () => {
    const supervisor = await acquaintedWith(["short", "long"]);
    const [before, long, after] = [some(5, "short"), some(1, "long"), some(5, "short")];

    await supervisor.enqueue(...before, ...long, ...after);
    await supervisor.advance(500);

    expect(supervisor.executor.batches).toContainEqual(long.map(({ id }) => id));
    expect(supervisor.listener.outcomes).toHaveLength(11);
  });

  test("become small when tasks become long", async () => {
    const supervisor = await acquaintedWith(["short"], 1, { short: 5 });
    await supervisor.enqueue(...some(200, "short"));
    await supervisor.advance(3_000);
    expect(sizes(supervisor)[0]).toBeGreaterThan(50);
    supervisor.executor.batches.splice(0);

    await supervisor.enqueue(...some(10, "short"));
    await supervisor.advance(3_000);

    expect(sizes(supervisor)).toEqual(Array.from({ length: 10 }, () => 1));
    expect(supervisor.listener.outcomes).toHaveLength(210);
  });
});

describe("a second batch for a worker", () => {
  test("is given while both are short", async () => {
    const supervisor = await acquaintedWith(["greet"]);
    await supervisor.enqueue(...some(20, "greet"));

    expect(sizes(supervisor)).toHaveLength(2);
  });

  test("does not begin before a long task has ended", async () => {
    const supervisor = await acquaintedWith(["short", "long"]);
    await supervisor.enqueue(...some(1, "long"));
    await supervisor.enqueue(...some(5, "short"));
    await supervisor.advance(30);

    expect(supervisor.executor.starts).toHaveLength(1);
    await supervisor.advance(30);
    expect(supervisor.executor.starts).toHaveLength(6);
  });

  test("goes to another worker when that one is free first", async () => {
    const supervisor = await acquaintedWith(["long"], 2);
    supervisor.executor.behave = ({ id }) => ({ durationMs: id === "longer" ? 400 : 40 });
    await supervisor.enqueue(aTask({ id: "longer", name: "long" }), ...some(4, "long"));

    await supervisor.advance(161);

    // One after the other, though two of them were given to the worker that is held.
    expect(supervisor.listener.outcomes).toHaveLength(4);
  });

  test("is shared with a worker that is free, once and not again and again", async () => {
    const supervisor = await acquaintedWith(["short"], 2, { short: 0.1 });
    const tasks = some(400, "short");
    await supervisor.enqueue(...tasks);
    await supervisor.advance(40);

    expect(supervisor.listener.outcomes).toHaveLength(400);
    expect(supervisor.executor.batches.length).toBeLessThan(40);
  });

  test("makes way for a task of higher priority", async () => {
    const supervisor = await acquaintedWith(["long"], 2);
    const urgent = aTask({ name: "long", priority: 1 });
    await supervisor.enqueue(...some(20, "long"));
    await supervisor.advance(10);

    await supervisor.enqueue(urgent);
    await supervisor.advance(31);

    expect(supervisor.startsOf(urgent.id)).toHaveLength(1);
  });

  test("is given to the worker that is free when another is held by a long task", async () => {
    const supervisor = await acquaintedWith(["short", "long"], 2);
    await supervisor.enqueue(...some(1, "long"));
    await supervisor.enqueue(...some(50, "short"));

    await supervisor.advance(20);

    expect(supervisor.listener.outcomes).toHaveLength(50);
  });
});

describe("a batch that is stuck", () => {
  test("is taken back 10 ms after it was given, and its rest runs elsewhere", async () => {
    // The first of the batch takes far longer than was learned.
    const supervisor = await acquaintedWith(["short"], 2);
    const rest = some(20, "short");
    let isFirst = true;
    const { behave } = supervisor.executor;
    supervisor.executor.behave = (task) => {
      const isStuck = isFirst && task.request.name === "short";
      isFirst = false;
      return isStuck ? { durationMs: 500 } : behave(task);
    };
    await supervisor.enqueue(...rest);

    await supervisor.advance(9.9);
    expect(supervisor.executor.revocations).toBe(0);
    await supervisor.advance(0.1);
    expect(supervisor.executor.revocations).toBeGreaterThan(0);
    await supervisor.advance(2);

    expect(supervisor.listener.outcomes).toHaveLength(19);
    expect(
      supervisor.executor.starts.filter(({ worker }) => worker === supervisor.executor.starts[0]?.worker),
    ).toHaveLength(1);
  });

  test("takes along what waits behind it, so that it is not passed", async () => {
    const supervisor = await acquaintedWith(["short"], 2, { short: 300 });
    await supervisor.enqueue(...some(2, "short"));
    await supervisor.advance(6);
    const next = some(2, "short");
    await supervisor.enqueue(...next);

    await supervisor.advance(4);
    expect(supervisor.executor.revocations).toBe(3);
    await supervisor.advance(291);

    expect(supervisor.executor.starts.slice(2).map(({ id }) => id)).toEqual(next.map(({ id }) => id));
  });

  test("has its rest run as soon as any worker is free", async () => {
    const supervisor = await acquaintedWith(["short"], 2);
    const [held, rest] = [aTask({ id: "held", name: "short" }), some(5, "short")];
    supervisor.executor.behave = ({ id, request }) => ({
      durationMs: id === "held" ? 1_000 : request.name === "long" ? 40 : 0.005,
    });
    await supervisor.enqueue(aTask({ name: "long" }));
    await supervisor.enqueue(held, ...rest);

    await supervisor.advance(41);

    for (const { id } of rest) expect(supervisor.listener.of(id)).toMatchObject([{ state: "completed" }]);
  });

  test("lets a task of which nothing is known run elsewhere, too", async () => {
    const supervisor = await TestSupervisor.start({
      threads: 2,
      behave: ({ id }) => ({ durationMs: id === "endless" ? Infinity : 1 }),
    });
    // Two for each worker; one worker never comes to its second.
    await supervisor.enqueue(aTask({ id: "endless" }), ...some(3, "greet"), ...some(5, "other"));

    await supervisor.advance(50);

    expect(supervisor.listener.outcomes).toHaveLength(8);
  });

  test("has nothing put behind it any more once it was taken back", async () => {
    const behave = ({ request }: { request: { name: string } }): { durationMs: number } => ({
      durationMs: request.name === "greet" ? Infinity : 8,
    });
    const supervisor = await TestSupervisor.start({ threads: 3, behave });
    await supervisor.enqueue(...some(2, "greet"));
    await supervisor.advance(20);
    expect(supervisor.executor.revocations).toBe(2);

    await supervisor.enqueue(...some(3, "other"));
    await supervisor.advance(25);

    // All of them went through the worker that is free.
    expect(supervisor.executor.starts.map(({ worker }) => worker)).toEqual([0, 1, 2, 2, 2]);
  });

  test("is not given again and again to workers that are all held", async () => {
    const supervisor = await TestSupervisor.start({ threads: 2, behave: () => ({ durationMs: Infinity }) });
    await supervisor.enqueue(...some(10, "greet"));

    await supervisor.advance(10_000);

    expect(supervisor.executor.batches.length).toBeLessThanOrEqual(4);
    expect(supervisor.executor.starts).toHaveLength(2);
  });
});

describe("a task whose time to live ends while it is claimed", () => {
  test("expires instead of being started, and its place is used", async () => {
    const supervisor = await acquaintedWith(["long"]);
    const expiresAt = supervisor.clock.now() + 30;
    const late = Array.from({ length: 8 }, () => aTask({ name: "long", expiresAt }));
    const last = aTask({ name: "long" });

    await supervisor.enqueue(aTask({ name: "long" }), ...late, last);
    await supervisor.advance(200);

    expect(supervisor.executor.starts).toHaveLength(2);
    for (const { id } of late) expect(supervisor.listener.of(id)).toMatchObject([{ state: "expired" }]);
    expect(supervisor.listener.of(last.id)).toMatchObject([{ state: "completed" }]);
  });

  test("does not keep the dispatcher from asking for more, though nothing else is there", async () => {
    const supervisor = await TestSupervisor.start({ latencyMs: 10 });
    await supervisor.advance(50);
    const expiresAt = supervisor.clock.now() + 5;
    // They are over when their claim is on disk.
    await supervisor.enqueue(aTask({ expiresAt }), aTask({ expiresAt }), aTask({ expiresAt }));
    const last = aTask();
    await supervisor.enqueue(last);
    await supervisor.advance(200);

    expect(supervisor.executor.starts.map(({ id }) => id)).toEqual([last.id]);
  });
});

describe("an idle dispatcher", () => {
  test("has no timer", async () => {
    const supervisor = await TestSupervisor.start({ retention: { completedMs: 1e13, failedMs: 1e13, eventsMs: 1e13 } });
    await supervisor.enqueue(...some(10, "greet"));
    await supervisor.advance(1_000);

    // Those of the sweeper and of asks are far away.
    expect(supervisor.clock.next() ?? Infinity).toBeGreaterThan(1e11);
  });
});

describe("a batch that the executor refuses", () => {
  async function refusing(times: number) {
    const supervisor = await TestSupervisor.start();
    const seen = { refusals: 0 };
    supervisor.executor.beforeRun = () => {
      if (seen.refusals >= times) return;
      seen.refusals++;
      throw new Error("refused");
    };
    return { supervisor, seen };
  }

  test("is given again, and crashes nothing", async () => {
    const { supervisor } = await refusing(1);
    const tasks = some(5, "greet");
    await supervisor.enqueue(...tasks);
    await supervisor.advance(2_000);

    expect(supervisor.crashes).toEqual([]);
    expect(supervisor.listener.outcomes.map(({ state }) => state)).toEqual(tasks.map(() => "completed"));
  });

  test("is not given again and again at once", async () => {
    const { supervisor, seen } = await refusing(Infinity);
    await supervisor.enqueue(...some(5, "greet"));
    await supervisor.advance(10_000);

    expect(seen.refusals).toBeGreaterThan(5);
    expect(seen.refusals).toBeLessThanOrEqual(11 * supervisor.executor.slots);
  });

  test("is cancelled when one asks for that", async () => {
    const { supervisor } = await refusing(Infinity);
    const [task] = some(1, "greet") as [NewTask];
    await supervisor.enqueue(task);
    const cancelled = supervisor.cancel([task.id], "signal");
    await supervisor.advance(2_000);

    expect(await cancelled).toEqual([true]);
    expect(supervisor.listener.outcomes.map(({ state }) => state)).toEqual(["cancelled"]);
  });
});
