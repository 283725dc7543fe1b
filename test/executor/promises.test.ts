import { existsSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AsyncOptions, asyncExecutor as AsyncExecutor } from "../../src/executor/promises.ts";
import { describeExecutor } from "../conformance/executor.ts";
import { Bench, endsOf, eventually, valueOf, type Flight } from "../conformance/executor/bench.ts";

// Threads start from files that Node can run: the built ones.
const built = new URL("../../dist/executor/promises.js", import.meta.url).href;
const { asyncExecutor } = (await import(built)) as { asyncExecutor: typeof AsyncExecutor };

const traits = { isolates: true, sharesWorkers: true, atOnce: (slots: number) => slots / 2 };

describeExecutor("promises", traits, (options) =>
  asyncExecutor({ concurrency: 4, resourceLimits: { maxOldGenerationSizeMb: 48 }, ...options }),
);

function aBench(options: Pick<AsyncOptions, "concurrency">): Bench {
  const bench = new Bench((given) => asyncExecutor({ ...options, ...given }), traits);
  beforeAll(() => bench.start());
  afterAll(() => bench.dispose());
  return bench;
}

describe("concurrency", () => {
  const bench = aBench({ concurrency: 100 });

  test("1,000 sleeps of 100 ms take about a second, a hundred at a time", async () => {
    let left = 1_000;
    const asleep: unknown[] = [];
    const sleep = async (): Promise<void> => {
      while (left-- > 0) asleep.push(...(await bench.run(["sleeps", 100])).map(valueOf));
    };
    const before = performance.now();

    await Promise.all(Array.from({ length: bench.executor.slots }, sleep));

    expect(asleep).toHaveLength(1_000);
    expect(Math.max(...asleep.map(Number))).toBe(100);
    // Ten rounds; a busy machine may need longer, one by one it would be a hundred times that.
    expect(performance.now() - before).toBeGreaterThan(995);
    expect(performance.now() - before).toBeLessThan(10_000);
  });
});

describe("giving up a promise", () => {
  const bench = aBench({ concurrency: 4 });

  /** A promise that was given up, and the file that makes it settle all the same. */
  async function givenUp(end: "value" | "error"): Promise<{ flight: Flight; file: string }> {
    const file = bench.path();
    const flight = bench.fly([["outlives", file, end], ["thread"]]);
    await flight.reaches(0);
    flight.run.stop(flight.id(0), "no longer wanted", 0);
    await flight.landed;
    return { flight, file };
  }

  test("its batch goes on, and so do its neighbours on the same thread", async () => {
    const file = bench.path();
    const neighbour = bench.fly([["threadAfter", file]]);
    await neighbour.reaches(0);

    const [report, next] = await (await givenUp("value")).flight.landed;
    writeFileSync(file, "");
    const [untouched] = await neighbour.landed;

    expect(endsOf([report])).toEqual(["stopped"]);
    expect(valueOf(next)).toBe(valueOf(untouched));
  });

  test.each(["value", "error"] as const)("the %s that it still has is not heard of", async (end) => {
    const neighbourFile = bench.path();
    const neighbour = bench.fly([["threadAfter", neighbourFile]]);
    await neighbour.reaches(0);
    const { flight, file } = await givenUp(end);
    const logged = bench.logged.length;

    writeFileSync(file, "");
    // The thread lives on for its neighbour, so the promise does settle there.
    await bench.run(["waitForFile", file], ["addLater", 1, 1]);
    writeFileSync(neighbourFile, "");
    await neighbour.landed;

    expect(endsOf(await flight.landed)).toEqual(["stopped", "value"]);
    expect(bench.logged).toHaveLength(logged);
  });

  test("another thread takes over, while the old one finishes what it has", async () => {
    const file = bench.path();
    const neighbour = bench.fly([["threadAfter", file]]);
    await neighbour.reaches(0);
    const thread = async (): Promise<unknown> => valueOf((await bench.run(["thread"]))[0]);
    const old = await thread();

    await givenUp("value");
    while ((await thread()) === old);
    writeFileSync(file, "");

    expect(valueOf((await neighbour.landed)[0])).toBe(old);
  });

  test("as often as one likes", async () => {
    for (let round = 0; round < 20; round += 1) {
      const flights = Array.from({ length: 4 }, () => bench.fly([["neverSettles"]]));
      await Promise.all(flights.map((flight) => flight.reaches(0)));
      for (const flight of flights) flight.run.stop(flight.id(0), "no longer wanted", 0);
      const reports = await Promise.all(flights.map(({ landed }) => landed));
      expect(endsOf(reports.flat())).toEqual(["stopped", "stopped", "stopped", "stopped"]);
    }

    expect(valueOf((await bench.run(["add", 1, 1]))[0])).toBe(2);
  });

  test("one that blocks the thread ends it: its neighbours are interrupted", async () => {
    const neighbour = bench.fly([["neverSettles"], ["noop"]]);
    await neighbour.reaches(0);
    const file = bench.path();
    const flight = bench.fly([["hangsAndSaysSo", file], ["noop"]]);
    await eventually(() => existsSync(file));

    flight.run.stop(flight.id(0), "no longer wanted", 5);

    expect(endsOf(await flight.landed)).toEqual(["stopped", "unstarted"]);
    expect(endsOf(await neighbour.landed)).toEqual(["interrupted", "unstarted"]);
  });

  test("one that cannot be reached because another blocks the thread ends it too", async () => {
    const waiting = bench.fly([["neverSettles"]]);
    await waiting.reaches(0);
    const file = bench.path();
    const blocking = bench.fly([["hangsAndSaysSo", file]]);
    await eventually(() => existsSync(file));

    waiting.run.stop(waiting.id(0), "no longer wanted", 5);

    expect(endsOf(await waiting.landed)).toEqual(["stopped"]);
    expect(endsOf(await blocking.landed)).toEqual(["interrupted"]);
  });

  test("a handler that hears of the stop in time is not given up", async () => {
    const flight = bench.fly([["untilAborted"]]);
    await flight.reaches(0);
    const thread = valueOf((await bench.run(["thread"]))[0]);

    flight.run.stop(flight.id(0), "no longer wanted", 3_600_000);

    expect(endsOf(await flight.landed)).toEqual(["stopped"]);
    await eventually(() => flight.isIdle);
    expect(valueOf((await bench.run(["thread"]))[0])).toBe(thread);
  });
});
