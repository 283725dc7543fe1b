import fc from "fast-check";
import { expect, test } from "vitest";
import type { ActorRef } from "../../src/actor/actor.ts";
import { defineActor } from "../../src/actor/actor.ts";
import { MailboxFullError } from "../../src/base/errors.ts";
import type { NotebookMessage } from "./test-tree.ts";
import { child, gate, notebook, oneForOne, startTree } from "./test-tree.ts";

type Numbered = { type: "numbered"; from: string; number: number };
type Go = { type: "go"; count: number };

const sender = (to: ActorRef<Numbered>) =>
  defineActor<Go, { sent: number }>({
    start: () => ({ sent: 0 }),
    on: {
      go(state, { count }, self) {
        to.tell({ type: "numbered", from: self.name, number: state.sent++ });
        if (count > 1) self.tell({ type: "go", count: count - 1 });
      },
    },
  });

/** Handles each message in `pauses[n]` promise steps, 0 meaning without a promise; crashes over those in `crashes`. */
const receiver = (handled: Numbered[], pauses: number[], crashes: ReadonlySet<number> = new Set()) => {
  let inside = 0;
  const enter = (message: Numbered): void => {
    if (++inside > 1) throw new Error("two messages at a time");
    handled.push(message);
  };
  const leave = (message: Numbered): void => {
    inside--;
    if (crashes.has(message.number)) throw new Error("crashed on purpose");
  };
  return defineActor<Numbered, null>({
    start: () => null,
    on: {
      numbered(_state, message) {
        const pause = pauses[handled.length % pauses.length] ?? 0;
        enter(message);
        if (pause === 0) return leave(message);
        return (async () => {
          for (let i = 0; i < pause; i++) await Promise.resolve();
          leave(message);
        })();
      },
    },
  });
};

test("messages are handled one at a time, in the order of each sender, none lost, through every crash", async () => {
  const runs = fc.record({
    seed: fc.integer(),
    senders: fc.integer({ min: 1, max: 4 }),
    count: fc.integer({ min: 1, max: 20 }),
    pauses: fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 5 }),
    crashes: fc.uniqueArray(fc.nat({ max: 20 }), { maxLength: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(runs, async ({ seed, senders, count, pauses, crashes }) => {
      const handled: Numbered[] = [];
      const names = Array.from({ length: senders }, (_, index) => `sender ${index}`);
      const { tree, settle, log } = startTree(
        oneForOne(
          child("receiver", () => receiver(handled, pauses, new Set(crashes))),
          ...names.map((name) => child(name, (ref) => sender(ref("receiver")))),
        ),
        seed,
      );
      for (const name of names) tree.ref<Go>(name).tell({ type: "go", count });
      await settle();

      const numbers = Array.from({ length: count }, (_, number) => number);
      for (const name of names) {
        expect(handled.filter(({ from }) => from === name).map(({ number }) => number)).toEqual(numbers);
      }
      expect(log).toHaveLength(senders * crashes.filter((number) => number < count).length);
      expect(log.every(({ fields }) => "error" in fields && String(fields.error).includes("on purpose"))).toBe(true);
    }),
    { numRuns: 100 },
  );
});

test("messages that come before the actor has started wait for it", async () => {
  const journal: string[] = [];
  const ready = gate();
  const slow = notebook(journal, { start: () => ready.opened.then(() => ({ notes: 10 })) });
  const { tree, settle } = startTree(oneForOne(child("a", slow)));
  tree.ref<NotebookMessage>("a").tell({ type: "note", text: "early" });
  await settle();
  expect(journal).toEqual([]);

  ready.open();
  await settle();

  expect(journal).toEqual(["a notes early as 11"]);
});

test("a crash discards the state and keeps the rest of the mailbox", async () => {
  const journal: string[] = [];
  const { tree, settle } = startTree(oneForOne(child("a", notebook(journal))));
  const ref = tree.ref<NotebookMessage>("a");
  ref.tell({ type: "note", text: "one" });
  ref.tell({ type: "note", text: "two" });
  ref.tell({ type: "crash" });
  ref.tell({ type: "note", text: "three" });

  await settle();

  expect(journal).toEqual(["a starts", "a notes one as 1", "a notes two as 2", "a starts", "a notes three as 1"]);
});

test("a crash is logged with the actor and the error", async () => {
  const { tree, settle, log } = startTree(oneForOne(child("a", notebook([]))));
  const error = new Error("boom");
  tree.ref<NotebookMessage>("a").tell({ type: "crash", error });

  await settle();

  expect(log).toEqual([{ level: "error", message: "actor crashed", fields: { actor: "a", error } }]);
});

test("a message without a handler is a crash", async () => {
  const { tree, settle, log } = startTree(oneForOne(child("a", notebook([]))));

  tree.ref<{ type: "unheard of" }>("a").tell({ type: "unheard of" });
  await settle();

  expect(log).toMatchObject([{ message: "actor crashed", fields: { error: expect.any(TypeError) } }]);
});

test("a full mailbox refuses the message and keeps the others", async () => {
  const journal: string[] = [];
  const { tree, settle } = startTree(oneForOne(child("a", notebook(journal, { mailboxCapacity: 2 }))));
  await settle();
  const ref = tree.ref<NotebookMessage>("a");
  ref.tell({ type: "note", text: "one" });
  ref.tell({ type: "note", text: "two" });

  expect(() => ref.tell({ type: "note", text: "three" })).toThrow(MailboxFullError);
  await settle();

  expect(journal).toEqual(["a starts", "a notes one as 1", "a notes two as 2"]);
});

test("messages to a stopped actor and those left in its mailbox are counted as undelivered", async () => {
  const { tree, settle, log } = startTree(oneForOne(child("a", notebook([]))));
  await settle();
  const ref = tree.ref<NotebookMessage>("a");
  ref.tell({ type: "leave" });
  void tree.stop();
  ref.tell({ type: "note", text: "left in the mailbox" });
  await settle();
  const leftBehind = tree.undelivered;

  for (let i = 0; i < 6; i++) ref.tell({ type: "note", text: "too late" });

  expect(leftBehind).toBe(2);
  expect(tree.undelivered).toBe(8);
  expect(log.map(({ message, fields }) => [message, fields])).toEqual([
    ["undelivered", { actor: "a", type: "leave", count: 1 }],
    ["undelivered", { actor: "a", type: "note", count: 2 }],
    ["undelivered", { actor: "a", type: "note", count: 4 }],
    ["undelivered", { actor: "a", type: "note", count: 8 }],
  ]);
});
