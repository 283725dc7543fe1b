import { describe, expect, test } from "vitest";
import { newLife, type TaskRequest } from "../../src/task/task.ts";
import {
  firstStates,
  isTerminal,
  isWaiting,
  mayMove,
  moves,
  taskStates,
  terminalStates,
  waitingStates,
} from "../../src/task/state.ts";
import { defaultBackoff } from "../../src/task/retry.ts";

describe("states", () => {
  test("every state waits, runs, or is terminal, and only one of these", () => {
    expect([...waitingStates, "running", ...terminalStates].toSorted()).toEqual(taskStates.toSorted());
    for (const state of taskStates) {
      expect([isWaiting(state), state === "running", isTerminal(state)].filter(Boolean)).toHaveLength(1);
    }
  });

  test("every state is reached from where tasks start", () => {
    const reached = new Set(firstStates);
    for (const state of reached) for (const next of moves[state]) reached.add(next);

    expect([...reached].toSorted()).toEqual(taskStates.toSorted());
  });

  test("a task can end from every state", () => {
    for (const state of taskStates.filter((one) => !isTerminal(one))) {
      expect(moves[state].some(isTerminal)).toBe(true);
    }
  });

  test("only a ready task starts", () => {
    expect(taskStates.filter((state) => mayMove(state, "running"))).toEqual(["ready"]);
  });

  test("a completed task stays as it is; other ends may be undone by making the task ready", () => {
    expect(terminalStates.map((state) => [state, moves[state]])).toEqual([
      ["completed", []],
      ["failed", ["ready"]],
      ["cancelled", ["ready"]],
      ["expired", ["ready"]],
    ]);
  });

  test("a running task does not expire", () => {
    expect(mayMove("running", "expired")).toBe(false);
  });

  test("the table of moves cannot be changed", () => {
    expect(Object.isFrozen(moves)).toBe(true);
  });
});

describe("a task that was just stored", () => {
  const request: TaskRequest = {
    name: "resize",
    queue: "default",
    priority: 0,
    createdAt: 1_000,
    maxRetries: 0,
    backoff: defaultBackoff,
    tags: [],
    metadata: {},
  };

  test("is ready, with nothing counted", () => {
    expect(newLife(request)).toEqual({
      state: "ready",
      attempt: 0,
      failures: 0,
      crashes: 0,
      interruptions: 0,
      failed: [],
    });
  });

  test("is scheduled when it is to start later", () => {
    expect(newLife({ ...request, runAt: 1_001 })).toMatchObject({ state: "scheduled", runAt: 1_001 });
  });

  test.each([999, 1_000])("is ready when it was to start at %i, which has come", (runAt) => {
    expect(newLife({ ...request, runAt })).toMatchObject({ state: "ready" });
    expect(newLife({ ...request, runAt })).not.toHaveProperty("runAt");
  });

  test("starts in one of the first states", () => {
    expect(firstStates).toContain(newLife(request).state);
    expect(firstStates).toContain(newLife({ ...request, runAt: 2_000 }).state);
  });
});
