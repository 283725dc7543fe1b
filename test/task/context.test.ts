import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import { NoCurrentTaskError } from "../../src/base/errors.ts";
import { currentTask, runInContext, type TaskContext } from "../../src/task/context.ts";

const contextOf = (id: string): TaskContext => ({
  id,
  name: "resize",
  attempt: 1,
  args: ["a.png"],
  queue: "default",
  tags: [],
  metadata: {},
  signal: new AbortController().signal,
  cancelled: false,
  resources: {},
  progress() {},
  log() {},
  heartbeat() {},
  checkpoint: (_key, make) => Promise.resolve(make()) as never,
  enqueue: () => Promise.resolve(undefined),
  throwIfCancelled() {},
});

describe("currentTask", () => {
  test("gives the context of the handler, also after an await", async () => {
    const context = contextOf("t1");

    const [before, after] = await runInContext(context, async () => {
      const first = currentTask();
      await new Promise(setImmediate);
      return [first, currentTask()];
    });

    expect([before, after]).toEqual([context, context]);
    expect(before).toBe(context);
  });

  test("tells handlers apart that run at the same time", async () => {
    const idAfterAwait = async (): Promise<string> => {
      await Promise.resolve();
      return currentTask().id;
    };

    expect(await Promise.all(["a", "b"].map((id) => runInContext(contextOf(id), idAfterAwait)))).toEqual(["a", "b"]);
  });

  test("throws outside of a handler", () => {
    runInContext(contextOf("t1"), () => undefined);

    expect(() => currentTask()).toThrow(NoCurrentTaskError);
  });

  test("is found by another copy of the package", () => {
    const shared: unknown = Reflect.get(globalThis, Symbol.for("omniq.context"));
    const context = contextOf("t1");

    expect(shared).toBeInstanceOf(AsyncLocalStorage);
    expect(runInContext(context, () => (shared as AsyncLocalStorage<unknown>).getStore())).toBe(context);
  });
});

test("runInContext gives what the function gives, and throws what it throws", () => {
  expect(runInContext(contextOf("t1"), () => 7)).toBe(7);
  expect(() => runInContext(contextOf("t1"), () => { throw new RangeError("no"); })).toThrow(RangeError); // prettier-ignore
});
