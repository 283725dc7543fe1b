import fc from "fast-check";
import { expect, test } from "vitest";
import type { ActorRef } from "../../src/actor/actor.ts";
import { defineActor } from "../../src/actor/actor.ts";
import { child, oneForOne, startTree } from "./test-tree.ts";

type Ball = { type: "ball"; left: number; from: string } | { type: "caught"; left: number };

/** Passes balls on to a random player, now by tell, now by pipe, now by timer, and crashes from time to time. */
const player = (journal: string[], players: () => readonly ActorRef<Ball>[]) =>
  defineActor<Ball, null>({
    start: () => null,
    on: {
      ball(_state, { left, from }, self) {
        journal.push(`${self.clock.now()} ${from} ${self.name} ${left}`);
        const caught = { type: "caught", left } as const;
        const way = self.random();
        if (way < 0.3) self.tell(caught);
        else if (way < 0.6)
          self.pipe(
            Promise.resolve(),
            () => caught,
            () => caught,
          );
        else if (way < 0.9) self.setTimer(`ball ${left}`, self.clock.now() + Math.floor(way * 10), caught);
        else throw new Error("dropped");
      },
      async caught(_state, { left }, self) {
        const next = players()[Math.floor(self.random() * 4)];
        await Promise.resolve();
        if (left > 0) next?.tell({ type: "ball", left: left - 1, from: self.name });
      },
    },
  });

async function play(seed: number): Promise<{ journal: string[]; trace: string[] }> {
  const journal: string[] = [];
  const names = ["a", "b", "c", "d"];
  const players = (): ActorRef<Ball>[] => names.map((name) => tree.ref<Ball>(name));
  const { tree, settle, clock } = startTree(
    oneForOne(...names.map((name) => child(name, player(journal, players)))),
    seed,
  );
  for (const to of players()) for (let i = 0; i < 3; i++) to.tell({ type: "ball", left: 10, from: "outside" });
  const trace = await settle();
  for (let next = clock.next(); next !== undefined; next = clock.next()) {
    clock.advance(next - clock.now());
    trace.push(...(await settle()));
  }
  return { journal, trace };
}

test("a run with the same seed is the same run", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      expect(await play(seed)).toEqual(await play(seed));
    }),
    { numRuns: 20 },
  );
});

test("runs with different seeds differ", async () => {
  const runs = await Promise.all([1, 2, 3, 4, 5].map(async (seed) => (await play(seed)).trace.join()));

  expect(new Set(runs).size).toBe(5);
});

test("how far promises get between two steps is left to the seed", async () => {
  type Inbox = { type: "pause" } | { type: "work" };
  const worker = defineActor<Inbox, null>({
    start: () => null,
    on: { pause: () => Promise.resolve(), work: () => undefined },
  });
  const lastToGo = async (seed: number): Promise<string | undefined> => {
    const { tree, settle } = startTree(oneForOne(child("pausing", worker), child("busy", worker)), seed);
    await settle();
    tree.ref<Inbox>("pausing").tell({ type: "pause" });
    tree.ref<Inbox>("pausing").tell({ type: "work" });
    for (let i = 0; i < 3; i++) tree.ref<Inbox>("busy").tell({ type: "work" });
    return (await settle()).at(-1);
  };

  const last = await Promise.all(Array.from({ length: 20 }, (_, seed) => lastToGo(seed)));

  expect(new Set(last)).toEqual(new Set(["pausing", "busy"]));
});

test("a step lets one actor handle one message", async () => {
  const journal: string[] = [];
  const { tree, turns, settle } = startTree(
    oneForOne(
      child(
        "a",
        player(journal, () => []),
      ),
    ),
  );
  await settle();
  tree.ref<Ball>("a").tell({ type: "ball", left: 0, from: "one" });
  tree.ref<Ball>("a").tell({ type: "ball", left: 0, from: "two" });

  expect(turns.step()).toBe("a");
  expect(journal).toEqual(["1000 one a 0"]);
});

test("actors that never come to rest are reported", async () => {
  const forever = defineActor<{ type: "again" }, null>({
    start: (self) => (self.tell({ type: "again" }), null),
    on: { again: (_state, message, self) => self.tell(message) },
  });
  const { turns } = startTree(oneForOne(child("restless", forever)));

  await expect(turns.runUntilIdle(1_000)).rejects.toThrow('still busy after 1000 steps; the last was "restless"');
});
