import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Omniq, type OpenOptions } from "omniq";
import { describe, expect, onTestFinished, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { aPlace, errorOf } from "../support/runtimes.ts";

const omniqUrl = new URL("../../dist/index.js", import.meta.url).href;

/** A module of tasks that tests write anew. */
class Module {
  readonly path = join(aPlace(), "tasks.mjs");

  constructor(text: string) {
    this.write(text);
  }

  write(text: string): void {
    writeFileSync(this.path, `import { defineTask, defineResources } from ${JSON.stringify(omniqUrl)};\n${text}\n`);
  }
}

async function open(module: Module, options: Partial<OpenOptions> = {}): Promise<Omniq> {
  const omniq = await Omniq.open({
    tasks: pathToFileURL(module.path),
    storage: "memory:",
    executors: { threads: 1 },
    ...options,
  });
  onTestFinished(() => omniq.close({ drain: 0 }));
  return omniq;
}

const version = (text: string): string => `export const version = () => ${JSON.stringify(text)};`;
/** Says its version when the file is there. */
const staying = (text: string): string => `
import { existsSync, writeFileSync } from "node:fs";
export const stay = async (folder) => {
  writeFileSync(folder + "/stays", "");
  while (!existsSync(folder + "/go")) await new Promise((resolve) => setTimeout(resolve, 2));
  return ${JSON.stringify(text)};
};`;

describe.each(["thread", "process", "async"] as const)("reload, for executor %s", (executor) => {
  const executors = { threads: 2, processes: 2, async: { concurrency: 2 } };

  test("runs what the modules say now", async () => {
    const module = new Module(version("old"));
    const omniq = await open(module, { executors });
    expect(await omniq.run("version", [], { executor })).toBe("old");

    module.write(version("new"));
    await omniq.reload();

    expect(await omniq.run("version", [], { executor })).toBe("new");
  });

  test("lets what runs come to its end with the old code, while the new code runs already", async () => {
    const folder = aPlace();
    const module = new Module(version("old") + staying("old"));
    const omniq = await open(module, { executors });
    const stays = await omniq.enqueue("stay", [folder], { executor });
    await eventually(() => existsSync(`${folder}/stays`));

    module.write(version("new") + staying("new"));
    await omniq.reload();
    expect(await omniq.run("version", [], { executor })).toBe("new");
    writeFileSync(`${folder}/go`, "");

    expect(await stays.result()).toBe("old");
    expect(await stays.record()).toMatchObject({ attempt: 1, interruptions: 0 });
  });
});

describe("reload", () => {
  test("makes new names known, and forgets those that are gone", async () => {
    const module = new Module(version("1"));
    const omniq = await open(module);
    expect(await errorOf(() => omniq.enqueue("added", []))).toMatchObject({ code: "UNKNOWN_TASK" });

    module.write("export const added = () => 'here';");
    await omniq.reload();

    expect(await omniq.run("added", [])).toBe("here");
    expect(omniq.taskNames).toEqual(["added"]);
    expect(await errorOf(() => omniq.enqueue("version", []))).toMatchObject({ code: "UNKNOWN_TASK" });
  });

  test("sets aside what has lost its handler, and runs it when the handler is back", async () => {
    const module = new Module(version("1"));
    const omniq = await open(module, { queues: { default: { paused: true } } });
    const waiting = await omniq.enqueueMany("version", [[], [], []]);

    module.write("export const another = () => 2;");
    await omniq.reload();
    await omniq.queues.get("default").resume();
    await eventually(async () => (await omniq.drain()).parked === 3);
    module.write(version("3"));
    await omniq.reload();

    expect(await Promise.all(waiting.map((handle) => handle.result()))).toEqual(["3", "3", "3"]);
  });

  test("starts nothing whose handler is gone, though it was about to begin", async () => {
    const folder = aPlace();
    const busy = `
      import { existsSync, writeFileSync } from "node:fs";
      export const stay = (folder) => {
        writeFileSync(folder + "/stays", "");
        while (!existsSync(folder + "/go"));
      };`;
    const module = new Module(version("1") + busy);
    const omniq = await open(module);
    const stays = await omniq.enqueue("stay", [folder]);
    await eventually(() => existsSync(`${folder}/stays`));
    const waiting = await omniq.enqueueMany("version", [[], [], []]);

    module.write(busy);
    await omniq.reload();
    writeFileSync(`${folder}/go`, "");
    await stays.result();
    await eventually(async () => (await omniq.drain()).parked === 3);

    expect(await Promise.all(waiting.map((handle) => handle.state()))).toEqual(["ready", "ready", "ready"]);
  });

  test("takes the options of definitions as they are now", async () => {
    const module = new Module(
      `export const task = defineTask("task", { maxRetries: 0 }, () => { throw new Error("no"); });`,
    );
    const omniq = await open(module);

    module.write(
      `export const task = defineTask("task", { maxRetries: 2, retryDelay: 1 }, () => { throw new Error("no"); });`,
    );
    await omniq.reload();
    const handle = await omniq.enqueue("task", []);
    await handle.wait();

    expect((await handle.record())?.attempt).toBe(3);
  });

  test("checks arguments with the schemas of now", async () => {
    const schema = (word: string): string => `{ "~standard": { version: 1, vendor: "test", validate: (value) =>
      value[0] === "${word}" ? { value } : { issues: [{ message: "not ${word}" }] } } }`;
    const define = (word: string): string =>
      `export const task = defineTask("task", { input: ${schema(word)} }, (word) => word);`;
    const module = new Module("export const task = (word) => word;");
    const omniq = await open(module);
    expect(await omniq.run("task", ["anything"])).toBe("anything");

    module.write(define("new"));
    await omniq.reload();

    expect(await omniq.run("task", ["new"])).toBe("new");
    expect(await errorOf(() => omniq.enqueue("task", ["anything"]))).toMatchObject({ code: "INVALID_INPUT" });
  });

  test("sets resources up anew", async () => {
    const resources = (text: string): string => `
      defineResources(async () => ({ word: "${text}" }));
      import { currentTask } from ${JSON.stringify(omniqUrl)};
      export const word = () => currentTask().resources.word;`;
    const module = new Module(resources("old"));
    const omniq = await open(module);
    expect(await omniq.run("word", [])).toBe("old");

    module.write(resources("new"));
    await omniq.reload();

    expect(await omniq.run("word", [])).toBe("new");
  });

  test.each([
    ["does not parse", "export const = ;", "TASK_MODULE"],
    ["throws", "throw new Error('not today');", "TASK_MODULE"],
    ["exports nothing", "const hidden = 1;", "TASK_MODULE"],
    [
      "names two tasks alike",
      `export const a = defineTask("x", {}, () => 1); export const b = defineTask("x", {}, () => 2);`,
      "DUPLICATE_NAME",
    ],
    ["ends its worker", "process.exit(1);", "TASK_MODULE"],
    [
      "has an option that does not exist",
      `export const a = defineTask("x", { retries: 1 }, () => 1);`,
      "UNKNOWN_OPTION",
    ],
    [
      "has other limits than at open",
      `export const version = defineTask("version", { concurrency: 1 }, () => 1);`,
      "INVALID_ARGUMENT",
    ],
  ])("is refused as a whole when a module %s: the old code goes on", async (_, text, code) => {
    const module = new Module(version("old"));
    const omniq = await open(module, { executors: { threads: 2, processes: 1 } });

    module.write(text);

    expect(await errorOf(() => omniq.reload())).toMatchObject({ code });
    expect(await omniq.run("version", [])).toBe("old");
    expect(await omniq.run("version", [], { executor: "process" })).toBe("old");
    module.write(version("mended"));
    await omniq.reload();
    expect(await omniq.run("version", [])).toBe("mended");
  });

  test("under load loses nothing, and fails nothing", async () => {
    const module = new Module(version("0"));
    const omniq = await open(module, { executors: { threads: 2, processes: 1 } });
    const handles = await Promise.all(
      Array.from({ length: 400 }, (_, n) => omniq.enqueue("version", [], n % 4 === 0 ? { executor: "process" } : {})),
    );
    for (const number of ["1", "2", "3"]) {
      module.write(version(number));
      await omniq.reload();
    }
    handles.push(await omniq.enqueue("version", []));
    const seen = await Promise.all(handles.map((handle) => handle.result()));

    expect(seen.at(-1)).toBe("3");
    expect(await omniq.count({ state: "completed" })).toBe(handles.length);
  });

  test("makes custom executors anew", async () => {
    const module = new Module(version("old"));
    const fork = new URL("../fixtures/executor/custom/forking.mjs", import.meta.url);
    const omniq = await open(module, { executors: { threads: 1, custom: { fork } }, executor: "fork" });
    expect(await omniq.run("version", [])).toBe("old");

    module.write(version("new"));
    await omniq.reload();

    expect(await omniq.run("version", [])).toBe("new");
  });

  test("keeps the numbers of workers that configure set", async () => {
    const module = new Module(version("old"));
    const omniq = await open(module);
    await omniq.configure({ executors: { processes: 1 } });
    module.write(version("new"));
    await omniq.reload();

    expect(await omniq.run("version", [], { executor: "process" })).toBe("new");
  });
});

describe.each([
  ["waits for ever", "await new Promise(() => {});"],
  ["never ends", "for (;;);"],
])("close, while reload loads a module that %s", (_, text) => {
  test.each(["threads", "processes"] as const)("ends that (%s)", { timeout: 30_000 }, async (kind) => {
    const module = new Module(version("old"));
    const omniq = await open(module, { executors: { threads: 1, processes: 1 } });
    const folder = aPlace();
    module.write(`import { writeFileSync } from "node:fs";
      import { isMainThread } from "node:worker_threads";
      if (isMainThread === ${kind === "processes"}) { writeFileSync(${JSON.stringify(`${folder}/loads`)}, ""); ${text} }
      ${version("new")}`);
    const reload = errorOf(() => omniq.reload());
    await eventually(() => existsSync(`${folder}/loads`));

    await omniq.close({ drain: 0 });

    expect(await reload).toMatchObject({ code: "CLOSED" });
  });
});

test("close, while reload waits for a custom executor to start, ends that", { timeout: 30_000 }, async () => {
  const folder = aPlace();
  const text = (start: string): string => `
    import { writeFileSync } from "node:fs";
    export default () => ({ slots: 2, start: async () => { ${start} }, run() {}, close: async () => {} });`;
  const executor = join(folder, "executor.mjs");
  writeFileSync(
    executor,
    text(`
    if (!globalThis.wasStarted) return void (globalThis.wasStarted = true);
    writeFileSync(${JSON.stringify(`${folder}/starts`)}, "");
    await new Promise(() => {});`),
  );
  const omniq = await open(new Module(version("old")), { executors: { threads: 1, custom: { gpu: executor } } });
  const reload = errorOf(() => omniq.reload());
  await eventually(() => existsSync(`${folder}/starts`));

  await omniq.close({ drain: 0 });

  expect(await reload).toMatchObject({ code: "CLOSED" });
});
