import { Omniq, type TaskHandle } from "omniq";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { seededRandom } from "../../src/actor/seeded-random.ts";
import type { processExecutor as ProcessExecutor } from "../../src/executor/processes.ts";
import type { threadExecutor as ThreadExecutor } from "../../src/executor/threads.ts";
import { Bench, endsOf, fixture, valueOf } from "../conformance/executor/bench.ts";
import { aPlace } from "../support/runtimes.ts";

/*
 * Long forms: STORM_CANCELS=10000 STORM_DEATHS=300 npx vitest run test/faults/storm.test.ts, and
 * STORM_SIGNALS=1000 npx vitest run test/executor/children.test.ts. STORM_SEED repeats a run.
 */
const cancels = Number(process.env["STORM_CANCELS"] ?? 500);
const deaths = Number(process.env["STORM_DEATHS"] ?? 40);
const seed = Number(process.env["STORM_SEED"] ?? Date.now() % 1_000_000);

const sizes = { thread: 2, process: 2, async: 8 } as const;
const executors = ["thread", "process", "async"] as const;

test(
  `${cancels} cancelled tasks, seed ${seed}, leave no slot stuck`,
  { timeout: 120_000 + 200 * cancels },
  async () => {
    const random = seededRandom(seed);
    const upTo = (count: number): number => Math.floor(random() * count);
    const omniq = await Omniq.open({
      tasks: new URL("../fixtures/executor/storming.mjs", import.meta.url),
      storage: "memory:",
      executors: { threads: sizes.thread, processes: sizes.process, async: { concurrency: sizes.async } },
    });
    onTestFinished(() => omniq.close({ drain: 0 }));
    /** Most tasks end or heed; those that do not cost a worker. */
    const aTask = async (): Promise<{ readonly handle: TaskHandle; readonly isEndless: boolean }> => {
      const executor = executors[upTo(3)] ?? "thread";
      const options = { executor, priority: upTo(3) };
      const dice = upTo(40);
      if (dice === 0) return { handle: await omniq.enqueue("hang", [], options), isEndless: true };
      if (dice === 1) return { handle: await omniq.enqueue("forget", [], options), isEndless: true };
      if (dice < 8) return { handle: await omniq.enqueue("heed", [], options), isEndless: true };
      if (dice < 12 && executor !== "async")
        return { handle: await omniq.enqueue("loop", [], options), isEndless: true };
      const [name, args] = (
        [
          ["add", [1, 2]],
          ["rest", [upTo(20)]],
          ["spin", [upTo(5)]],
        ] as const
      )[upTo(3)] ?? ["add", [1, 2]];
      return { handle: await omniq.enqueue(name, args, options), isEndless: false };
    };
    const answers = new Map<string, boolean>();
    let asked = 0;
    const round = async (): Promise<void> => {
      while (asked < cancels) {
        const tasks = await Promise.all(Array.from({ length: 1 + upTo(12) }, aTask));
        if (upTo(2) === 0) await new Promise((resolve) => setTimeout(resolve, upTo(20)));
        const chosen = tasks.filter(({ isEndless }) => isEndless || upTo(2) === 0);
        asked += chosen.length;
        await Promise.all(
          chosen.map(async ({ handle }) => answers.set(handle.id, await handle.cancel({ grace: upTo(3) * 10 }))),
        );
        await Promise.all(tasks.map(({ handle }) => handle.wait()));
      }
    };
    await Promise.all([round(), round(), round()]);

    const { parked } = await omniq.drain();
    const states = new Map<string, string>();
    for (let cursor: string | undefined, isMore = true; isMore; isMore = cursor !== undefined) {
      const page = await omniq.list({ limit: 1_000, cursor });
      for (const { id, state } of page.tasks) states.set(id, state);
      cursor = page.cursor;
    }
    const wrong = [...answers].filter(([id, isCancelled]) => (states.get(id) === "cancelled") !== isCancelled);
    expect(wrong).toEqual([]);
    expect(parked).toBe(0);
    expect([...states.values()].filter((state) => state !== "completed" && state !== "cancelled")).toEqual([]);
    expect(answers.size).toBeGreaterThanOrEqual(cancels);

    // Every worker can be had again, all at the same time.
    for (const executor of executors) {
      const folder = aPlace();
      const args = Array.from({ length: sizes[executor] }, () => [folder, sizes[executor]] as const);
      const name = executor === "async" ? "meet" : "meetBusy";
      const handles = await omniq.enqueueMany(name, args, { executor, timeout: "30s" });
      expect((await Promise.all(handles.map((handle) => handle.wait()))).map(({ state }) => state)).toEqual(
        args.map(() => "completed"),
      );
    }
  },
);

// Workers start from files that Node can run: the built ones.
const built = (file: string): string => new URL(`../../dist/executor/${file}`, import.meta.url).href;
const { threadExecutor } = (await import(built("threads.js"))) as { threadExecutor: typeof ThreadExecutor };
const { processExecutor } = (await import(built("processes.js"))) as { processExecutor: typeof ProcessExecutor };

const percentile = (values: readonly number[], part: number): number =>
  values.toSorted((a, b) => a - b)[Math.ceil(values.length * part) - 1] ?? Number.NaN;

const tell = (what: string, took: readonly number[]): void => {
  const [p50, p99, max] = [percentile(took, 0.5), percentile(took, 0.99), Math.max(...took)];
  process.stdout.write(
    `${took.length} deaths of ${what}, death to report: p50 ${p50} ms, p99 ${p99} ms, max ${max} ms\n`,
  );
};

describe.each(["threads", "processes"] as const)("deaths of %s", (kind) => {
  const bench = new Bench(
    (given) => {
      const options = { ...given, modules: [fixture("storming.mjs")] };
      return kind === "threads"
        ? threadExecutor({ threads: 1, ...options })
        : processExecutor({ processes: 1, ...options });
    },
    { isolates: true, sharesWorkers: false, atOnce: (slots) => slots / 2 },
  );
  beforeAll(() => bench.start());
  afterAll(() => bench.dispose());

  test(`are seen within a second, ${deaths} times`, { timeout: 60_000 + 2_000 * deaths }, async () => {
    const took: number[] = [];
    for (let death = 0; death < deaths; death++) {
      const pid = Number(valueOf((await bench.run(["pid"]))[0]));
      const flight = bench.fly([[kind === "threads" ? "exit" : "hang"]]);
      let diedAt = Number.NaN;
      if (kind === "processes") {
        await flight.reaches(0);
        diedAt = Date.now();
        process.kill(pid, "SIGKILL");
      }
      const [report] = await flight.landed;
      expect(endsOf([report])).toEqual(["crash"]);
      took.push(Date.now() - (kind === "processes" ? diedAt : Number(report?.startedAt)));
    }

    tell(kind, took);
    // 100 ms on a machine that has time.
    expect(Math.max(...took)).toBeLessThan(1_000);
  });
});
