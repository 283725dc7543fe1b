import { expect, test } from "vitest";
import { defineActor } from "../../src/actor/actor.ts";
import type { Self } from "../../src/actor/actor.ts";
import { child, gate, oneForOne, startTree } from "./test-tree.ts";

/** Hands its `self` to the test with each message. */
type Inbox = { type: "do"; what: (self: Self<Inbox>) => void } | { type: "note"; text: string };

function startPuppet(journal: string[]) {
  const puppet = defineActor<Inbox, null>({
    start: () => null,
    on: {
      do: (_state, { what }, self) => what(self),
      note: (_state, { text }, self) => void journal.push(`${text} at ${self.clock.now()}`),
    },
  });
  const run = startTree(oneForOne(child("a", puppet)));
  const tellToDo = (what: (self: Self<Inbox>) => void): void => run.tree.ref<Inbox>("a").tell({ type: "do", what });
  return { ...run, tellToDo };
}

const crash = (): never => {
  throw new Error("crashed on purpose");
};

test("a timer sends its message at its moment", async () => {
  const journal: string[] = [];
  const { tellToDo, advance } = startPuppet(journal);
  tellToDo((self) => self.setTimer("tick", 1_050, { type: "note", text: "tick" }));

  await advance(49);
  expect(journal).toEqual([]);
  await advance(1);

  expect(journal).toEqual(["tick at 1050"]);
});

test("a timer that is set again replaces the one of the same name", async () => {
  const journal: string[] = [];
  const { tellToDo, advance } = startPuppet(journal);
  tellToDo((self) => self.setTimer("tick", 1_050, { type: "note", text: "first" }));
  tellToDo((self) => self.setTimer("tick", 1_080, { type: "note", text: "second" }));
  tellToDo((self) => self.setTimer("tock", 1_090, { type: "note", text: "another name" }));

  await advance(500);

  expect(journal).toEqual(["second at 1080", "another name at 1090"]);
});

test("a timer that is replaced leaves none behind", async () => {
  const { tellToDo, clock, settle } = startPuppet([]);
  tellToDo((self) => self.setTimer("tick", 1_050, { type: "note", text: "first" }));
  tellToDo((self) => self.setTimer("tick", 1_080, { type: "note", text: "second" }));

  await settle();

  expect(clock.next()).toBe(1_080);
});

test("a cancelled timer sends nothing, even if it was due and waits in the mailbox", async () => {
  const journal: string[] = [];
  const { tellToDo, clock, settle } = startPuppet(journal);
  tellToDo((self) => self.setTimer("tick", 1_050, { type: "note", text: "tick" }));
  await settle();
  tellToDo((self) => self.cancelTimer("tick"));

  clock.advance(50);
  await settle();

  expect(journal).toEqual([]);
});

test("the timers of an actor are cancelled when it restarts", async () => {
  const journal: string[] = [];
  const { tellToDo, clock, advance, settle } = startPuppet(journal);
  tellToDo((self) => self.setTimer("tick", 1_050, { type: "note", text: "tick" }));
  await settle();

  tellToDo(crash);
  await settle();
  const armed = clock.next();
  await advance(500);

  expect(armed).toBeUndefined();
  expect(journal).toEqual([]);
});

test("a timer that was due before a crash does not reach the restarted actor", async () => {
  const journal: string[] = [];
  const { tellToDo, clock, settle } = startPuppet(journal);
  tellToDo((self) => self.setTimer("tick", 1_050, { type: "note", text: "tick" }));
  await settle();

  tellToDo(crash);
  clock.advance(50);
  await settle();

  expect(journal).toEqual([]);
});

test("the timers of an actor are cancelled when it stops, and it cannot set new ones", async () => {
  const { tellToDo, clock, tree, settle } = startPuppet([]);
  let kept: Self<Inbox> | undefined;
  tellToDo((self) => {
    kept = self;
    self.setTimer("tick", 1_050, { type: "note", text: "tick" });
  });
  await settle();

  void tree.stop();
  await settle();
  kept?.setTimer("tick", 1_060, { type: "note", text: "tick" });

  expect(clock.next()).toBeUndefined();
});

test("an actor handles other messages while a pipe is under way", async () => {
  const journal: string[] = [];
  const { tellToDo, tree, settle } = startPuppet(journal);
  const answer = gate();
  const note = (text: string): Inbox => ({ type: "note", text });
  tellToDo((self) =>
    self.pipe(
      answer.opened.then(() => "answer"),
      (text) => note(text),
      () => note("failed"),
    ),
  );
  tree.ref<Inbox>("a").tell(note("meanwhile"));
  await settle();

  answer.open();
  await settle();

  expect(journal).toEqual(["meanwhile at 1000", "answer at 1000"]);
});

test("a pipe whose promise rejects sends the message for failures", async () => {
  const journal: string[] = [];
  const { tellToDo, settle } = startPuppet(journal);
  tellToDo((self) =>
    self.pipe(
      Promise.reject(new Error("no disk")),
      () => ({ type: "note", text: "done" }),
      (error) => ({ type: "note", text: String(error) }),
    ),
  );

  await settle();

  expect(journal).toEqual(["Error: no disk at 1000"]);
});

const aFewMicrotasks = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

test.each([
  ["after", async () => undefined],
  ["before, and waits in the mailbox during,", aFewMicrotasks],
])("a pipe that settles %s a crash does not reach the restarted actor", async (_when, beforeTheCrash) => {
  const journal: string[] = [];
  const { tellToDo, settle, log } = startPuppet(journal);
  const answer = gate();
  const message = (): Inbox => ({ type: "note", text: "from an earlier life" });
  tellToDo((self) => self.pipe(answer.opened, message, message));
  await settle();

  tellToDo(crash);
  answer.open();
  await beforeTheCrash();
  await settle();

  expect(log).toHaveLength(1);
  expect(journal).toEqual([]);
});

test("a timer that was due when its actor was killed is not undelivered", async () => {
  const { tellToDo, clock, tree, settle } = startPuppet([]);
  tellToDo((self) => self.setTimer("tick", 1_050, { type: "note", text: "tick" }));
  await settle();
  clock.advance(50);

  tree.kill();

  expect(tree.undelivered).toBe(0);
});

test("an actor gets its timers even when its mailbox is full", async () => {
  const journal: string[] = [];
  const small = defineActor<Inbox, null>({
    start: (self) => (self.setTimer("tick", 1_050, { type: "note", text: "tick" }), null),
    on: { do: () => undefined, note: (_state, { text }) => void journal.push(text) },
    mailboxCapacity: 1,
  });
  const { tree, clock, settle } = startTree(oneForOne(child("a", small)));
  await settle();
  tree.ref<Inbox>("a").tell({ type: "note", text: "fills it" });

  clock.advance(50);
  await settle();

  expect(journal).toEqual(["fills it", "tick"]);
});
