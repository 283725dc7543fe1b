import { writeFileSync } from "node:fs";
import { Omniq, type OpenOptions } from "omniq";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { AttemptReport } from "../../src/executor/executor.ts";
import type { asyncExecutor as AsyncExecutor } from "../../src/executor/promises.ts";
import type { StoredTask } from "../../src/task/task.ts";
import { aPlace } from "../support/runtimes.ts";
import { aCall, Bench, endsOf, fixture, Flight } from "../conformance/executor/bench.ts";

// Threads start from files that Node can run: the built ones.
const built = new URL("../../dist/executor/promises.js", import.meta.url).href;
const { asyncExecutor } = (await import(built)) as { asyncExecutor: typeof AsyncExecutor };

describe("a death that nobody can explain", () => {
  const bench = new Bench(
    (options) => asyncExecutor({ concurrency: 4, ...options, modules: [fixture("poisonous.mjs")] }),
    {
      isolates: true,
      sharesWorkers: true,
      atOnce: (slots) => slots / 2,
    },
  );
  beforeAll(() => bench.start());
  afterAll(() => bench.dispose());

  const fly = (task: StoredTask): Flight => new Flight(bench.executor, [task]);
  const endOf = async (flight: Flight): Promise<string | undefined> => endsOf(await flight.landed)[0];

  test("is blamed on nobody, where several waited", async () => {
    const resting = [1, 2, 3].map(() => fly(aCall(["rest", 100_000])));
    await Promise.all(resting.map((flight) => flight.reaches(0)));
    const poison = fly(aCall(["poison"]));

    expect(await endOf(poison)).toBe("interrupted");
    expect(await Promise.all(resting.map(endOf))).toEqual(["interrupted", "interrupted", "interrupted"]);
  });

  test("is blamed on the one that waited alone", async () => {
    expect(await endOf(fly(aCall(["poison"])))).toBe("crash");
  });

  test("has those that were near it run apart from the others, and one by one, until it is clear who does it", async () => {
    const [poison, innocent] = [aCall(["poison"]), aCall(["rest", 50])];
    const long = aCall(["rest", 100_000]);
    const first = fly({ ...innocent, args: long.args });
    await first.reaches(0);
    expect(await endOf(fly(poison))).toBe("interrupted");
    expect(await endOf(first)).toBe("interrupted");
    const stranger = fly(long);
    await stranger.reaches(0);

    const [again, guilty] = [fly(innocent), fly(poison)];

    expect(await endOf(again)).toBe("value");
    expect(await endOf(guilty)).toBe("crash");
    expect(stranger.isIdle).toBe(false);
    stranger.run.stop(stranger.id(0), "enough", 0);
    await stranger.landed;
  });

  test("is forgotten of a task that has ended without another", async () => {
    const innocent = aCall(["rest", 1]);
    const first = fly({ ...innocent, args: aCall(["rest", 100_000]).args });
    await first.reaches(0);
    await endOf(fly(aCall(["poison"])));
    await first.landed;
    const workerOf = async (): Promise<unknown> => {
      const [report] = (await fly(innocent).landed) as [AttemptReport];
      return report.workerId;
    };
    const others = async (): Promise<unknown> => ((await fly(aCall(["rest", 1])).landed)[0] as AttemptReport).workerId;

    expect(await workerOf()).not.toBe(await others());
    expect(await workerOf()).toBe(await others());
  });
});

test("suspects run with the others when there can be no thread apart", async () => {
  const folder = aPlace();
  const options = { isolates: true, sharesWorkers: true, atOnce: (slots: number) => slots / 2 };
  const url = `${fixture("poisonous.mjs")}?fails=${encodeURIComponent(`${folder}/fails`)}`;
  const bench = new Bench((given) => asyncExecutor({ concurrency: 4, ...given, modules: [url] }), options);
  onTestFinished(() => bench.dispose());
  await bench.start();
  const [one, other] = [aCall(["rest", 1]), aCall(["rest", 1])];
  const fly = (task: StoredTask): Flight => new Flight(bench.executor, [task]);
  const resting = [one, other].map((task) => fly({ ...task, args: aCall(["rest", 100_000]).args }));
  await Promise.all(resting.map((flight) => flight.reaches(0)));
  await fly(aCall(["poison"])).landed;
  await Promise.all(resting.map(({ landed }) => landed));
  // The thread that took over is there, and has loaded its modules.
  await fly(aCall(["rest", 1])).landed;
  writeFileSync(`${folder}/fails`, "");

  // One at a time: the other comes back when the thread that it waits for has ended.
  fly(one);
  const again = new Promise<Flight>((resolve, reject) => {
    const idle = (): void => {
      try {
        resolve(fly(other));
      } catch (error) {
        reject(error as Error);
      }
    };
    bench.executor.run([other], { ended() {}, idle });
  });

  expect(endsOf(await (await again).landed)).toEqual(["value"]);
});

test("ten poisonous tasks among good ones cost those nothing but time", { timeout: 120_000 }, async () => {
  const options: OpenOptions = {
    tasks: new URL(fixture("poisonous.mjs")),
    storage: "memory:",
    executors: { threads: 1, async: { concurrency: 32 } },
    executor: "async",
  };
  const omniq = await Omniq.open(options);
  onTestFinished(() => omniq.close({ drain: 0 }));
  const good: string[] = [];
  const poisonous: string[] = [];
  for (let n = 0; n < 300; n++) {
    const { id } = await omniq.enqueue(n % 30 === 7 ? "poison" : "rest", n % 30 === 7 ? [] : [20]);
    (n % 30 === 7 ? poisonous : good).push(id);
  }
  await omniq.drain();

  const { tasks } = await omniq.list({ limit: 1_000 });
  const of = (ids: readonly string[]) => tasks.filter(({ id }) => ids.includes(id));
  expect(of(good).filter(({ state, crashes }) => state !== "completed" || crashes > 0)).toEqual([]);
  expect(of(poisonous).map(({ reason }) => reason)).toEqual(Array.from({ length: 10 }, () => "poison"));
});
