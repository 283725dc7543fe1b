import { expect, test } from "vitest";
import type { OutcomeSink, TaskOutcome } from "../../src/supervisor/protocol.ts";
import { Waiters } from "../../src/supervisor/waiters.ts";

const ended = (id: string): TaskOutcome => ({ id, state: "completed", attempt: 1 });

function aSink(): OutcomeSink & { readonly calls: string[][] } {
  const calls: string[][] = [];
  return { calls, deliver: (outcomes) => void calls.push(outcomes.map(({ id }) => id)) };
}

test("a waiter is told of all its tasks in one delivery, in their order", () => {
  const [waiters, one, other] = [new Waiters(), aSink(), aSink()];
  for (const id of ["a", "b", "c"]) waiters.add(id, one);
  waiters.add("b", other);

  waiters.deliver([ended("c"), ended("b"), ended("x")]);

  expect(one.calls).toEqual([["c", "b"]]);
  expect(other.calls).toEqual([["b"]]);
});

test("a waiter is told once of a task, however often it asked and the task ends", () => {
  const [waiters, sink] = [new Waiters(), aSink()];
  waiters.add("a", sink);
  waiters.add("a", sink);

  waiters.deliver([ended("a")]);
  waiters.deliver([ended("a")]);

  expect(sink.calls).toEqual([["a"]]);
  expect(waiters.ids).toEqual([]);
});

test("a waiter that is taken away is not told, others are", () => {
  const [waiters, one, other] = [new Waiters(), aSink(), aSink()];
  waiters.add("a", one);
  waiters.add("a", other);
  waiters.remove("a", one);
  waiters.remove("unknown", one);

  waiters.deliver([ended("a")]);

  expect(one.calls).toEqual([]);
  expect(other.calls).toEqual([["a"]]);
});
