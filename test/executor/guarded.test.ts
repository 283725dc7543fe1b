import { describe, expect, test } from "vitest";
import { ClosedError } from "../../src/base/errors.ts";
import type { CustomExecutor } from "../../src/executor/custom.ts";
import type { AttemptReport, Run, RunObserver } from "../../src/executor/executor.ts";
import { Guarded } from "../../src/executor/guarded.ts";
import { encode } from "../../src/task/codec.ts";
import { aCall, endsOf } from "../conformance/executor/bench.ts";

const result = encode("done", "result", { maxBytes: 1_000 });
const noRun: Run = { current: () => undefined, revoke() {}, stop() {} };

function guard(inner: Partial<CustomExecutor>) {
  const logged: string[] = [];
  const whole: CustomExecutor = { slots: 2, start: async () => {}, run: () => noRun, close: async () => {}, ...inner };
  return { executor: new Guarded(whole, 1_000, (thrown) => void logged.push(String(thrown))), logged };
}

/** Runs two tasks, and gives what was told, in order. */
function runTwo(run: CustomExecutor["run"]) {
  const [one, two] = [aCall(["noop"]), aCall(["noop"])];
  const told: (readonly AttemptReport[] | "idle")[] = [];
  const { executor, logged } = guard({ run });
  const observer: RunObserver = { ended: (reports) => told.push(reports), idle: () => told.push("idle") };
  return { one, two, told, logged, run: executor.run([one, two], observer) };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const value = { type: "value", result } as const;

describe("a guarded executor", () => {
  test("tells nothing before its run has returned, and everything in order then", async () => {
    const { told, one, two } = runTwo(([first, second], observer) => {
      queueMicrotask(() => observer.idle());
      observer.ended([{ id: String(first?.id), end: value }]);
      observer.ended([{ id: String(second?.id), end: value }]);
      return noRun;
    });
    expect(told).toEqual([]);

    await settled();

    expect(told).toMatchObject([[{ id: one.id, end: value }], [{ id: two.id, end: value }], "idle"]);
  });

  test("keeps what it has told when its run throws after that", async () => {
    const { told } = runTwo(([first], observer) => {
      observer.ended([{ id: String(first?.id), end: value }]);
      throw new Error("too much");
    });
    await settled();

    expect(told.flatMap((reports) => (reports === "idle" ? [] : endsOf(reports)))).toEqual(["value", "error"]);
    expect(told.at(-1)).toBe("idle");
  });

  test("tells good reports that come together with bad ones", async () => {
    const { told, logged } = runTwo(([first, second], observer) => {
      const bad = [undefined, { id: String(first?.id), end: {} }] as unknown as AttemptReport[];
      setImmediate(() => observer.ended([...bad, { id: String(second?.id), end: value }]));
      return noRun;
    });
    await settled();
    await settled();

    expect(told.flatMap((reports) => (reports === "idle" ? [] : endsOf(reports)))).toEqual(["crash", "value"]);
    expect(logged).toHaveLength(1);
  });

  test("passes on that ends are wanted soon, and the name of the worker", () => {
    let hurries = 0;
    const { run } = runTwo(() => ({ ...noRun, workerName: () => "gpu-1", hurry: () => void hurries++ }));
    run.hurry?.();

    expect(hurries).toBe(1);
    expect(run.workerName?.()).toBe("gpu-1");
  });

  test("that is closed ends a start that would never end", async () => {
    const { executor } = guard({ start: () => new Promise(() => {}) });
    const start = executor.start();
    await executor.close();

    await expect(start).rejects.toThrow(ClosedError);
  });
});
