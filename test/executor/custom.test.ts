import { Omniq, type OpenOptions } from "omniq";
import { describe, expect, onTestFinished, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { errorOf } from "../support/runtimes.ts";

const custom = (file: string): URL => new URL(`../fixtures/executor/custom/${file}`, import.meta.url);

async function open(options: Partial<OpenOptions>): Promise<Omniq> {
  const omniq = await Omniq.open({ tasks: custom("tasks.mjs"), storage: "memory:", ...options });
  onTestFinished(() => omniq.close({ drain: 0 }));
  return omniq;
}

const withForks = { executors: { threads: 1, custom: { fork: custom("forking.mjs") } } };

describe("a custom executor", () => {
  test("runs tasks that name it, where it likes", async () => {
    const omniq = await open(withForks);

    expect(await omniq.run("add", [2, 3], { executor: "fork" })).toBe(5);
    expect(await omniq.run("pid", [], { executor: "fork" })).not.toBe(process.pid);
    expect(await omniq.run("pid", [])).toBe(process.pid);
  });

  test("may be where tasks run that do not say", async () => {
    const omniq = await open({ ...withForks, executor: "fork" });
    const handle = await omniq.enqueue("pid", []);

    expect(await handle.result()).not.toBe(process.pid);
    expect((await handle.record())?.workerId).toMatch(/^fork-\d+$/);
  });

  test("may be written in TypeScript, with the types of the package", async () => {
    const omniq = await open({ executors: { threads: 1, custom: { echo: custom("echoing.ts") } } });

    expect(await omniq.run("add", [1, 2], { executor: "echo", tags: ["a"] })).toEqual({ name: "add", args: [1, 2] });
  });

  test("may be named by the defaults of a queue", async () => {
    const omniq = await open({ ...withForks, queues: { apart: { defaults: { executor: "fork" } } } });

    expect(await omniq.run("pid", [], { queue: "apart" })).not.toBe(process.pid);
  });

  test("tells failures and crashes, which are retried as anywhere", async () => {
    const omniq = await open({ ...withForks, executor: "fork" });
    const failing = await omniq.enqueue("fails", ["no luck"], { maxRetries: 1, retryDelay: 1 });
    const crashing = await omniq.enqueue("exits", []);

    expect(await failing.wait()).toMatchObject({ state: "failed", error: { cause: { message: "no luck" } } });
    expect((await failing.record())?.attempt).toBe(2);
    await crashing.wait();
    expect(await crashing.record()).toMatchObject({ state: "failed", reason: "poison" });
  });

  test("stops what is cancelled", async () => {
    const omniq = await open({ ...withForks, executor: "fork" });
    const handle = await omniq.enqueue("sleep", [1_000_000]);
    await eventually(async () => (await handle.state()) === "running");

    expect(await handle.cancel({ grace: 0 })).toBe(true);
  });

  test("that forgets tasks, tells them twice, or throws, loses none and harms no other", async () => {
    const omniq = await open({ executors: { threads: 1, custom: { careless: custom("careless.mjs") } } });
    const executor = "careless";

    expect(await omniq.run("add", [1, 2], { executor })).toBe("done");
    const forgotten = await omniq.enqueue("pid", [], { executor });
    expect(await forgotten.result()).toBe("done");
    expect((await forgotten.record())?.crashes).toBe(1);
    const refused = await omniq.enqueue("fails", ["x"], { executor });
    expect(await refused.wait()).toMatchObject({ error: { cause: { message: "cannot run this" } } });
    expect(await omniq.run("add", [1, 2])).toBe(3);
  });
});

describe("a custom executor that says", () => {
  const executors = { threads: 1, custom: { odd: custom("misreporting.mjs") } };
  const executor = "odd";

  test.each([
    ["no end", "report.end"],
    ["an end of no type", "report.end.type"],
    ["an end of an unknown type", "report.end.type"],
    ["a result that is a text", "report.end.result"],
    ["a result that is empty", "cannot be read"],
    ["a result that is damaged", "cannot be read"],
    ["a result that is too large", "2000000 bytes"],
    ["no fault", "report.end.fault"],
    ["a fault of an unknown reason", "report.end.fault.reason"],
    ["a fault with a delay that is none", "report.end.fault.retryDelayMs"],
    ["a start that is no time", "report.startedAt"],
    ["a duration that is none", "report.durationMs"],
    ["a worker without a name", "report.workerId"],
  ])("%s, fails that task alone, with the reason", async (what, why) => {
    const omniq = await open({ executors });
    const handle = await omniq.enqueue("add", [what, 0], { executor });

    expect(await handle.wait()).toMatchObject({
      state: "failed",
      error: { cause: { name: "WorkerCrashError", message: expect.stringContaining(why) } },
    });
    expect((await handle.record())?.reason).toBe("poison");
    expect(await omniq.run("add", ["nothing odd", 0], { executor })).toBe("done");
  });

  test.each([
    "notes that are none",
    "notes without lines",
    "progress that is no payload",
    "checkpoints that are none",
    "a key that is none",
    "children that are none",
    "reports that are none",
    "no list of reports",
    "a current task that is none",
    "everything at once",
  ])("%s, harms nothing", async (what) => {
    const omniq = await open({ executors });
    const handle = await omniq.enqueue("add", [what, 0], { executor, timeout: "1h" });

    expect(await handle.result()).toBe("done");
    expect(await handle.record()).toMatchObject({ attempt: 1, crashes: 0 });
    expect(await omniq.run("add", [1, 2])).toBe(3);
  });

  test.each(["no run", "a promise of a run"])("%s, fails the batch", async (what) => {
    const omniq = await open({ executors });
    const handle = await omniq.enqueue("add", [what, 0], { executor });

    expect(await handle.wait()).toMatchObject({
      state: "failed",
      error: { cause: { message: expect.stringContaining("run() gave no object") } },
    });
  });
});

describe("open", () => {
  test.each([
    ["missing.mjs", "Cannot find module"],
    ["throws.mjs", "no such device"],
    ["no-default.mjs", "exports no function by default"],
    ["no-object.mjs", "gives no object"],
    ["one-slot.mjs", "whole number from 2"],
    ["no-run.mjs", "no method run()"],
  ])("refuses an executor whose module is no good: %s", async (file, why) => {
    const error = await errorOf(() => open({ executors: { threads: 1, custom: { gpu: custom(file) } } }));

    expect(error).toMatchObject({ code: "EXECUTOR_MODULE", name: "ExecutorModuleError" });
    expect(error.message).toContain(why);
    expect(error.message).toContain('"gpu"');
  });

  test("is rejected with what the start of an executor is rejected with", async () => {
    const executors = { threads: 1, custom: { gpu: custom("does-not-start.mjs") } };

    expect((await errorOf(() => open({ executors }))).message).toBe("the device is busy");
  });

  test.each(["thread", "process", "async"])("refuses %s as the name of one", async (name) => {
    const error = await errorOf(() => open({ executors: { custom: { [name]: custom("forking.mjs") } } }));

    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", path: `options.executors.custom.${name}` });
  });

  test("refuses a module that is no file, by its place", async () => {
    const error = await errorOf(() => open({ executors: { custom: { gpu: "https://example.org/gpu.js" } } }));

    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", path: "options.executors.custom.gpu" });
  });

  test("loads nothing that no option names: a task for an unknown executor is refused", async () => {
    const omniq = await open({ executors: { threads: 1 } });
    const executor = custom("forking.mjs").pathname;

    expect(await errorOf(() => omniq.enqueue("add", [1, 2], { executor }))).toMatchObject({
      code: "INVALID_ARGUMENT",
      path: "options.executor",
    });
  });
});
