import { expect, onTestFinished, test } from "vitest";
import { configureQueue } from "../../../src/storage/lmdb/control.ts";
import { settle } from "../../../src/storage/lmdb/settle.ts";
import { publish, stage } from "../../../src/storage/lmdb/stages.ts";
import type { Limits } from "../../../src/storage/storage.ts";
import type { TaskRequest } from "../../../src/task/task.ts";
import { aTask, birth } from "../../support/tasks.ts";
import { CountedStore } from "./counted-store.ts";

const names = (limits: Limits) => ({ names: new Map([["mail", limits]]) });

/** A store with so many keys of three tasks each, of which some run. */
function filled(keys: number, key: "orderingKey" | "concurrencyKey", limits: Limits = {}): CountedStore {
  const counted = new CountedStore(names(limits));
  onTestFinished(() => counted.dispose());
  const given = (at: number): Partial<TaskRequest> => ({ name: "mail", [key]: `k${at % keys}` });
  counted.enqueue(...Array.from({ length: keys * 3 }, (_, at) => aTask(given(at))));
  expect(counted.claim({ limit: 5 }).tasks).toHaveLength(5);
  return counted;
}

const perKey = { concurrencyPerKey: 1 };
const rate = { rateLimit: { max: 1, perMs: 1_000, perKey: true } };

test.each([
  ["orderingKey", {}],
  ["concurrencyKey", perKey],
] as const)("an opening reads no more with a thousand tasks of one %s each than with a few", (key, limits) => {
  const [few, many] = [filled(10, key, limits), filled(1_000, key, limits)];
  expect(many.reopen(names(limits)).reads).toBe(few.reopen(names(limits)).reads);
  expect(many.claim({ limit: 5 }).tasks).toHaveLength(5);
});

test("an opening with other limits of names reads no more, however many wait for their key", () => {
  const [few, many] = [filled(10, "concurrencyKey", perKey), filled(1_000, "concurrencyKey", perKey)];
  const raised = names({ concurrencyPerKey: 3 });
  expect(many.reopen(raised).reads).toBe(few.reopen(raised).reads);
  expect(many.claim({ limit: 5_000 }).tasks).toHaveLength(3_000);
});

test("a queue is configured with no more work, however many wait for their key", () => {
  const worked = [10, 1_000].map((keys) => {
    const counted = filled(keys, "concurrencyKey");
    const configure = (concurrencyPerKey: number | null) =>
      configureQueue(counted.store, { type: "configureQueue", queue: "default", patch: { concurrencyPerKey } });
    counted.commit(configure(1));
    while (counted.claim({ limit: 5_000 }).heldUntil !== undefined);
    counted.reopen();
    counted.claim({ limit: 5 });
    return counted.work(() => counted.commit(configure(2)));
  });
  expect(worked[1]).toMatchObject({ reads: worked[0]?.reads, writes: worked[0]?.writes });
});

test("a task is stored with no more reads, however many with its key there is room for", () => {
  const limits = { concurrencyPerKey: 100_000 };
  const worked = [10, 3_000].map((size) => {
    const counted = new CountedStore(names(limits));
    onTestFinished(() => counted.dispose());
    const another = () => aTask({ name: "mail", concurrencyKey: "k" });
    counted.enqueue(...Array.from({ length: size }, another));
    return counted.work(() => counted.enqueue(another())).reads;
  });
  expect(worked[1]).toBe(worked[0]);
});

test("a claim reads no more, however many wait for a rate limit of their keys", () => {
  const worked = [10, 1_000].map((keys) => {
    const counted = filled(keys, "concurrencyKey", rate);
    while (counted.claim({ limit: 2_000 }).tasks.length > 0);
    counted.enqueue(aTask());
    return counted.work(() => expect(counted.claim({ limit: 2 }).tasks).toHaveLength(1)).reads;
  });
  expect(worked[1]).toBe(worked[0]);
});

test("what waits for many keys is let go in steps, and says that there is more", () => {
  const counted = filled(2_500, "concurrencyKey", rate);
  while (counted.claim({ limit: 5_000 }).tasks.length > 0);
  const now = birth + 1_000;
  const claimed: number[] = [];
  for (;;) {
    const { tasks, heldUntil } = counted.claim({ limit: 5_000, now });
    if (tasks.length === 0) break;
    claimed.push(tasks.length);
    expect(heldUntil).toBeLessThanOrEqual(claimed.length < 3 ? now : now + 1_000);
  }
  expect(claimed).toEqual([1_000, 1_000, 500]);
});

test("a bucket of a key that is full again is forgotten, also on disk", () => {
  const counted = filled(500, "concurrencyKey", rate);
  const rows = () => Array.from(counted.tables.meta.getKeys()).filter((key) => key.toString().startsWith("key-rate:"));
  while (counted.claim({ limit: 5_000 }).tasks.length > 0);
  expect(rows()).toHaveLength(500);
  for (let round = 1; round <= 4; round++) counted.claim({ limit: 5_000, now: birth + round * 1_000 });
  expect(rows()).toHaveLength(0);
});

test("the end of a task with a key costs no more, however many stages those with its key come from", () => {
  const worked = [3, 60].map((stages) => {
    const counted = new CountedStore(names(perKey));
    onTestFinished(() => counted.dispose());
    for (let at = 0; at < stages; at++) {
      const tasks = Array.from({ length: 3 }, () => aTask({ name: "mail", concurrencyKey: "k" }));
      counted.commit(stage(counted.store, { type: "stage", stage: `s${at}`, tasks }));
      counted.commit(publish(counted.store, { type: "publish", stage: `s${at}`, how: "appear" }));
    }
    const [first] = counted.claim({ limit: 2 }).tasks;
    return counted.work(() => {
      for (let task = first, at = 0; at < 5; at++) {
        if (task === undefined) throw new Error("Nothing was there to claim.");
        const { id, life } = task;
        const end = { to: "completed", result: new Uint8Array(1) } as const;
        const settlements = [{ id, fence: { epoch: 1, attempt: life.attempt }, end }];
        expect(counted.commit(settle(counted.store, { type: "settle", now: birth, settlements }, 1))).toEqual([true]);
        task = counted.claim({ limit: 2 }).tasks[0];
      }
    }, "lines");
  });
  expect(worked[1]).toEqual(worked[0]);
});
