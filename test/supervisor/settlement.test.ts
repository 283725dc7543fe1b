import { describe, expect, test } from "vitest";
import type { AttemptReport } from "../../src/executor/executor.ts";
import { failureEnd, settlementFor, type StopCause } from "../../src/supervisor/settlement.ts";
import type { StoredTask, TaskLife, TaskRequest } from "../../src/task/task.ts";
import { newLife } from "../../src/task/task.ts";
import { aTask, someBytes } from "../support/tasks.ts";

const running = (request: Partial<TaskRequest> = {}, life: Partial<TaskLife> = {}): StoredTask => {
  const task = aTask(request);
  return {
    id: task.id,
    request: task.request,
    args: task.args,
    life: { ...newLife(task.request), state: "running", attempt: 2, ...life },
  };
};

const moment = { epoch: 7, now: 5_000, random: 0.5 };
const error = { name: "Error", message: "broken" };
const cancel: StopCause = { type: "cancel", reason: "on request" };
const timeout: StopCause = { type: "timeout", ms: 30 };

type End = AttemptReport["end"];
const value: End = { type: "value", result: someBytes(9) };
const fault = (reason: "error" | "timeout" | "crash" | "interrupted", isRetryable = true): End => ({
  type: "fault",
  fault: { reason, isRetryable },
  error,
});

const endOf = (task: StoredTask, end: End, stop?: StopCause) =>
  settlementFor(task, { id: task.id, end }, stop, moment).end;

describe("a settlement", () => {
  test("bears the fence of the attempt, and what was measured", () => {
    const task = running();
    const report = { id: task.id, end: value, startedAt: 4_000, durationMs: 12.5, workerId: "thread-1" };

    expect(settlementFor(task, report, undefined, moment)).toEqual({
      id: task.id,
      fence: { epoch: 7, attempt: 2 },
      end: { to: "completed", result: someBytes(9) },
      startedAt: 4_000,
      durationMs: 12.5,
      workerId: "thread-1",
    });
  });

  test("says nothing of what was not measured", () => {
    const task = running();

    // Fields that are undefined are as good as left out.
    expect(settlementFor(task, { id: task.id, end: value }, undefined, moment)).toEqual({
      id: task.id,
      fence: { epoch: 7, attempt: 2 },
      end: { to: "completed", result: someBytes(9) },
    });
  });

  test("of a value says how long the result is kept", () => {
    expect(endOf(running({ resultTtlMs: 60 }), value)).toMatchObject({ to: "completed", resultTtlMs: 60 });
  });
});

describe("an attempt that was to be cancelled", () => {
  test("is completed when it gives its value all the same", () => {
    expect(endOf(running(), value, cancel).to).toBe("completed");
  });

  test.each<[string, End]>([
    ["stops", { type: "stopped" }],
    ["throws", fault("error")],
    ["never started", { type: "unstarted" }],
    ["loses its worker", fault("crash")],
    ["is interrupted", fault("interrupted")],
  ])("is cancelled when it %s", (_what, end) => {
    expect(endOf(running({ maxRetries: 3 }), end, cancel)).toEqual({ to: "cancelled", reason: "on request" });
  });
});

describe("an attempt that is over its time", () => {
  const retried = running({ maxRetries: 3 });

  test.each<[string, End]>([
    ["stops", { type: "stopped" }],
    ["throws", fault("error")],
  ])("has timed out when it %s", (_what, end) => {
    expect(endOf(retried, end, timeout)).toMatchObject({
      to: "retrying",
      failures: 1,
      failure: {
        attempt: 2,
        at: 5_000,
        reason: "timeout",
        error: { code: "TIMEOUT", message: expect.stringContaining("30 ms") },
      },
    });
  });

  test("fails for good with the last retry", () => {
    expect(endOf(running(), { type: "stopped" }, timeout)).toMatchObject({ to: "failed", reason: "timeout" });
  });

  test("has crashed when it brings its worker down", () => {
    expect(endOf(retried, fault("crash"), timeout)).toMatchObject({ to: "retrying", crashes: 1, failures: 0 });
  });
});

describe("an attempt that ended by itself", () => {
  test("never started: it is as if it had not been claimed", () => {
    expect(endOf(running(), { type: "unstarted" })).toEqual({ to: "ready", cause: "unstarted" });
  });

  test("was stopped though nobody asked: an interruption", () => {
    expect(endOf(running(), { type: "stopped" })).toMatchObject({
      to: "ready",
      cause: "interrupted",
      interruptions: 1,
    });
  });

  test("fails at once when its error is not to be retried", () => {
    expect(endOf(running({ maxRetries: 9 }), fault("error", false))).toMatchObject({
      to: "failed",
      reason: "error",
      failures: 1,
    });
  });

  test("is poison at the third crash, and keeps the crash as the failure", () => {
    const end = failureEnd(
      running({ maxRetries: 9 }, { crashes: 2 }),
      { reason: "crash", isRetryable: true },
      error,
      moment,
    );

    expect(end).toMatchObject({ to: "failed", reason: "poison", crashes: 3, failure: { error } });
  });

  test("fails of interruptions only where they are limited", () => {
    const interrupted = { reason: "interrupted", isRetryable: true } as const;
    const often = { interruptions: 1_000 };

    expect(failureEnd(running({}, often), interrupted, error, moment)).toMatchObject({
      to: "ready",
      interruptions: 1_001,
    });
    expect(failureEnd(running({ maxInterruptions: 1_000 }, often), interrupted, error, moment)).toMatchObject({
      to: "failed",
      reason: "interrupted",
    });
  });
});
