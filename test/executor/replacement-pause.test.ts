import { rmSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Executor } from "../../src/executor/executor.ts";
import { ReplacementPause } from "../../src/executor/replacement-pause.ts";
import type { processExecutor as ProcessExecutor } from "../../src/executor/processes.ts";
import type { asyncExecutor as AsyncExecutor } from "../../src/executor/promises.ts";
import type { threadExecutor as ThreadExecutor } from "../../src/executor/threads.ts";
import { aCall, Bench, endsOf, faultOf, Flight, valueOf, type ExecutorOptions } from "../conformance/executor/bench.ts";
import { linesOf } from "../support/runtimes.ts";

describe("the pause before a worker is replaced", () => {
  test("is none as long as workers are ready for tasks before they end", () => {
    const pause = new ReplacementPause();

    expect(pause.ms).toBe(0);
  });

  test("doubles with every one that was never ready, up to 5 s", () => {
    const pause = new ReplacementPause();
    const pauses = Array.from({ length: 9 }, () => (pause.failed(), pause.ms));

    expect(pauses).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
  });

  test("is none again when one is ready", () => {
    const pause = new ReplacementPause();
    pause.failed();
    pause.failed();
    pause.succeeded();

    expect(pause.ms).toBe(0);
  });
});

// Workers start from files that Node can run: the built ones.
const built = (file: string): string => new URL(`../../dist/executor/${file}`, import.meta.url).href;
const { threadExecutor } = (await import(built("threads.js"))) as { threadExecutor: typeof ThreadExecutor };
const { processExecutor } = (await import(built("processes.js"))) as { processExecutor: typeof ProcessExecutor };
const { asyncExecutor } = (await import(built("promises.js"))) as { asyncExecutor: typeof AsyncExecutor };

const kinds: Readonly<Record<string, (options: ExecutorOptions) => Executor>> = {
  threads: (options) => threadExecutor({ threads: 1, ...options }),
  processes: (options) => processExecutor({ processes: 1, ...options }),
  promises: (options) => asyncExecutor({ concurrency: 1, ...options }),
};

/** How much too early a timer may fire, by another clock. */
const timersMs = 5;

/** How workers may fail before they are ready, as the text of a module that notes when it was loaded. */
const failures = {
  "set-up that throws": `defineResources(() => { if (isBroken()) throw new Error("no database"); return {}; });`,
  "set-up that exits": `defineResources(() => { if (isBroken()) process.exit(1); return {}; });`,
  "module that exits": `if (isBroken()) process.exit(1);`,
};

describe.each(Object.keys(kinds))("%s", (kind) => {
  const bench = new Bench((options) => (kinds[kind] ?? expect.fail("unknown"))(options), {
    isolates: true,
    sharesWorkers: false,
    atOnce: (slots) => slots / 2,
  });
  beforeAll(() => bench.start());
  afterAll(() => bench.dispose());

  test.each(Object.entries(failures))(
    "are replaced after longer and longer pauses when there is a %s",
    async (_, text) => {
      const [starts, broken] = [bench.path(), bench.path()];
      const module = bench.write(
        `import { appendFileSync, existsSync } from "node:fs";
       import { defineResources } from "${new URL("../../dist/index.js", import.meta.url).href}";
       const isBroken = () => existsSync("${broken}");
       appendFileSync("${starts}", Date.now() + "\\n");
       ${text}
       export const works = () => 1;
       export const exits = () => process.exit(1);`,
        ".mjs",
      );
      const executor = bench.create({ modules: [new URL(`file:${module}`).href] });
      await executor.start();
      const run = async (name: string) => new Flight(executor, [aCall([name])]).landed;

      // The one that has loaded the modules is at rest.
      expect((await run("works")).map(valueOf)).toEqual([1]);
      writeFileSync(broken, "");
      expect(endsOf(await run("exits"))).toEqual(["crash"]);
      for (let attempt = 0; attempt < 4; attempt++) {
        const [report] = await run("works");
        expect(["RESOURCE_SETUP", "WORKER_CRASH"]).toContain(faultOf(report).error.code);
      }
      const moments = linesOf(starts).map(Number);
      const gaps = moments.slice(2).map((moment, index) => moment - Number(moments[index + 1]));

      // The first has failed without a pause before it: it takes the place of one that was ready.
      expect(gaps).toHaveLength(3);
      gaps.forEach((gap, index) => expect(gap).toBeGreaterThan(100 * 2 ** index - timersMs));

      rmSync(broken);
      expect((await run("works")).map(valueOf)).toEqual([1]);
      const before = performance.now();
      for (let attempt = 0; attempt < 3; attempt++) {
        expect(endsOf(await run("exits"))).toEqual(["crash"]);
        expect((await run("works")).map(valueOf)).toEqual([1]);
      }
      // Pauses would go on at 800 ms, 1.6 s and 3.2 s.
      expect(performance.now() - before).toBeLessThan(5_600);
      await executor.close();
    },
  );
});
