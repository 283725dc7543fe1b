import { describe, expect, test } from "vitest";
import { InvalidArgumentError, InvalidCronError } from "../../src/base/errors.ts";
import { cron } from "../../src/schedule/cron.ts";
import { defineSchedule } from "../../src/schedule/define-schedule.ts";
import { every } from "../../src/schedule/every.ts";
import { defineTask, definitionOf, tasksIn } from "../../src/task/definition.ts";

describe("defineSchedule", () => {
  test("makes a task that can still be called, and declares a schedule of it", () => {
    const double = defineSchedule("double", every("5m"), (value: number) => 2 * value, { args: [2] });

    expect(double(3)).toBe(6);
    expect(tasksIn({ double })).toEqual([
      {
        name: "double",
        options: {},
        handler: double,
        schedules: [{ trigger: every("5m"), options: { args: [2] } }],
      },
    ]);
  });

  test("takes a cron expression", () => {
    const nightly = defineSchedule("nightly", "0 3 * * *", () => 1);

    expect(tasksIn({ nightly })[0]?.schedules?.[0]?.trigger).toEqual(cron("0 3 * * *"));
  });

  test("gives the task what is the task's, and the schedule what is its own", () => {
    const options = {
      maxRetries: 3,
      timeout: "5m",
      version: "2",
      unique: false,
      ttl: "1h",
      tags: ["a"],
      name: "nightly",
    } as const;
    const nightly = defineSchedule("nightly", "0 3 * * *", () => 1, options);

    expect(definitionOf(nightly)?.options).toEqual({ maxRetries: 3, timeout: "5m", version: "2" });
    expect(tasksIn({ nightly })[0]?.schedules?.[0]?.options).toEqual({
      unique: false,
      ttl: "1h",
      tags: ["a"],
      name: "nightly",
    });
  });

  test("declares several schedules of one task", () => {
    const fetch = defineTask("fetch", { maxRetries: 1 }, () => 1);
    expect(defineSchedule("fetch", every("5m"), fetch, { priority: "high" })).toBe(fetch);
    defineSchedule("fetch", "0 3 * * *", fetch);

    const [task] = tasksIn({ fetch });
    expect(task?.options).toEqual({ maxRetries: 1 });
    expect(task?.schedules?.map(({ options }) => options)).toEqual([{ priority: "high" }, {}]);
  });

  test("refuses another name for a task", () => {
    const fetch = defineTask("fetch", () => 1);

    expect(() => defineSchedule("load", every("5m"), fetch)).toThrow(InvalidArgumentError);
  });

  test("refuses what is no trigger, with its place", () => {
    expect(() => defineSchedule("bad", "every day", () => 1)).toThrow(InvalidCronError);
    expect(() => defineSchedule("bad", "61 * * * *", () => 1)).toThrow('defineSchedule("bad").expression');
    expect(() => defineSchedule("bad", 5 as never, () => 1)).toThrow(InvalidArgumentError);
    expect(() => defineSchedule("bad", every("5m"), () => 1, [] as never)).toThrow(InvalidArgumentError);
    expect(() => defineSchedule("bad", every("5m"), "handler" as never)).toThrow(InvalidArgumentError);
  });
});
