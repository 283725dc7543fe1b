import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const run = promisify(execFile);

const built = (file: string): string => new URL(`../../dist/${file}`, import.meta.url).href;
const codec = built("task/codec.js");
const handlers = new URL("../fixtures/executor/handlers.mjs", import.meta.url).href;

/** Runs `body` in a process of its own, which has `executor` and `call(name)`; gives what it printed. */
async function inProcess(file: string, factory: string, body: string): Promise<string> {
  const script = `
    const { ${factory} } = await import("${built(file)}");
    const { encode } = await import("${codec}");
    const size = { threads: 2, processes: 2, concurrency: 2 };
    const executor = ${factory}({ ...size, modules: ["${handlers}"], maxResultBytes: 1e6, log: () => {} });
    const call = (name) => new Promise((resolve) => executor.run([{
      id: name, life: { attempt: 1 }, args: encode([], "args", { maxBytes: 1e6 }),
      request: { name, queue: "default", tags: [], metadata: {} },
    }], { ended: ([{ end }]) => console.log(end.type), idle: resolve }));
    process.on("exit", () => console.log("exit"));
    ${body}`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", script], { timeout: 50_000 });
  return stdout;
}

describe.each([
  ["threads", "executor/threads.js", "threadExecutor"],
  ["processes", "executor/processes.js", "processExecutor"],
  ["promises", "executor/promises.js", "asyncExecutor"],
])("%s", (_, file, factory) => {
  test("starting and running keep a process alive, and nothing does after the end", async () => {
    const body = `await executor.start(); await call("addAtOnce"); await executor.close(); console.log("closed");`;

    expect(await inProcess(file, factory, body)).toBe("value\nclosed\nexit\n");
  });

  test("an executor at rest keeps no process alive", async () => {
    expect(await inProcess(file, factory, `await executor.start(); await call("noop");`)).toBe("value\nexit\n");
  });

  test("what a handler left behind keeps no process alive", async () => {
    expect(await inProcess(file, factory, `await executor.start(); await call("leavesInterval");`)).toBe(
      "value\nexit\n",
    );
  });
});
