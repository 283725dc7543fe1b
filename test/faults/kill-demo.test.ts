import { join } from "node:path";
import { Omniq, type TaskRecord } from "omniq";
import { expect, test, vi } from "vitest";
import { demo, linesOf, logsIn, writeFiles } from "../support/compress-folder.ts";
import { aWorkFolder, runProgram, startProgram } from "../support/run-program.ts";

const kills = 50;
const filesARound = 12;
const enough = { timeout: 60_000, interval: 3 };

/** Every task of a store, by id. Nothing runs, and nothing about them changes. */
async function tasksIn(storage: string): Promise<ReadonlyMap<string, TaskRecord>> {
  const tasks = new Map<string, TaskRecord>();
  const omniq = await Omniq.open({
    tasks: [],
    storage,
    queues: { default: { paused: true } },
    executors: { threads: 1 },
  });
  try {
    for (let cursor: string | undefined, isMore = true; isMore; isMore = cursor !== undefined) {
      const page = await omniq.list({ limit: 1_000, cursor });
      for (const task of page.tasks) tasks.set(task.id, task);
      cursor = page.cursor;
    }
  } finally {
    await omniq.close();
  }
  return tasks;
}

const repeated = (ids: readonly string[]): string[] => ids.filter((id, index) => ids.indexOf(id) !== index);

test(
  `${kills} kills at any moment lose no file, and none is done again once that was acknowledged`,
  { timeout: 600_000 },
  async () => {
    const folder = aWorkFolder();
    const [files, data] = [join(folder, "files"), join(folder, "data")];
    const { env, ...logs } = logsIn(folder);
    const written: string[] = [];
    const moments = { starting: 0, storing: 0, working: 0 };

    for (let killed = 0, round = 0; killed < kills; round++) {
      expect(round).toBeLessThan(3 * kills);
      // Small and larger ones, so that every round has something new to do and ends soon.
      written.push(...writeFiles(files, filesARound, 100 * 2 ** (round % 9), `round-${round}`));
      const before = { ack: linesOf(logs.ack).length, run: linesOf(logs.run).length, done: linesOf(logs.done) };
      const program = startProgram(demo, [files, "--data", data], { env });
      let isGone = false;
      void program.ended.then(() => (isGone = true));

      // A moment in the life of the process that does not depend on how fast the machine is.
      const phase = (["starting", "storing", "working"] as const)[round % 3] ?? "working";
      const lines = Math.floor(Math.random() * filesARound);
      await vi.waitFor(() => {
        const [log, from] = phase === "working" ? [logs.run, before.run] : [logs.ack, before.ack];
        expect(isGone || phase === "starting" || linesOf(log).length >= from + lines).toBe(true);
      }, enough);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * (phase === "starting" ? 1_000 : 20)));
      if (program.kill()) {
        killed++;
        moments[phase]++;
      }
      await program.ended;

      const tasks = await tasksIn(data);

      const acknowledged = linesOf(logs.ack);
      const ran = linesOf(logs.run).slice(before.run);
      expect(acknowledged.filter((id) => !tasks.has(id))).toEqual([]);
      expect(repeated(acknowledged)).toEqual([]);
      expect(linesOf(logs.done).filter((id) => tasks.get(id)?.state !== "completed")).toEqual([]);
      expect(ran.filter((id) => before.done.includes(id))).toEqual([]);
      expect(repeated(ran)).toEqual([]);
    }

    const { code, stdout } = await runProgram(demo, [files, "--data", data], { env });
    const tasks = [...(await tasksIn(data)).values()];

    expect(code).toBe(0);
    expect(stdout).toContain("What would shrink most");
    expect(tasks.map(({ args: [path] }) => String(path)).toSorted()).toEqual(written.toSorted());
    expect(tasks.filter(({ state }) => state !== "completed")).toEqual([]);
    expect(repeated(linesOf(logs.done))).toEqual([]);
    expect(Object.values(moments).every((count) => count > kills / 10)).toBe(true);
  },
);
