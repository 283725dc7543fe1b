import fc from "fast-check";
import { expect, test } from "vitest";
import type { Restart, Strategy, SupervisorSpec } from "../../src/actor/supervision.ts";
import type { NotebookMessage } from "./test-tree.ts";
import { child, errorOf, gate, notebook, oneForOne, startTree } from "./test-tree.ts";

const namesOf = (count: number): string[] => Array.from({ length: count }, (_, index) => `child ${index}`);
const starts = (names: readonly string[]): string[] => names.map((name) => `${name} starts`);
const stops = (names: readonly string[]): string[] => names.toReversed().map((name) => `${name} stops`);

/** A start and a stop that take some promise steps. */
const slowly = (journal: string[], what: string, steps: number) => async (): Promise<object> => {
  for (let i = 0; i < steps; i++) await Promise.resolve();
  journal.push(what);
  return {};
};

const slowNotebook = (journal: string[], name: string, steps: number) =>
  notebook(journal, {
    start: slowly(journal, `${name} starts`, steps),
    stop: slowly(journal, `${name} stops`, steps) as () => Promise<never>,
  });

test("children start top to bottom and stop bottom to top, one after another, however long each takes", async () => {
  const steps = fc.array(fc.nat({ max: 5 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(steps, fc.integer(), async (stepsOf, seed) => {
      const journal: string[] = [];
      const names = namesOf(stepsOf.length);
      const children = names.map((name, index) => child(name, slowNotebook(journal, name, stepsOf[index] ?? 0)));
      const { tree, settle } = startTree(oneForOne(...children), seed);
      await settle();
      await tree.started;
      expect(journal.splice(0)).toEqual(starts(names));

      void tree.stop();
      await settle();

      expect(journal).toEqual(stops(names));
    }),
  );
});

test("a crash stops and starts exactly the children of its strategy, in order", async () => {
  const runs = fc.integer({ min: 1, max: 6 }).chain((count) =>
    fc.record({
      count: fc.constant(count),
      crashed: fc.nat({ max: count - 1 }),
      strategy: fc.constantFrom<Strategy>("oneForOne", "oneForAll", "restForOne"),
      seed: fc.integer(),
    }),
  );
  await fc.assert(
    fc.asyncProperty(runs, async ({ count, crashed, strategy, seed }) => {
      const journal: string[] = [];
      const names = namesOf(count);
      const children = names.map((name) => child(name, notebook(journal)));
      const { tree, settle } = startTree({ strategy, maxRestarts: 1, perMs: 1_000, children }, seed);
      await settle();
      journal.length = 0;

      tree.ref<NotebookMessage>(names[crashed] ?? "").tell({ type: "crash" });
      await settle();

      const affected = {
        oneForOne: names.slice(crashed, crashed + 1),
        oneForAll: names,
        restForOne: names.slice(crashed),
      }[strategy];
      expect(journal).toEqual([...stops(affected.filter((name) => name !== names[crashed])), ...starts(affected)]);
    }),
  );
});

test("a tree survives maxRestarts crashes within perMs, and fails with the cause of the next", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: 4 }), fc.integer(), async (maxRestarts, seed) => {
      const journal: string[] = [];
      const children = [child("a", notebook(journal)), child("b", notebook(journal))];
      const spec: SupervisorSpec = { strategy: "oneForOne", maxRestarts, perMs: 1_000, children };
      const { tree, settle } = startTree(spec, seed);
      let cause: unknown;
      void tree.failed.then((error) => (cause = error));
      await settle();
      for (let crashes = 0; crashes < maxRestarts; crashes++) {
        tree.ref<NotebookMessage>(crashes % 2 === 0 ? "a" : "b").tell({ type: "crash" });
        await settle();
      }
      expect(cause).toBeUndefined();
      expect(journal).toHaveLength(2 + maxRestarts);

      const last = new Error("the last straw");
      tree.ref<NotebookMessage>("b").tell({ type: "crash", error: last });
      await settle();

      expect(cause).toBe(last);
      expect(journal.slice(2 + maxRestarts)).toEqual(["a stops"]);
    }),
    { numRuns: 30 },
  );
});

test("crashes further apart than perMs never use up the budget", async () => {
  const children = [child("a", notebook([]))];
  const { tree, settle, advance, log } = startTree({ strategy: "oneForOne", maxRestarts: 1, perMs: 100, children });

  for (let i = 0; i < 10; i++) {
    tree.ref<NotebookMessage>("a").tell({ type: "crash" });
    await settle();
    await advance(100);
  }

  expect(log.map(({ message }) => message)).toEqual(Array.from({ length: 10 }, () => "actor crashed"));
});

test.each<[Restart, "crash" | "leave", number]>([
  ["permanent", "crash", 2],
  ["permanent", "leave", 2],
  ["transient", "crash", 2],
  ["transient", "leave", 1],
  ["temporary", "crash", 1],
  ["temporary", "leave", 1],
])("a %s child that ends by %s has %i lives", async (restart, type, lives) => {
  const journal: string[] = [];
  const { tree, settle } = startTree(oneForOne(child("a", notebook(journal), { restart })));

  tree.ref<NotebookMessage>("a").tell({ type });
  await settle();

  expect(journal.filter((line) => line === "a starts")).toHaveLength(lives);
});

test("a child that is not started again refuses messages", async () => {
  const { tree, settle } = startTree(oneForOne(child("a", notebook([]), { restart: "temporary" })));
  tree.ref<NotebookMessage>("a").tell({ type: "crash" });
  tree.ref<NotebookMessage>("a").tell({ type: "note", text: "left behind" });

  await settle();
  tree.ref<NotebookMessage>("a").tell({ type: "note", text: "too late" });

  expect(tree.undelivered).toBe(2);
});

test("a temporary sibling is stopped by oneForAll and not started again", async () => {
  const journal: string[] = [];
  const children = [child("a", notebook(journal)), child("b", notebook(journal), { restart: "temporary" })];
  const { tree, settle } = startTree({ strategy: "oneForAll", maxRestarts: 1, perMs: 1_000, children });
  await settle();

  tree.ref<NotebookMessage>("a").tell({ type: "crash" });
  await settle();

  expect(journal).toEqual(["a starts", "b starts", "b stops", "a starts"]);
});

test("a transient child that has ended starts again, and takes messages, when all are restarted", async () => {
  const journal: string[] = [];
  const children = [child("a", notebook(journal), { restart: "transient" }), child("b", notebook(journal))];
  const { tree, settle } = startTree({ strategy: "oneForAll", maxRestarts: 1, perMs: 1_000, children });
  tree.ref<NotebookMessage>("a").tell({ type: "leave" });
  await settle();

  tree.ref<NotebookMessage>("b").tell({ type: "crash" });
  await settle();
  tree.ref<NotebookMessage>("a").tell({ type: "note", text: "welcome back" });
  await settle();

  expect(journal.filter((line) => line.startsWith("a"))).toEqual([
    "a starts",
    "a stops",
    "a starts",
    "a notes welcome back as 1",
  ]);
});

test("a handler that was abandoned in a restart does not let the next life handle two messages at a time", async () => {
  const journal: string[] = [];
  const [abandoned, current] = [gate(), gate()];
  const children = [child("a", notebook([])), child("b", notebook(journal), { stopWithinMs: 50 })];
  const { tree, settle, advance } = startTree({ strategy: "oneForAll", maxRestarts: 1, perMs: 1_000, children });
  const b = tree.ref<NotebookMessage>("b");
  b.tell({ type: "wait", until: abandoned.opened });
  b.tell({ type: "wait", until: current.opened });
  b.tell({ type: "note", text: "next" });
  await settle();
  tree.ref<NotebookMessage>("a").tell({ type: "crash" });
  await advance(50);
  await settle();

  abandoned.open();
  await settle();
  expect(journal).toEqual(["b starts", "b starts"]);
  current.open();
  await settle();

  expect(journal).toEqual(["b starts", "b starts", "b notes next as 1"]);
});

test("a sibling that is restarted keeps its mailbox", async () => {
  const journal: string[] = [];
  const held = gate();
  const children = [child("a", notebook(journal)), child("b", notebook(journal))];
  const { tree, settle } = startTree({ strategy: "restForOne", maxRestarts: 1, perMs: 1_000, children });
  const b = tree.ref<NotebookMessage>("b");
  b.tell({ type: "wait", until: held.opened });
  b.tell({ type: "note", text: "waiting" });
  await settle();
  tree.ref<NotebookMessage>("a").tell({ type: "crash" });
  await settle();

  held.open();
  await settle();

  expect(journal).toEqual(["a starts", "b starts", "b stops", "a starts", "b starts", "b notes waiting as 1"]);
});

test("a start that throws is a crash: tried again within the budget, then the tree fails", async () => {
  const children = [
    child("a", notebook([])),
    child("b", () => {
      throw new Error("cannot start");
    }),
  ];
  const { tree, settle, log } = startTree({ strategy: "oneForOne", maxRestarts: 3, perMs: 1_000, children });
  const error = errorOf(tree.started);

  await settle();

  expect(await tree.failed).toMatchObject({ message: "cannot start" });
  expect(await error).toBe(await tree.failed);
  expect(log.filter(({ message }) => message === "actor crashed")).toHaveLength(4);
});

test("a child above one that is still starting is restarted at once", async () => {
  const journal: string[] = [];
  const slow = gate();
  const { tree, settle } = startTree(
    oneForOne(
      child("a", notebook(journal)),
      child("b", notebook(journal, { start: () => slow.opened.then(() => void journal.push("b starts")) })),
      child("c", notebook(journal)),
    ),
  );
  await settle();

  tree.ref<NotebookMessage>("a").tell({ type: "crash" });
  await settle();
  slow.open();
  await settle();

  expect(journal).toEqual(["a starts", "a starts", "b starts", "c starts"]);
  await tree.started;
});

function nested(journal: string[], maxRestarts: number): SupervisorSpec {
  const inner: SupervisorSpec = {
    strategy: "oneForOne",
    maxRestarts: 1,
    perMs: 1_000,
    children: [child("inner a", notebook(journal)), child("inner b", notebook(journal))],
  };
  const children = [child("inner", inner), child("outer", notebook(journal))];
  return { strategy: "oneForAll", maxRestarts, perMs: 1_000, children };
}

test("a nested supervisor that has used up its budget is restarted by the one above, by its strategy", async () => {
  const journal: string[] = [];
  const { tree, settle } = startTree(nested(journal, 1));
  await settle();
  tree.ref<NotebookMessage>("inner a").tell({ type: "crash" });
  await settle();
  journal.length = 0;

  tree.ref<NotebookMessage>("inner b").tell({ type: "crash" });
  tree.ref<NotebookMessage>("inner b").tell({ type: "note", text: "kept" });
  await settle();

  // When the kept message is handled, and when "outer" starts, is for the turns to choose.
  expect(journal.filter((line) => !line.includes("notes"))).toEqual([
    "inner a stops",
    "outer stops",
    "inner a starts",
    "inner b starts",
    "outer starts",
  ]);
  expect(journal).toContain("inner b notes kept as 1");
});

test("a crash that exhausts every budget reaches the top with its cause, and everything has stopped", async () => {
  const journal: string[] = [];
  const { tree, settle } = startTree(nested(journal, 0));
  await settle();
  tree.ref<NotebookMessage>("inner a").tell({ type: "crash" });
  await settle();
  journal.length = 0;

  const cause = new Error("the last straw");
  tree.ref<NotebookMessage>("inner b").tell({ type: "crash", error: cause });
  await settle();

  expect(await tree.failed).toBe(cause);
  expect(journal).toEqual(["inner a stops", "outer stops"]);
  tree.ref<NotebookMessage>("outer").tell({ type: "note", text: "too late" });
  expect(tree.undelivered).toBe(1);
});

test("children of nested supervisors start and stop in the order of the tree", async () => {
  const journal: string[] = [];
  const { tree, settle } = startTree(nested(journal, 1));
  await settle();

  void tree.stop();
  await settle();

  const names = ["inner a", "inner b", "outer"];
  expect(journal).toEqual([...starts(names), ...stops(names)]);
});

test("a nested supervisor that was restarted has its whole budget again", async () => {
  const { tree, settle } = startTree(nested([], 1));
  let cause: unknown;
  void tree.failed.then((error) => (cause = error));

  for (let crashes = 0; crashes < 3; crashes++) {
    tree.ref<NotebookMessage>("inner a").tell({ type: "crash" });
    await settle();
  }
  expect(cause).toBeUndefined();
  tree.ref<NotebookMessage>("inner a").tell({ type: "crash", error: new Error("the fourth") });
  await settle();

  expect(cause).toMatchObject({ message: "the fourth" });
});
