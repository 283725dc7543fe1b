import { defineTask, Omniq, type Outcome, type TaskHandle } from "omniq";
import { expect, expectTypeOf, test } from "vitest";
import type * as decorated from "../fixtures/journeys/decorated.ts";
import type * as journeyTasks from "../fixtures/journeys/tasks.ts";
import { shared } from "../support/runtimes.ts";

// Types are checked when the project is compiled; run here, the same lines must do what their types say.

const runtime = shared();

test("arguments and results of named tasks have their types", async () => {
  const omniq = runtime();
  const handle = await omniq.enqueue("add", [1, 2]);
  const outcome = await handle.wait();

  expectTypeOf(handle).toEqualTypeOf<TaskHandle<number>>();
  expectTypeOf(outcome).toEqualTypeOf<Outcome<number>>();
  expectTypeOf(await handle.result()).toEqualTypeOf<number>();
  expectTypeOf(await omniq.run("describe", ["x"])).toEqualTypeOf<string>();
  expectTypeOf(await omniq.run("describe", ["x", { detailed: true }])).toEqualTypeOf<string>();
  expectTypeOf(await omniq.run("addLater", [1, 2])).toEqualTypeOf<number>();
  expect(outcome.value).toBe(3);
});

test("definitions given directly have their types", async () => {
  const { add, eager } = await import("../fixtures/journeys/tasks.ts");
  const omniq = runtime();

  expectTypeOf(await omniq.enqueue(add, [1, 2])).toEqualTypeOf<TaskHandle<number>>();
  expectTypeOf(await omniq.run(eager, [])).toEqualTypeOf<number>();
  expect(await omniq.run(add, [1, 2])).toBe(3);
});

test("a definition without parameters takes an empty list, and one with some takes theirs", () => {
  const none = defineTask("none", () => 1);
  const some = defineTask("some", { maxRetries: 1 }, async (text: string, more?: number) => ({ text, more }));

  expectTypeOf<Parameters<typeof none>>().toEqualTypeOf<[]>();
  expectTypeOf(some).parameters.toEqualTypeOf<[text: string, more?: number | undefined]>();
  const calls = (omniq: Omniq): unknown[] => [
    () => omniq.enqueue(none, []),
    () => omniq.enqueue(some, ["x"]),
    () => omniq.enqueue(some, ["x", 1]),
    // @ts-expect-error -- takes nothing
    () => omniq.enqueue(none, [1]),
    // @ts-expect-error -- takes text first
    () => omniq.enqueue(some, [1]),
    () => expectTypeOf(omniq.run(some, ["x"])).resolves.toEqualTypeOf<{ text: string; more: number | undefined }>(),
  ];
  expect(calls).toBeTypeOf("function");
});

test("a map gives the types of its items", async () => {
  const sums: number[] = [];
  for await (const item of runtime().map(
    "add",
    [
      [1, 2],
      [3, 4],
    ] as const,
    { ordered: true },
  )) {
    expectTypeOf(item.index).toEqualTypeOf<number>();
    if (item.error !== undefined) continue;
    expectTypeOf(item.value).toEqualTypeOf<number>();
    expectTypeOf(item.input).toEqualTypeOf<readonly [1, 2] | readonly [3, 4]>();
    sums.push(item.value);
  }

  expect(sums).toEqual([3, 7]);
});

test("many handles have the type of one", async () => {
  const omniq = runtime();
  const handles = await omniq.enqueueMany("add", [[1, 2]]);
  const skippable = await omniq.enqueue("add", [1, 2], { dedupeKey: "types", onConflict: "skip" });

  expectTypeOf(handles).toEqualTypeOf<TaskHandle<number>[]>();
  expectTypeOf(skippable).toEqualTypeOf<TaskHandle<number> | undefined>();
  expect(handles).toHaveLength(1);
});

test("names and arguments that do not fit do not compile", () => {
  const oneIsWrong = [
    [1, 2],
    [3, "4"],
  ] as const;
  const calls = (omniq: ReturnType<typeof runtime>): unknown[] => [
    // @ts-expect-error -- no such task
    () => omniq.enqueue("ad", [1, 2]),
    // @ts-expect-error -- text for a number
    () => omniq.enqueue("add", ["1", 2]),
    // @ts-expect-error -- too few
    () => omniq.run("add", [1]),
    // @ts-expect-error -- too many
    () => omniq.run("add", [1, 2, 3]),
    // @ts-expect-error -- not a list
    () => omniq.enqueue("add", 1),
    // @ts-expect-error -- one of them is wrong
    () => omniq.enqueueMany("add", oneIsWrong),
    // @ts-expect-error -- no such task
    () => omniq.map("ad", [[1, 2]]),
    // @ts-expect-error -- wrong arguments
    () => omniq.map("add", [["1", 2]]),
    // @ts-expect-error -- no such option
    () => omniq.enqueue("add", [1, 2], { prio: 1 }),
    // @ts-expect-error -- no such word
    () => omniq.enqueue("add", [1, 2], { onConflict: "ignore" }),
    // @ts-expect-error -- a closure is no task
    () => omniq.enqueue((a: number) => a, [1]),
    // @ts-expect-error -- a number is no text
    async () => (await omniq.run("add", [1, 2])) satisfies string,
    // @ts-expect-error -- no such state
    () => omniq.list({ state: "done" }),
    // @ts-expect-error -- no such filter
    () => omniq.list({ status: "failed" }),
    // @ts-expect-error -- no such event
    () => omniq.events.query({ type: "dequeued" }),
    // @ts-expect-error -- no tasks
    () => Omniq.open({ storage: "memory:" }),
    // @ts-expect-error -- no such option
    () => Omniq.open({ tasks: "./tasks.ts", stroage: "memory:" }),
  ];
  expect(calls).toBeTypeOf("function");
});

test("static methods marked with @task are known by class and method", () => {
  type Tasks = Awaited<ReturnType<typeof Omniq.open<typeof decorated>>>;
  const calls = (omniq: Tasks): unknown[] => [
    () => expectTypeOf(omniq.run("Mail.send", ["you"])).resolves.toEqualTypeOf<string>(),
    // @ts-expect-error -- takes text
    () => omniq.run("Mail.send", [1]),
  ];
  expect(calls).toBeTypeOf("function");
});

test("a runtime of unknown tasks takes any name, and gives anything", () => {
  const calls = (omniq: Omniq): unknown[] => [
    () => omniq.enqueue("whatever", [1, "two", {}]),
    () => omniq.enqueueMany("whatever", [[1], []]),
    () => omniq.map("whatever", [["x"]]),
    () => expectTypeOf(omniq.run("whatever", [])).resolves.toBeAny(),
    async () => expectTypeOf(await Omniq.open({ tasks: "./tasks.ts" })).toMatchTypeOf<Omniq>(),
    async () => (await Omniq.open({ tasks: "./tasks.ts" })).enqueue("whatever", [1]),
  ];
  expect(calls).toBeTypeOf("function");
});

test("a runtime of known tasks fits where any runtime is expected", async () => {
  const take = async (omniq: Omniq): Promise<number> => (await omniq.run("add", [1, 2])) as number;

  expectTypeOf(runtime()).toExtend<Omniq>();
  expectTypeOf<Awaited<ReturnType<typeof Omniq.open<typeof journeyTasks>>>>().toExtend<Omniq>();
  expect(await take(runtime())).toBe(3);
});
