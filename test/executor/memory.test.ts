import { Omniq, type OpenOptions } from "omniq";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { AttemptReport } from "../../src/executor/executor.ts";
import type { processExecutor as ProcessExecutor } from "../../src/executor/processes.ts";
import { aCall, Bench, endsOf, faultOf, fixture, Flight, valueOf, type Call } from "../conformance/executor/bench.ts";
import { aPlace, errorOf } from "../support/runtimes.ts";

// Processes start from files that Node can run: the built ones.
const built = new URL("../../dist/executor/processes.js", import.meta.url).href;
const { processExecutor } = (await import(built)) as { processExecutor: typeof ProcessExecutor };
const mb = 2 ** 20;

describe("a child process", () => {
  const bench = new Bench(
    (options) => processExecutor({ processes: 1, ...options, modules: [fixture("hoarding.mjs")] }),
    { isolates: true, sharesWorkers: false, atOnce: (slots) => slots / 2 },
  );
  beforeAll(() => bench.start());
  afterAll(() => bench.dispose());

  /** Runs a batch of tasks that may hold so much, in megabytes; interrupted before so many times. */
  const run = (memory: number | undefined, calls: readonly Call[], interruptions = 0): Promise<AttemptReport[]> => {
    const request = memory === undefined ? {} : { memoryBytes: memory * mb };
    const tasks = calls.map((call) => aCall(call, request));
    return new Flight(
      bench.executor,
      tasks.map((task) => ({ ...task, life: { ...task.life, interruptions } })),
    ).landed;
  };

  test.each(["grow", "growResting"])("is ended when its task holds more than it may (%s)", async (name) => {
    const [report, next] = await run(200, [[name], ["pid"]], 1);

    expect(endsOf([report, next])).toEqual(["memory", "unstarted"]);
    expect(faultOf(report)).toMatchObject({
      fault: { reason: "memory", isRetryable: true },
      error: { name: "MemoryLimitError", code: "MEMORY_LIMIT", message: expect.stringContaining(String(200 * mb)) },
    });
  });

  test("runs on where its task stays within its limit", async () => {
    const [before] = await run(undefined, [["pid"]]);
    const reports = await run(400, [["hold", 64, 200], ["hold", 64, 200], ["pid"]]);

    expect(reports.slice(0, 2).map(valueOf)).toEqual([64, 64]);
    expect(valueOf(reports[2])).toBe(valueOf(before));
  });

  test("leaves tasks without a limit alone", async () => {
    expect((await run(undefined, [["hold", 300, 200]])).map(valueOf)).toEqual([300]);
  });

  test("is replaced, at nobody's cost, when tasks before have filled it", async () => {
    expect(endsOf(await run(undefined, [["leave", 400]]))).toEqual(["value"]);
    const [full] = await run(300, [["hold", 8, 5_000]]);
    const [again] = await run(300, [["hold", 8, 200]], 1);

    expect(endsOf([full, again])).toEqual(["interrupted", "value"]);
  });
});

describe("the option memory", () => {
  const executors = { threads: 1, processes: 1, async: { concurrency: 2 } };
  async function open(options: Partial<OpenOptions> = {}): Promise<Omniq> {
    const omniq = await Omniq.open({
      tasks: new URL(fixture("hoarding.mjs")),
      storage: "memory:",
      executors,
      ...options,
    });
    onTestFinished(() => omniq.close({ drain: 0 }));
    return omniq;
  }

  test("makes an attempt that holds more a failure, which is retried as one", async () => {
    const omniq = await open();
    const handle = await omniq.enqueue("grow", [], {
      executor: "process",
      memory: "150mb",
      maxRetries: 1,
      retryDelay: 1,
    });

    expect(await handle.wait()).toMatchObject({ state: "failed", error: { cause: { code: "MEMORY_LIMIT" } } });
    const record = await handle.record();
    expect(record).toMatchObject({ reason: "memory", attempt: 2, crashes: 0 });
    expect(record?.errors.map(({ reason }) => reason)).toEqual(["memory", "memory"]);
    expect(await omniq.run("hold", [8, 1], { executor: "process", memory: 150 * mb })).toBe(8);
  });

  test.each(["thread", "async"])("is refused with executor %s, which cannot keep it", async (executor) => {
    const omniq = await open();
    const error = await errorOf(() => omniq.enqueue("grow", [], { executor, memory: "150mb" }));

    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", path: "options.memory" });
    expect(error.message).toContain('executor: "process"');
    expect(await omniq.count()).toBe(0);
  });

  test("goes with the executor where tasks run that do not say", async () => {
    const omniq = await open({ executor: "process" });

    expect(await omniq.run("hold", [8, 1], { memory: "1gb" })).toBe(8);
  });

  test("may be a default of a queue", async () => {
    const defaults = { executor: "process", memory: "100mb" };
    const omniq = await open({ storage: aPlace(), queues: { heavy: { defaults } } });
    const handle = await omniq.enqueue("grow", [], { queue: "heavy" });
    await handle.wait();

    expect(await handle.record()).toMatchObject({ state: "failed", reason: "memory" });
  });
});
