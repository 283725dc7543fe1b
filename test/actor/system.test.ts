import { expect, test } from "vitest";
import { defineActor } from "../../src/actor/actor.ts";
import { ActorStoppedError } from "../../src/base/errors.ts";
import type { NotebookMessage } from "./test-tree.ts";
import { child, errorOf, gate, notebook, oneForOne, startTree } from "./test-tree.ts";

const never = new Promise<never>(() => undefined);

test("two children of the same name are refused", () => {
  const twice = oneForOne(child("a", notebook([])), child("nest", oneForOne(child("a", notebook([])))));

  expect(() => startTree(twice)).toThrow(RangeError);
});

test("an unknown name is refused with the known ones", () => {
  const { tree } = startTree(oneForOne(child("a", notebook([])), child("b", notebook([]))));

  expect(() => tree.ref("c")).toThrow('No actor is called "c". Known are a, b.');
});

test("an actor can be given the ref of one that starts after it", async () => {
  const journal: string[] = [];
  type Nudge = { type: "nudge" };
  const { tree, settle } = startTree(
    oneForOne(
      child("first", (ref) =>
        defineActor<Nudge, null>({
          start: () => (ref<NotebookMessage>("second").tell({ type: "note", text: "from above" }), null),
          on: { nudge: () => undefined },
        }),
      ),
      child("second", notebook(journal)),
    ),
  );

  await settle();
  await tree.started;

  expect(journal).toEqual(["second starts", "second notes from above as 1"]);
});

test("a stop finishes the current message and leaves the rest undelivered", async () => {
  const journal: string[] = [];
  const current = gate();
  const { tree, settle } = startTree(oneForOne(child("a", notebook(journal))));
  const ref = tree.ref<NotebookMessage>("a");
  ref.tell({ type: "wait", until: current.opened.then(() => void journal.push("finished")) });
  ref.tell({ type: "note", text: "left" });
  await settle();

  const stopped = tree.stop();
  await settle();
  current.open();
  await settle();
  await stopped;

  expect(journal).toEqual(["a starts", "finished", "a stops"]);
  expect(tree.undelivered).toBe(1);
});

test("an actor that does not stop in time is killed and the next one stops", async () => {
  const journal: string[] = [];
  const { tree, settle, advance, log } = startTree(
    oneForOne(
      child("a", notebook(journal)),
      child("b", notebook(journal, { stop: () => never }), { stopWithinMs: 50 }),
    ),
  );
  await settle();

  const stopped = tree.stop();
  await advance(49);
  expect(journal).toEqual(["a starts", "b starts"]);
  await advance(1);
  await settle();
  await stopped;

  expect(journal).toEqual(["a starts", "b starts", "a stops"]);
  expect(log).toMatchObject([{ level: "warn", fields: { actor: "b", stopWithinMs: 50 } }]);
});

test("a tree whose first actor never finishes its start can be stopped", async () => {
  const { tree, advance, settle } = startTree(oneForOne(child("a", notebook([], { start: () => never }))));
  const error = errorOf(tree.started);

  const stopped = tree.stop();
  await advance(1_000);
  await settle();
  await stopped;

  expect(await error).toBeInstanceOf(ActorStoppedError);
});

test("an actor whose start ends while it is to stop is stopped once", async () => {
  const journal: string[] = [];
  const ready = gate();
  const { tree, clock, settle } = startTree(oneForOne(child("a", notebook(journal, { start: () => ready.opened }))));
  await settle();

  void tree.stop();
  ready.open();
  await settle();

  expect(journal).toEqual(["a stops"]);
  expect(clock.next()).toBeUndefined();
});

test("actors that have not started yet refuse messages as soon as the tree stops", async () => {
  const { tree, settle } = startTree(
    oneForOne(child("a", notebook([], { start: () => never })), child("b", notebook([]))),
  );
  await settle();

  void tree.stop();
  tree.ref<NotebookMessage>("b").tell({ type: "note", text: "too late" });

  expect(tree.undelivered).toBe(1);
});

test("a crash while the tree stops is no failure of the tree", async () => {
  const journal: string[] = [];
  const current = gate();
  const children = [child("a", notebook(journal)), child("b", notebook(journal))];
  const { tree, settle } = startTree({ strategy: "oneForAll", maxRestarts: 0, perMs: 1_000, children });
  let hasFailed = false;
  void tree.failed.then(() => (hasFailed = true));
  tree.ref<NotebookMessage>("b").tell({ type: "wait", until: current.opened });
  await settle();

  const stopped = tree.stop();
  tree.ref<NotebookMessage>("a").tell({ type: "crash" });
  await settle();
  current.open();
  await settle();
  await stopped;

  expect(journal).toEqual(["a starts", "b starts", "b stops"]);
  expect(hasFailed).toBe(false);
});

test("an actor that asks one below it during a failure is refused at once", async () => {
  const answers: unknown[] = [];
  const { tree, settle } = startTree({
    strategy: "oneForOne",
    maxRestarts: 0,
    perMs: 1_000,
    children: [
      child("above", (ref) => {
        const below = ref<NotebookMessage>("below");
        const ask = () => below.ask((reply) => ({ type: "echo", text: "", reply }), 900);
        return notebook([], { stop: async () => void answers.push(await errorOf(ask())) });
      }),
      child("below", notebook([])),
      child("failing", notebook([])),
    ],
  });
  tree.ref<NotebookMessage>("failing").tell({ type: "crash" });

  await settle();
  await tree.failed;

  expect(answers).toEqual([expect.any(ActorStoppedError)]);
});

test("a stopped tree leaves no timer behind", async () => {
  const { tree, clock, settle } = startTree(oneForOne(child("a", notebook([])), child("b", notebook([]))));
  await settle();

  void tree.stop();
  await settle();

  expect(clock.next()).toBeUndefined();
});

test("a killed tree runs no stop handler and refuses messages at once", async () => {
  const journal: string[] = [];
  const { tree, settle } = startTree(oneForOne(child("a", notebook(journal))));
  await settle();
  tree.ref<NotebookMessage>("a").tell({ type: "note", text: "in the mailbox" });

  tree.kill();
  tree.ref<NotebookMessage>("a").tell({ type: "note", text: "too late" });
  await settle();
  await tree.stop();

  expect(journal).toEqual(["a starts"]);
  expect(tree.undelivered).toBe(2);
});

test("what a killed handler does later changes nothing", async () => {
  const current = gate();
  const { tree, settle, log } = startTree(oneForOne(child("a", notebook([]))));
  const until = current.opened.then(() => Promise.reject(new Error("too late to matter")));
  tree.ref<NotebookMessage>("a").tell({ type: "wait", until });
  await settle();

  tree.kill();
  current.open();
  await settle();

  expect(log).toEqual([]);
});

test("stopping twice waits for the same end", async () => {
  const journal: string[] = [];
  const { tree, settle } = startTree(oneForOne(child("a", notebook(journal))));
  await settle();

  const both = Promise.all([tree.stop(), tree.stop()]);
  await settle();
  await both;

  expect(journal).toEqual(["a starts", "a stops"]);
});

// ------------------------------------------------------------------------------------------------- drain

test("a draining actor finishes its mailbox, then stops", async () => {
  const journal: string[] = [];
  const { tree, settle } = startTree(oneForOne(child("a", notebook(journal))));
  await settle();
  tree.ref<NotebookMessage>("a").tell({ type: "note", text: "one" });
  tree.ref<NotebookMessage>("a").tell({ type: "note", text: "two" });

  const drained = tree.drain();
  await settle();
  await drained;

  expect(journal).toEqual(["a starts", "a notes one as 1", "a notes two as 2", "a stops"]);
  expect(tree.undelivered).toBe(0);
});

test("a draining actor takes no tell and rejects asks", async () => {
  const journal: string[] = [];
  const { tree, settle } = startTree(oneForOne(child("a", notebook(journal, { drain: () => never }))));
  await settle();
  void tree.drain();
  await settle();

  tree.ref<NotebookMessage>("a").tell({ type: "note", text: "refused" });
  const asked = tree.ref<NotebookMessage>("a").ask((reply) => ({ type: "echo", text: "", reply }), 100);

  await expect(asked).rejects.toBeInstanceOf(ActorStoppedError);
  expect(tree.undelivered).toBe(2);
  expect(journal).toEqual(["a starts"]);
});

test("an actor below that drains can still use the ones above it", async () => {
  const journal: string[] = [];
  type Nudge = { type: "nudge" };
  const { tree, settle } = startTree(
    oneForOne(
      child("above", notebook(journal)),
      child("below", (ref) =>
        defineActor<Nudge, null>({
          start: () => null,
          on: { nudge: () => ref<NotebookMessage>("above").tell({ type: "note", text: "nudge" }) },
        }),
      ),
    ),
  );
  await settle();
  tree.ref<Nudge>("below").tell({ type: "nudge" });

  const drained = tree.drain();
  await settle();
  await drained;

  expect(journal).toEqual(["above starts", "above notes nudge as 1", "above stops"]);
});

type Working = { type: "work"; until: Promise<void> } | { type: "finished" };

/** Works in the background: through pipes, or promises of its own that end with a message to itself. */
const working = (journal: string[], how: "pipe" | "tell") =>
  defineActor<Working, { underWay: number; onIdle: () => void }>({
    start: () => ({ underWay: 0, onIdle: () => undefined }),
    on: {
      work(state, { until }, self) {
        state.underWay++;
        if (how === "pipe")
          self.pipe(
            until,
            () => ({ type: "finished" }),
            () => ({ type: "finished" }),
          );
        else void until.then(() => self.tell({ type: "finished" }));
      },
      finished(state) {
        journal.push("finished");
        if (--state.underWay === 0) state.onIdle();
      },
    },
    drain(state) {
      journal.push("drains");
      if (how === "pipe" || state.underWay === 0) return;
      return new Promise((resolve) => (state.onIdle = resolve));
    },
    stop: () => void journal.push("stops"),
  });

test.each(["pipe", "tell"] as const)("a draining actor finishes work under way that ends with a %s", async (how) => {
  const journal: string[] = [];
  const work = gate();
  const { tree, settle } = startTree(oneForOne(child("a", working(journal, how))));
  tree.ref<Working>("a").tell({ type: "work", until: work.opened });
  await settle();
  const drained = tree.drain();
  await settle();
  expect(journal).toEqual(["drains"]);

  work.open();
  await settle();
  await drained;

  expect(journal).toEqual(["drains", "finished", "stops"]);
});

test("a stop hurries a drain", async () => {
  const journal: string[] = [];
  const { tree, settle } = startTree(oneForOne(child("a", notebook(journal, { drain: () => never }))));
  await settle();
  const drained = tree.drain();
  await settle();

  void tree.stop();
  await settle();
  await drained;

  expect(journal).toEqual(["a starts", "a stops"]);
});

test("a drain that takes too long ends in a kill", async () => {
  const journal: string[] = [];
  const { tree, settle, advance } = startTree(
    oneForOne(child("a", notebook(journal, { drain: () => never }), { stopWithinMs: 50 })),
  );
  await settle();

  const drained = tree.drain();
  await advance(50);
  await settle();
  await drained;

  expect(journal).toEqual(["a starts"]);
});
