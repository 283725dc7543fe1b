import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import type { Bench } from "./bench.ts";
import { fixture, valueOf, Flight, aCall } from "./bench.ts";

export function starting(bench: Bench): void {
  test("the catalogue lists what the modules define, with options that are data", () => {
    const even = bench.catalogue.find(({ name }) => name === "even");
    const add = bench.catalogue.find(({ name }) => name === "add");

    expect(even).toEqual({
      name: "even",
      file: expect.stringMatching(/schemas\.mjs$/),
      options: { priority: 7, tags: ["number"] },
      hasInput: true,
    });
    expect(add).toMatchObject({ options: {}, hasInput: false });
  });

  test.each([
    ["throws", "throws.mjs", /not today/],
    ["is not there", "nowhere.mjs", /nowhere/],
    ["defines no task", "no-tasks.mjs", /exports no tasks/],
  ])("a module that %s is refused, by name", async (_, file, problem) => {
    const start = bench.create({ modules: [fixture("handlers.mjs"), fixture(file)] }).start();

    await expect(start).rejects.toMatchObject({ code: "TASK_MODULE", message: expect.stringContaining(file) });
    await expect(start).rejects.toThrow(problem);
  });

  test.each([".mjs", ".ts"])("a module (%s) with a syntax error is refused, by name", async (suffix) => {
    const path = bench.write("export const broken: = 1;", suffix);

    const start = bench.create({ modules: [pathToFileURL(path).href] }).start();

    await expect(start).rejects.toMatchObject({ code: "TASK_MODULE", message: expect.stringContaining(path) });
  });

  test("the error of a module is the cause", async () => {
    const start = bench.create({ modules: [fixture("throws.mjs")] }).start();

    await expect(start).rejects.toMatchObject({ cause: { message: "not today" } });
  });

  test.runIf(bench.traits.isolates)("a module that ends its worker is refused, by name", async () => {
    const start = bench.create({ modules: [fixture("handlers.mjs"), fixture("exits.mjs")] }).start();

    await expect(start).rejects.toMatchObject({ code: "TASK_MODULE", message: expect.stringContaining("exits.mjs") });
  });

  test("two tasks of one name are refused, with both files", async () => {
    const start = bench.create({ modules: [fixture("handlers.mjs"), fixture("another-add.mjs")] }).start();

    await expect(start).rejects.toMatchObject({ code: "DUPLICATE_NAME" });
    await expect(start).rejects.toThrow(/"add".*handlers\.mjs.*another-add\.mjs/);
  });

  test("a task that several modules export is one task", async () => {
    const executor = bench.create({ modules: [fixture("handlers.mjs"), fixture("re-exports.mjs")] });

    const catalogue = await executor.start();

    expect(catalogue.filter(({ name }) => name === "add")).toHaveLength(1);
  });

  test("a TypeScript module runs, with imports that name its parts .js", async () => {
    const executor = bench.create({ modules: [fixture("typed.ts")] });
    await executor.start();

    const [report] = await new Flight(executor, [aCall(["measure", 1, 2])]).landed;

    expect(valueOf(report)).toBe("3 m");
  });

  test("TypeScript that is more than annotations runs", async () => {
    const path = bench.write('enum Unit { Metre = "m" } export const unit = (): string => Unit.Metre;', ".mts");
    const executor = bench.create({ modules: [pathToFileURL(path).href] });
    await executor.start();

    const [report] = await new Flight(executor, [aCall(["unit"])]).landed;

    expect(valueOf(report)).toBe("m");
  });

  test("nothing runs before the start and after the end", async () => {
    const executor = bench.create();
    const run = (): unknown => executor.run([aCall(["noop"])], { ended: () => {}, idle: () => {} });

    expect(run).toThrow(/closed/);
    await executor.start();
    await executor.close();
    expect(run).toThrow(/closed/);
    await expect(executor.validate("even", [])).rejects.toMatchObject({ code: "CLOSED" });
  });
}
