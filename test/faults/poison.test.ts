import { Omniq } from "omniq";
import { expect, onTestFinished, test } from "vitest";
import { aPlace, fixture } from "../support/runtimes.ts";

test.each([
  { executor: "thread", poison: "exits", good: "good" },
  { executor: "process", poison: "segfaults", good: "good" },
  { executor: "async", poison: "exits", good: "goodLater" },
] as const)(
  "ten poison tasks among ten thousand cost the others nothing but time ($poison in a $executor)",
  { timeout: 300_000 },
  async ({ executor, poison, good }) => {
    const omniq = await Omniq.open({
      tasks: fixture("poison.mjs"),
      storage: aPlace(),
      executors: { threads: 2, processes: 2, async: { concurrency: 50 } },
      executor,
    });
    onTestFinished(() => omniq.close({ drain: 0 }));
    const goods: string[] = [];
    const poisons: string[] = [];
    for (let part = 0; part < 10; part++) {
      const numbers = Array.from({ length: 1_000 }, (_, n) => [part * 1_000 + n]);
      goods.push(...(await omniq.enqueueMany(good, numbers)).map(({ id }) => id));
      poisons.push((await omniq.enqueue(poison, [])).id);
    }
    await omniq.drain();

    const records = await Promise.all(goods.map((id) => omniq.get(id)));
    const harmed = records.filter(
      (record) => record?.state !== "completed" || record.crashes > 0 || record.errors.length > 0,
    );
    expect(harmed.map((record) => ({ ...record, args: undefined }))).toEqual([]);
    for (const id of poisons) {
      expect(await omniq.get(id)).toMatchObject({ state: "failed", reason: "poison", crashes: 3 });
    }
    expect((await omniq.stats()).totals).toMatchObject({ completed: 10_000, failed: 10 });
  },
);
