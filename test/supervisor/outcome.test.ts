import { describe, expect, test } from "vitest";
import type { AttemptEnd } from "../../src/storage/storage.ts";
import { settledOutcome, storedOutcome } from "../../src/supervisor/outcome.ts";
import { taskStates, terminalStates } from "../../src/task/state.ts";
import { newLife, type AttemptFailure, type StoredTask, type TaskLife } from "../../src/task/task.ts";
import { aTask, someBytes } from "../support/tasks.ts";

const error = { name: "Error", message: "broken" };
const failure: AttemptFailure = { attempt: 3, at: 50, reason: "timeout", error };
const tallies = { failures: 1, crashes: 0, interruptions: 0 };

const stored = (life: Partial<TaskLife>): StoredTask => {
  const { id, request, args } = aTask({ id: "task" });
  return { id, request, args, life: { ...newLife(request), ...life } };
};

describe("the outcome of a settlement", () => {
  const outcomeOf = (end: AttemptEnd) => settledOutcome({ id: "task", fence: { epoch: 7, attempt: 3 }, end });

  test.each<[AttemptEnd, object]>([
    [
      { to: "completed", result: someBytes(4) },
      { state: "completed", result: someBytes(4) },
    ],
    [
      { to: "failed", reason: "timeout", failure, ...tallies },
      { state: "failed", reason: "timeout", error },
    ],
    [
      { to: "cancelled", reason: "on request" },
      { state: "cancelled", reason: "on request" },
    ],
  ])("tells how the task ended: %j", (end, told) => {
    expect(outcomeOf(end)).toEqual({ id: "task", attempt: 3, ...told });
  });

  test.each<AttemptEnd>([
    { to: "retrying", runAt: 99, failure, ...tallies },
    { to: "ready", cause: "interrupted", ...tallies },
    { to: "ready", cause: "unstarted" },
    { to: "ready", cause: "parked" },
  ])("is none while the task goes on: %j", (end) => {
    expect(outcomeOf(end)).toBeUndefined();
  });
});

describe("the outcome of a stored task", () => {
  test.each(taskStates)("is there exactly when its state is final: %s", (state) => {
    const outcome = storedOutcome("task", stored({ state, attempt: 4 }));

    expect(outcome).toEqual(terminalStates.includes(state) ? { id: "task", state, attempt: 4 } : undefined);
  });

  test("is unknown where there is no task", () => {
    expect(storedOutcome("nowhere", undefined)).toEqual({ id: "nowhere", state: "unknown", attempt: 0 });
  });

  test("of one that failed has the error by which it failed", () => {
    const life = { state: "failed", attempt: 3, reason: "timeout", failed: [failure] } as const;

    expect(storedOutcome("task", stored(life))).toMatchObject({ reason: "timeout", error });
  });

  test.each<Partial<TaskLife>>([
    { state: "failed", reason: "interrupted" },
    { state: "cancelled", reason: "on request" },
    { state: "expired" },
    { state: "completed" },
  ])("has no error of an attempt that was followed by another: %j", (life) => {
    expect(storedOutcome("task", stored({ ...life, failed: [failure] }))).not.toHaveProperty("error");
  });
});
