import { expect, test } from "vitest";
import { ranksOf } from "../../src/supervisor/station.ts";
import { newLife, type StoredTask } from "../../src/task/task.ts";
import { aTask } from "../support/tasks.ts";

const claimed = (...priorities: number[]): StoredTask[] =>
  priorities.map((priority) => {
    const { id, request, args } = aTask({ priority });
    return { id, request, args, life: newLife(request) };
  });

test.each([
  [[], []],
  [
    [5, 3, 0],
    [5, 3, 0],
  ],
  [
    [-5, 9, 9, 1],
    [9, 9, 9, 1],
  ],
  [
    [0, 2, 1, 3],
    [3, 3, 3, 3],
  ],
])("tasks claimed in the order %j rank as %j", (priorities, ranks) => {
  expect(ranksOf(claimed(...priorities))).toEqual(ranks);
});
