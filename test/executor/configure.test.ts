import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Omniq, type OpenOptions } from "omniq";
import { describe, expect, onTestFinished, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { aPlace, errorOf } from "../support/runtimes.ts";

async function open(options: Partial<OpenOptions> = {}): Promise<Omniq> {
  const omniq = await Omniq.open({
    tasks: new URL("../fixtures/executor/overlapping.mjs", import.meta.url),
    storage: "memory:",
    ...options,
  });
  onTestFinished(() => omniq.close({ drain: 0 }));
  return omniq;
}

/** Each executor by the option that says how large it is. */
const kinds = {
  thread: { size: (threads: number) => ({ threads }), how: "Busy" },
  process: { size: (processes: number) => ({ threads: 1, processes }), how: "Busy" },
  async: { size: (concurrency: number) => ({ threads: 1, async: { concurrency } }), how: "Resting" },
} as const;
const names = ["thread", "process", "async"] as const;

/** Passes when so many tasks run at the same time. */
async function expectAtLeast(omniq: Omniq, executor: keyof typeof kinds, count: number): Promise<void> {
  const folder = aPlace();
  const args = Array.from({ length: count }, () => [folder, count]);
  const handles = await omniq.enqueueMany(`meet${kinds[executor].how}`, args, { executor, timeout: "40s" });
  await Promise.all(handles.map((handle) => handle.result()));
}

/** Passes when no more than so many tasks run at the same time. */
async function expectAtMost(omniq: Omniq, executor: keyof typeof kinds, count: number): Promise<void> {
  const folder = aPlace();
  const args = Array.from({ length: 4 * count }, () => [folder, 20]);
  const handles = await omniq.enqueueMany(`overlap${kinds[executor].how}`, args, { executor });
  const seen = await Promise.all(handles.map((handle) => handle.result()));
  expect(Math.max(...seen.map(Number))).toBeLessThanOrEqual(count);
}

describe.each(names)("configure, for executor %s", (executor) => {
  const { size, how } = kinds[executor];

  test("raises the number of tasks that run at the same time", async () => {
    const omniq = await open({ executors: size(1) });
    await expectAtMost(omniq, executor, 1);

    await omniq.configure({ executors: size(4) });

    await expectAtLeast(omniq, executor, 4);
    await expectAtMost(omniq, executor, 4);
  });

  test("lowers it, while what runs comes to its end where it began", async () => {
    const folder = aPlace();
    const omniq = await open({ executors: size(3) });
    const staying = await omniq.enqueue(`stay${how}`, [folder], { executor });
    await eventually(() => existsSync(`${folder}/stays`));

    await omniq.configure({ executors: size(1) });
    const waiting = expectAtMost(omniq, executor, 1);
    writeFileSync(`${folder}/go`, "");
    await waiting;

    expect(typeof (await staying.result())).toBe("number");
    expect(await staying.record()).toMatchObject({ attempt: 1, interruptions: 0 });
  });

  test("takes back what its workers had not begun, and runs it", async () => {
    const folder = aPlace();
    const omniq = await open({ executors: size(1) });
    const staying = await omniq.enqueue(`stay${how}`, [folder], { executor });
    await eventually(() => existsSync(`${folder}/stays`));
    const behind = await omniq.enqueueMany(
      "add",
      Array.from({ length: 50 }, (_, n) => [n, 1]),
      { executor },
    );

    await omniq.configure({ executors: size(2) });

    expect(await Promise.all(behind.map((handle) => handle.result()))).toEqual(behind.map((_, n) => n + 1));
    expect(await staying.state()).toBe("running");
    writeFileSync(`${folder}/go`, "");
    await staying.result();
  });
});

describe("an executor with the size 0", () => {
  test.each(["process", "async"] as const)(
    "is closed (%s): what is stored for it waits until it is open",
    async (executor) => {
      const { size, how } = kinds[executor];
      const folder = aPlace();
      const omniq = await open({ executors: size(1) });
      const staying = await omniq.enqueue(`stay${how}`, [folder], { executor });
      await eventually(() => existsSync(`${folder}/stays`));
      const waiting = await omniq.enqueueMany(
        "add",
        Array.from({ length: 20 }, (_, n) => [n, 1]),
        { executor },
      );

      await omniq.configure({ executors: size(0) });

      expect(await errorOf(() => omniq.enqueue("add", [1, 2], { executor }))).toMatchObject({
        code: "INVALID_ARGUMENT",
      });
      expect(await omniq.run("add", [1, 2])).toBe(3);
      await eventually(async () => (await omniq.count({ state: "ready" })) === 20);
      writeFileSync(`${folder}/go`, "");
      expect(typeof (await staying.result())).toBe("number");
      expect(await omniq.count({ state: "ready" })).toBe(20);

      await omniq.configure({ executors: size(1) });
      expect(await Promise.all(waiting.map((handle) => handle.result()))).toEqual(waiting.map((_, n) => n + 1));
    },
  );

  test.each(["process", "async"] as const)("can be opened while the runtime runs (%s)", async (executor) => {
    const omniq = await open({ executors: { threads: 1 } });
    expect(await errorOf(() => omniq.enqueue("add", [1, 2], { executor }))).toMatchObject({ code: "INVALID_ARGUMENT" });

    await omniq.configure({ executors: kinds[executor].size(1) });

    expect(await omniq.run("add", [1, 2], { executor })).toBe(3);
  });

  test("of threads leaves tasks to those who take them by hand", async () => {
    const omniq = await open({ executors: { threads: 1 } });
    await omniq.configure({ executors: { threads: 0 } });
    await omniq.enqueue("add", [1, 2]);

    const lease = await omniq.queues.get("default").dequeue();
    expect(lease?.task.args).toEqual([1, 2]);
    await lease?.ack(3);

    await omniq.configure({ executors: { threads: 1 } });
    expect(await omniq.run("add", [1, 2])).toBe(3);
  });
});

describe("calls of configure", () => {
  test.each([
    [{ executors: { threads: -1 } }, "INVALID_ARGUMENT", "patch.executors.threads"],
    [{ executors: { threads: 1.5 } }, "INVALID_ARGUMENT", "patch.executors.threads"],
    [{ executors: { processes: 257 } }, "INVALID_ARGUMENT", "patch.executors.processes"],
    [{ executors: { processes: "2" } }, "INVALID_ARGUMENT", "patch.executors.processes"],
    [{ executors: { async: 10 } }, "INVALID_ARGUMENT", "patch.executors.async"],
    [{ executors: { async: { concurrency: 10_001 } } }, "INVALID_ARGUMENT", "patch.executors.async.concurrency"],
    [{ executors: { async: { size: 1 } } }, "UNKNOWN_OPTION", "patch.executors.async.size"],
    [{ executors: { thread: 1 } }, "UNKNOWN_OPTION", "patch.executors.thread"],
    [{ executor: { threads: 1 } }, "UNKNOWN_OPTION", "patch.executor"],
    [2, "INVALID_ARGUMENT", "patch"],
  ])("that make no sense are refused by their place (%j)", async (patch, code, path) => {
    const omniq = await open({ executors: { threads: 1 } });

    expect(await errorOf(() => omniq.configure(patch as object))).toMatchObject({ code, path });
    expect(await omniq.run("add", [1, 2])).toBe(3);
  });

  test("cannot close the executor where tasks run that do not say", async () => {
    const omniq = await open({ executors: { threads: 1, processes: 1 }, executor: "process" });

    expect(await errorOf(() => omniq.configure({ executors: { processes: 0 } }))).toMatchObject({
      code: "INVALID_ARGUMENT",
      path: "patch.executors.processes",
    });
    expect(await omniq.run("add", [1, 2])).toBe(3);
  });

  test("take effect in the order in which they were made", async () => {
    const omniq = await open({ executors: { threads: 1 } });
    await Promise.all([3, 1, 2, 4].map((threads) => omniq.configure({ executors: { threads } })));

    await expectAtLeast(omniq, "thread", 4);
  });

  test("under load lose nothing, and run nothing twice", async () => {
    const omniq = await open({ executors: { threads: 2, processes: 1 } });
    const handles = await Promise.all(
      Array.from({ length: 600 }, (_, n) =>
        omniq.enqueue("add", [n, 1], { executor: n % 3 === 0 ? "process" : "thread" }),
      ),
    );
    for (const [threads, processes] of [
      [1, 2],
      [3, 1],
      [2, 0],
      [1, 1],
    ] as const) {
      await omniq.configure({ executors: { threads, processes } });
    }

    expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(handles.map((_, n) => n + 1));
    const { tasks } = await omniq.list({ limit: 1_000 });
    expect(tasks.filter(({ interruptions, crashes }) => interruptions + crashes > 0)).toEqual([]);
  });

  test("hold until the runtime is closed, and no longer", async () => {
    const storage = aPlace();
    mkdirSync(storage, { recursive: true });
    const first = await open({ storage, executors: { threads: 1 } });
    await first.configure({ executors: { processes: 1 } });
    await first.close();

    const second = await open({ storage, executors: { threads: 1 } });

    expect(await errorOf(() => second.enqueue("add", [1, 2], { executor: "process" }))).toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });

  test("are refused when the runtime is closed", async () => {
    const omniq = await open({ executors: { threads: 1 } });
    await omniq.close();

    expect(await errorOf(() => omniq.configure({ executors: { threads: 2 } }))).toMatchObject({ code: "CLOSED" });
  });
});

describe.each([
  ["threads", { executors: { threads: 2 } }],
  ["processes", { executors: { processes: 1 } }],
  ["promises", { executors: { async: { concurrency: 2 } } }],
] as const)("configure of %s, when a module was changed since it was loaded,", (_, patch) => {
  const define = (options: string): string => `
    import { defineTask } from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
    export const one = defineTask("one", ${options}, () => "old");`;

  test.each([
    ["has lost a task", "export const uno = () => 1;", /"one" is gone.*reload\(\)/],
    ["has one more", `${define("{}")}\nexport const two = () => 2;`, /"two" is new.*reload\(\)/],
    ["has other options", define("{ maxRetries: 7 }"), /"one" has other options.*reload\(\)/],
    ["has another version", define('{ version: "2" }'), /"one" is gone.*reload\(\)/],
  ])("is refused where it %s, and changes nothing", async (_case, text, message) => {
    const file = join(aPlace(), "tasks.mjs");
    writeFileSync(file, define("{}"));
    const omniq = await open({ tasks: file, executors: { threads: 1 } });
    writeFileSync(file, text);

    const error = await errorOf(() => omniq.configure(patch));

    expect(error).toMatchObject({ code: "TASK_MODULE", message: expect.stringMatching(message) });
    expect(await omniq.run("one", [])).toBe("old");
  });

  test("is accepted after a reload", async () => {
    const file = join(aPlace(), "tasks.mjs");
    writeFileSync(file, define("{}"));
    const omniq = await open({ tasks: file, executors: { threads: 1 } });
    writeFileSync(file, "export const uno = () => 'new';");
    await omniq.reload();
    await omniq.configure(patch);

    expect(await omniq.run("uno", [])).toBe("new");
  });
});
