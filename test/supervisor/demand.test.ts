import { describe, expect, test } from "vitest";
import { Demand } from "../../src/supervisor/demand.ts";
import { newLife, type StoredTask } from "../../src/task/task.ts";
import { aTask } from "../support/tasks.ts";

const tasks = (count: number, priority = 0): StoredTask[] =>
  Array.from({ length: count }, () => {
    const { id, request, args } = aTask({ priority });
    return { id, request, args, life: newLife(request) };
  });
const byId = (list: readonly StoredTask[]): Map<string, StoredTask> => new Map(list.map((task) => [task.id, task]));
const demandOf = (wanted: number, workers = 2): Demand => {
  const demand = new Demand(() => "thread");
  demand.restart(new Map([["thread", wanted]]), new Map([["thread", workers]]));
  return demand;
};

describe("demand", () => {
  test("is claimed once", () => {
    const demand = demandOf(6);
    expect(demand.take()).toMatchObject({ limit: 6, room: new Map([["thread", 6]]) });
    expect(demand.take()).toBeUndefined();
  });

  test("that was not met is claimed again when something becomes ready", () => {
    const demand = demandOf(6);
    const claim = demand.take();
    const some = tasks(2);
    if (claim !== undefined) expect(demand.came(claim, some, some)).toEqual(new Map([["thread", 2]]));
    expect(demand.take()).toBeUndefined();
    demand.becameReady();
    expect(demand.take()).toMatchObject({ limit: 4 });
  });

  test("is not met by what came because it was urgent", () => {
    const demand = demandOf(2);
    const running = tasks(2);
    const first = demand.take();
    if (first !== undefined) demand.came(first, running, running);
    for (let round = 0; round < 50; round++) {
      demand.becameReady();
      const urgent = tasks(1, 5);
      demand.rush(urgent, byId(running));
      const claim = demand.take();
      expect(claim).toMatchObject({ limit: 1 });
      if (claim !== undefined) expect(demand.came(claim, urgent, urgent)).toEqual(new Map([["thread", 0]]));
    }
    demand.becameReady();
    expect(demand.take()).toBeUndefined();
  });

  test("of a new dispatcher counts what is being claimed, and no more than was asked for", () => {
    const demand = demandOf(0);
    const running = tasks(1);
    demand.rush(tasks(1, 5), byId(running));
    const urgent = demand.take();
    demand.restart(new Map([["thread", 1]]), new Map([["thread", 2]]));
    if (urgent !== undefined) demand.came(urgent, [], []);
    demand.becameReady();
    expect(demand.take()).toMatchObject({ limit: 1 });
  });

  test("that was refused with what it rode with is claimed again", () => {
    const demand = demandOf(3);
    const claim = demand.take();
    if (claim !== undefined) demand.failed(claim);
    expect(demand.take()).toMatchObject({ limit: 3 });
  });
});
