import { afterEach, beforeEach, expect, test } from "vitest";
import { dropStep, publish, stage } from "../../../src/storage/lmdb/stages.ts";
import { nextPrune, prune } from "../../../src/storage/lmdb/time.ts";
import type { NewTask } from "../../../src/storage/storage.ts";
import { aTask, birth } from "../../support/tasks.ts";
import { CountedStore, sizeOf } from "./counted-store.ts";

let counted: CountedStore;
beforeEach(() => {
  counted = new CountedStore();
});
afterEach(() => counted.dispose());

const put = (...tasks: NewTask[]): void => counted.commit(stage(counted.store, { type: "stage", stage: "s", tasks }));
const publishStage = (how: "appear" | "drop"): void =>
  counted.commit(publish(counted.store, { type: "publish", stage: "s", how }));
const some = (count: number, given: Parameters<typeof aTask>[0] = {}): NewTask[] =>
  Array.from({ length: count }, () => aTask(given));

test("a stage is dropped in steps, which prune goes on with until all of it is forgotten", () => {
  for (let part = 0; part < 3; part++) put(...some(2_000), ...some(2_000, { runAt: birth + 1, orderingKey: "o" }));
  publishStage("drop");
  const left = [sizeOf(counted.tables.tasks)];
  while (nextPrune(counted.store) === 0) {
    counted.commit(prune(counted.store, { type: "prune", now: birth, limit: 4_000 }));
    left.push(sizeOf(counted.tables.tasks));
  }
  expect(left).toEqual([12_000 - dropStep, 3_000, 0]);
  const { ready, due, lines, meta } = counted.tables;
  expect([ready, due, lines].map(sizeOf)).toEqual([0, 0, 0]);
  expect(Array.from(meta.getKeys(), String).filter((key) => /^(staged|lane):/.test(key))).toEqual([]);
});

test("a stage of scheduled tasks is dropped with as much work for each of them, however many there are", () => {
  const limit = 130;
  const worked = [10, 80].map((parts) => {
    for (let part = 0; part < parts; part++) put(...some(50, { runAt: birth + 1 }));
    counted.store.ledger.lanes.abandon("s");
    let steps = 0;
    const dropped = counted.work(() => {
      for (; nextPrune(counted.store) === 0; steps++)
        counted.commit(prune(counted.store, { type: "prune", now: birth, limit }));
    });
    expect([steps, sizeOf(counted.tables.tasks)]).toEqual([Math.ceil((parts * 50) / limit), 0]);
    return (dropped.reads + dropped.writes) / (parts * 50);
  });
  expect(worked[1]).toBeLessThanOrEqual(worked[0] ?? 0);
});

test("what is left of a dropped stage stays hidden, also after an opening", () => {
  put(...some(dropStep + 10));
  publishStage("drop");
  counted.reopen();
  expect(sizeOf(counted.tables.tasks)).toBe(10);
  expect(counted.claim({ limit: 100 }).tasks).toEqual([]);
  publishStage("appear");
  expect(counted.claim({ limit: 100 }).tasks).toEqual([]);
});

test("a stage is dropped without a look at what else waits for its time", () => {
  counted.enqueue(...some(3_000, { runAt: birth + 1 }));
  for (let lane = 0; lane < 20; lane++) put(...some(2, { name: `n${lane}` }), aTask({ runAt: birth + 1 }));
  expect(counted.work(() => publishStage("drop"), "due").reads).toBe(0);
  expect(sizeOf(counted.tables.tasks)).toBe(3_000);
});

test("a stage that appears leaves no list of its tasks behind", () => {
  put(...some(5, { runAt: birth + 1 }));
  publishStage("appear");
  expect(Array.from(counted.tables.meta.getKeys(), String).filter((key) => key.startsWith("staged:"))).toEqual([]);
});
