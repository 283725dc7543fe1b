import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { batchMs, Durations, largestBatch, nextBatch, Took } from "../../src/supervisor/batching.ts";
import type { StoredTask } from "../../src/task/task.ts";
import { newLife } from "../../src/task/task.ts";
import { aTask } from "../support/tasks.ts";

interface Candidate {
  readonly task: StoredTask;
  readonly isAwaited: boolean;
}

const stored = (name: string, isAwaited = false): Candidate => {
  const { id, request, args } = aTask({ name });
  return { task: { id, request, args, life: newLife(request) }, isAwaited };
};

const some = (count: number, name: string, isAwaited = false): Candidate[] =>
  Array.from({ length: count }, () => stored(name, isAwaited));

const knowing = (means: Readonly<Record<string, number>>): Durations => {
  const durations = new Durations();
  for (const [name, ms] of Object.entries(means)) durations.learn(name, ms);
  return durations;
};

describe("the next batch", () => {
  test("holds one task of which nothing is known", () => {
    expect(nextBatch(some(5, "new"), 0, new Durations())).toEqual({ size: 1, estimateMs: 4 });
  });

  test("holds as many as take the time of a batch together", () => {
    const durations = knowing({ quick: batchMs.others / 8 });
    expect(nextBatch(some(50, "quick"), 0, durations)).toEqual({ size: 8, estimateMs: batchMs.others });
  });

  test("is shorter where somebody waits for one of its tasks", () => {
    const durations = knowing({ quick: batchMs.awaited / 4 });
    expect(nextBatch(some(50, "quick", true), 0, durations)).toEqual({ size: 4, estimateMs: batchMs.awaited });
    expect(nextBatch([...some(2, "quick"), ...some(20, "quick", true)], 0, durations).size).toBe(4);
  });

  test("ends before a task of which nothing is known", () => {
    expect(nextBatch([...some(3, "quick"), ...some(2, "new")], 0, knowing({ quick: 0.1 })).size).toBe(3);
  });

  test("holds no more than it may", () => {
    expect(nextBatch(some(50, "quick"), 0, knowing({ quick: 0.1 }), 3).size).toBe(3);
  });

  test("never holds more than the largest batch", () => {
    expect(nextBatch(some(1_000, "nothing"), 0, knowing({ nothing: 0 })).size).toBe(largestBatch);
  });

  test("holds one long task alone", () => {
    const durations = knowing({ quick: 0.01, long: 40 });
    const tasks = [...some(3, "quick"), stored("long"), ...some(3, "quick")];

    expect(nextBatch(tasks, 0, durations).size).toBe(3);
    expect(nextBatch(tasks, 3, durations)).toEqual({ size: 1, estimateMs: 40 });
    expect(nextBatch(tasks, 4, durations).size).toBe(3);
  });

  test("has at least one task, and more than one only within the time of a batch", () => {
    const durations = fc.array(fc.double({ min: 0, max: 25, noNaN: true }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(durations, (all) => {
        const known = new Durations();
        const tasks = all.map((ms, index) => {
          known.learn(`task-${index}`, ms);
          return stored(`task-${index}`);
        });
        const { size, estimateMs } = nextBatch(tasks, 0, known);
        expect(size).toBeGreaterThanOrEqual(1);
        expect(size).toBeLessThanOrEqual(largestBatch);
        if (size > 1) expect(estimateMs).toBeLessThanOrEqual(batchMs.others);
        // One more would not have fitted.
        if (size < Math.min(all.length, largestBatch)) {
          expect(estimateMs + (all[size] ?? 0)).toBeGreaterThan(batchMs.others);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe("durations", () => {
  test("begin with the first that is seen, and follow later ones by a fifth", () => {
    const durations = knowing({ task: 10 });
    expect(durations.of("task")).toBe(10);

    durations.learn("task", 20);

    expect(durations.of("task")).toBe(12);
    expect(durations.of("another")).toBeUndefined();
  });

  test("are kept by name", () => {
    expect(knowing({ one: 10, other: 30 }).of("other")).toBe(30);
  });

  test("give a typical batch of one at first, of many once tasks are seen to be short, of one again when not", () => {
    const durations = new Durations();
    expect(durations.typicalBatch()).toBe(1);

    for (let seen = 0; seen < 100; seen++) durations.learn("short", 0);
    expect(durations.typicalBatch()).toBe(largestBatch);

    for (let seen = 0; seen < 100; seen++) durations.learn("long", 50);
    expect(durations.typicalBatch()).toBe(1);
  });
});

test("what is reported together counts by its mean, so that one task that was kept waiting does not count for all", () => {
  const took = new Took();
  for (let n = 0; n < 99; n++) took.add("quick", 0.01);
  took.add("quick", 4.01);
  took.add("long", 30);

  expect([...took.means()]).toEqual([
    { name: "quick", meanMs: expect.closeTo(0.05, 6) as number, count: 100 },
    { name: "long", meanMs: 30, count: 1 },
  ]);
});
