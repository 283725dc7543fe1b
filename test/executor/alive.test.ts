import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const run = promisify(execFile);

const threads = new URL("../../dist/executor/threads.js", import.meta.url).href;
const codec = new URL("../../dist/task/codec.js", import.meta.url).href;
const handlers = new URL("../fixtures/executor/handlers.mjs", import.meta.url).href;

/** Runs `body` in a process of its own, which has `executor` and `call(name)`; gives what it printed. */
async function inProcess(body: string): Promise<string> {
  const script = `
    const { threadExecutor } = await import("${threads}");
    const { encode } = await import("${codec}");
    const executor = threadExecutor({ threads: 2, modules: ["${handlers}"], maxResultBytes: 1e6, log: () => {} });
    const call = (name) => new Promise((resolve) => executor.run([{
      id: name, life: { attempt: 1 }, args: encode([], "args", { maxBytes: 1e6 }),
      request: { name, queue: "default", tags: [], metadata: {} },
    }], { ended: ([{ end }]) => console.log(end.type), idle: resolve }));
    process.on("exit", () => console.log("exit"));
    ${body}`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", script], { timeout: 50_000 });
  return stdout;
}

test("starting and running keep a process alive, and nothing does after the end", async () => {
  expect(await inProcess(`await executor.start(); await call("noop"); await executor.close();`)).toBe("value\nexit\n");
});

test("an executor at rest keeps no process alive", async () => {
  expect(await inProcess(`await executor.start(); await call("noop");`)).toBe("value\nexit\n");
});

test("what a handler left behind keeps no process alive", async () => {
  expect(await inProcess(`await executor.start(); await call("leavesInterval");`)).toBe("value\nexit\n");
});
