import { describe, expect, it } from "vitest";
import { aTask, birth } from "../../support/tasks.ts";
import { idsOf, type Bench } from "./bench.ts";

/** What takes a claim back that nobody settles. */
const interruptions: [string, (bench: Bench) => Promise<unknown>][] = [
  ["a lease that runs out", (bench) => bench.advance(birth + 10)],
  ["an opening after a crash", (bench) => bench.reopen({ now: birth + 10 })],
];

/** What interruptions do to a task, whatever they come from. */
export function interrupting(bench: Bench): void {
  describe.each(interruptions)("%s", (_, interrupt) => {
    const interrupted = async (times: number, maxInterruptions?: number): Promise<void> => {
      const limit = maxInterruptions === undefined ? {} : { maxInterruptions };
      await bench.enqueue(aTask({ id: "task", dedupeKey: "key", ...limit }));
      for (let time = 0; time < times; time++) {
        await bench.claim({ until: birth + 10 });
        await interrupt(bench);
      }
    };

    it("leaves the task ready as often as it may be interrupted", async () => {
      await interrupted(2, 2);
      expect(await bench.life("task")).toMatchObject({ state: "ready", interruptions: 2 });
    });

    it("leaves a task without a limit ready, however often", async () => {
      await interrupted(20);
      expect(await bench.life("task")).toMatchObject({ state: "ready", interruptions: 20 });
    });

    it("ends the task as failed the next time", async () => {
      await interrupted(3, 2);
      const ended = { state: "failed", reason: "interrupted", interruptions: 3, finishedAt: birth + 10 };
      expect(await bench.life("task")).toMatchObject(ended);
      expect(await bench.life("task")).not.toHaveProperty("claimedBy");
      expect((await bench.storage.counts()).totals).toMatchObject({ interrupted: 3, failed: 1 });
      expect((await bench.storage.events({ limit: 100 })).at(-1)).toMatchObject({
        type: "failed",
        reason: "interrupted",
      });
    });

    it("leaves nothing to claim then, and its key to another", async () => {
      await interrupted(3, 2);
      expect(await bench.enqueue(aTask({ id: "other", dedupeKey: "key" }))).toEqual(["other"]);
      expect(idsOf((await bench.claim()).tasks)).toEqual(["other"]);
    });
  });
}
