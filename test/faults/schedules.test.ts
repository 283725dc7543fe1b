import { join } from "node:path";
import { Omniq, type TaskRecord } from "omniq";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { aPlace, fixture, linesOf, Program } from "../support/runtimes.ts";

/** Every task of a store, while nothing fires and nothing runs. */
async function tasksIn(storage: string): Promise<TaskRecord[]> {
  const omniq = await Omniq.open({
    tasks: fixture("scheduled.ts"),
    storage,
    executors: { threads: 0 },
    scheduler: { enabled: false },
  });
  try {
    const all: TaskRecord[] = [];
    for (let cursor: string | undefined, isMore = true; isMore; isMore = cursor !== undefined) {
      const page = await omniq.list({ limit: 1_000, cursor });
      all.push(...page.tasks);
      cursor = page.cursor;
    }
    const { schedules } = await omniq.schedules.list({ limit: 1_000 });
    for (const { id, runCount } of schedules) {
      expect(all.filter(({ schedule }) => schedule?.id === id)).toHaveLength(runCount);
    }
    return all;
  } finally {
    await omniq.close();
  }
}

/** The slots of every schedule, of which each must be there once. */
function slotsOf(tasks: readonly TaskRecord[]): Map<string, number[]> {
  const slots = new Map<string, number[]>();
  for (const { schedule } of tasks) {
    if (schedule === undefined) continue;
    const mine = slots.get(schedule.id) ?? [];
    mine.push(schedule.scheduledFor.getTime());
    slots.set(schedule.id, mine);
  }
  return slots;
}

test(
  "L07, trap 5: kill -9 while hundreds of schedules fire leaves each slot stored once",
  { timeout: 3_600_000 },
  async () => {
    // More with SCHEDULE_KILLS=500.
    const kills = Number(process.env["SCHEDULE_KILLS"] ?? 50);
    const [storage, schedules] = [join(aPlace(), "data"), 200];
    for (let round = 0; round < kills; round++) {
      const program = new Program("ticking.mjs", storage, String(schedules));
      await program.hasSaid(1);
      const after = Date.now() + 20 + Math.random() * 500;
      await eventually(() => Date.now() > after);
      await program.kill();
    }

    const slots = slotsOf(await tasksIn(storage));
    expect(slots.size).toBe(schedules);
    const starts = new Set([...slots.values()].map((mine) => Math.min(...mine)));
    expect(starts.size).toBe(1);
    for (const mine of slots.values()) {
      const [first = 0] = mine.sort((a, b) => a - b);
      expect(mine).toEqual(mine.map((_, index) => first + index * 200));
      expect(mine.length).toBeGreaterThan(kills);
    }
  },
);

test(
  "L03: of two runtimes on one store one stands by, and takes over when the other is killed",
  { timeout: 120_000 },
  async () => {
    const folder = aPlace();
    const [storage, file] = [join(folder, "data"), join(folder, "log")];
    const owner = new Program("standby.mjs", storage, file, "first");
    await owner.hasSaid(1);
    expect(owner.said).toEqual([["open", "first"]]);
    const standby = new Program("standby.mjs", storage, file, "second");
    await standby.hasSaid(1);
    await eventually(() => linesOf(file).length >= 5);
    expect(standby.said).toEqual(["waits"]);

    await owner.kill();
    const killedAt = Date.now();
    await standby.hasSaid(2);
    const tookMs = Date.now() - killedAt;
    const before = linesOf(file).length;
    await eventually(() => linesOf(file).length >= before + 10);
    await standby.kill();

    expect(standby.said).toEqual(["waits", ["open", "second"]]);
    // 200 ms are promised for the notice; the rest is what opening a store takes on a busy machine.
    expect(tookMs).toBeLessThan(10_000);
    const [mine = []] = slotsOf(await tasksIn(storage)).values();
    mine.sort((a, b) => a - b);
    expect(mine).toEqual(mine.map((_, index) => (mine[0] ?? 0) + index * 100));
  },
);
