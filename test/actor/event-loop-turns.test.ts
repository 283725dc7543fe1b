import { expect, test } from "vitest";
import type { ActorRef } from "../../src/actor/actor.ts";
import { defineActor } from "../../src/actor/actor.ts";
import { EventLoopTurns } from "../../src/actor/event-loop-turns.ts";
import type { ChildSpec } from "../../src/actor/supervision.ts";
import { createSystem } from "../../src/actor/system.ts";
import { VirtualClock } from "../../src/base/clock.ts";
import { child, oneForOne } from "./test-tree.ts";

async function startReal(...children: ChildSpec[]) {
  const log = { warn: () => undefined, error: () => undefined };
  const environment = { clock: new VirtualClock(), turns: new EventLoopTurns(), random: () => 0, log };
  const tree = createSystem(environment).start(oneForOne(...children));
  await tree.started;
  return tree;
}

type Item = { type: "item"; number: number };

const collector = (items: string[]) =>
  defineActor<Item, null>({
    start: () => null,
    on: { item: (_state, { number }, self) => void items.push(`${self.name}${number}`) },
  });

function tellMany(ref: ActorRef<Item>, count: number): void {
  for (let number = 0; number < count; number++) ref.tell({ type: "item", number });
}

const nextLoopTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("messages are handled before the event loop goes on, never inside of tell", async () => {
  const items: string[] = [];
  const tree = await startReal(child("a", collector(items)));

  tree.ref<Item>("a").tell({ type: "item", number: 1 });
  const during = [...items];
  await Promise.resolve();

  expect(during).toEqual([]);
  expect(items).toEqual(["a1"]);
});

test("an actor gives way to the others after 64 messages", async () => {
  const items: string[] = [];
  const tree = await startReal(child("a", collector(items)), child("b", collector(items)));
  tellMany(tree.ref("a"), 100);
  tellMany(tree.ref("b"), 1);

  await nextLoopTurn();

  expect(items.indexOf("b0")).toBe(64);
  expect(items).toHaveLength(101);
});

test("no more than 1,024 messages are handled before the event loop comes round, and none is forgotten", async () => {
  const items: string[] = [];
  const tree = await startReal(child("a", collector(items)));
  await nextLoopTurn();
  tellMany(tree.ref("a"), 5_000);

  const afterEachLoopTurn: number[] = [];
  await Promise.resolve();
  while (afterEachLoopTurn.at(-1) !== items.length) {
    afterEachLoopTurn.push(items.length);
    await nextLoopTurn();
  }

  expect(afterEachLoopTurn).toEqual([1_024, 2_048, 3_072, 4_096, 5_000]);
});

test("a line that is empty just when the allowance is used up is served again later", async () => {
  const items: string[] = [];
  const tree = await startReal(child("a", collector(items)));
  await nextLoopTurn();
  tellMany(tree.ref("a"), 1_024);
  await nextLoopTurn();
  await nextLoopTurn();

  tellMany(tree.ref("a"), 1);
  await nextLoopTurn();

  expect(items).toHaveLength(1_025);
});

test("actors that wake themselves through promises for ever do not starve the event loop", async () => {
  type Inbox = { type: "again" };
  const again = (): Inbox => ({ type: "again" });
  let handled = 0;
  const restless = defineActor<Inbox, null>({
    start: (self) => (self.tell(again()), null),
    on: { again: (_state, _message, self) => (handled++, self.pipe(Promise.resolve(), again, again)) },
  });
  const tree = await startReal(child("a", restless));
  await nextLoopTurn();
  handled = 0;

  for (let i = 0; i < 3; i++) await nextLoopTurn();
  tree.kill();

  expect(handled).toBeGreaterThan(0);
  expect(handled).toBeLessThanOrEqual(4 * 1_024);
});
