/* oxlint-disable typescript/no-extraneous-class -- static methods are what this is about. */
import { fileURLToPath } from "node:url";
import { createJiti } from "jiti";
import { describe, expect, expectTypeOf, test } from "vitest";
import { InvalidArgumentError } from "../../src/base/errors.ts";
import {
  defineTask,
  definitionOf,
  task,
  tasksIn,
  type Args,
  type HandlerOf,
  type Result,
  type TaskDefinition,
  type TaskOptions,
  type TasksOf,
} from "../../src/task/definition.ts";
import type { StandardSchemaV1 } from "../../src/task/standard-schema.ts";

describe("defineTask", () => {
  test("gives the handler itself, with its name and options", () => {
    const handler = (a: number, b: number): number => a + b;
    const options = { maxRetries: 3 };

    const add = defineTask("add", options, handler);

    expect(add).toBe(handler);
    expect(add(1, 2)).toBe(3);
    expect(definitionOf(add)).toEqual({ name: "add", options: { maxRetries: 3 } });
    expect(definitionOf(add)?.options).toBe(options);
  });

  test("options may be left out", () => {
    expect(definitionOf(defineTask("plain", () => 1))).toEqual({ name: "plain", options: {} });
  });

  test("the mark is found by another copy of the package, and by no loop over properties", () => {
    const marked = defineTask("marked", () => 1);

    expect(Reflect.get(marked, Symbol.for("omniq.task"))).toEqual({ name: "marked", options: {} });
    expect(Object.keys(marked)).toEqual([]);
  });

  test.each([
    ["", "empty"],
    ["a\nb", "control characters"],
    ["x".repeat(201), "too long"],
    [7, "not a name"],
  ])("refuses the name %j", (name, problem) => {
    expect(() => defineTask(name as string, () => 1)).toThrow(InvalidArgumentError);
    expect(() => defineTask(name as string, () => 1)).toThrow(problem);
  });

  test.each([
    ["nothing", undefined],
    ["a number", 1],
    ["a class", class {}],
    ["a generator", function* () {}],
    ["an async generator", async function* () {}],
    ["a frozen function", Object.freeze(() => 1)],
  ])("refuses %s as handler", (_, handler) => {
    expect(() => defineTask("name", handler as never)).toThrow(InvalidArgumentError);
    expect(() => defineTask("name", {}, handler as never)).toThrow(InvalidArgumentError);
  });

  test.each([[null], ["fast"], [[]], [() => 1]])("refuses %s as options", (options) => {
    expect(() => defineTask("name", options as never, () => 1)).toThrow(/the options are not an object/);
  });

  test("refuses a function that is a task already", () => {
    const first = defineTask("first", () => 1);

    expect(() => defineTask("second", first)).toThrow(/is the task "first" already/);
  });
});

describe("definitionOf", () => {
  class Base {
    static run(): void {}
  }
  test.each([[undefined], [null], ["name"], [{ name: "x", options: {} }], [() => 1], [Base]])(
    "%s is no task",
    (value) => {
      expect(definitionOf(value)).toBeUndefined();
    },
  );
});

describe("@task", () => {
  /** Applies a decorator as the standard says: to the method, then the initializers to the class. */
  function decorate(
    target: abstract new () => unknown,
    name: string,
    decorator: ReturnType<typeof task>,
    changes: object = {},
  ): void {
    const initializers: ((this: unknown) => void)[] = [];
    const addInitializer = (initializer: (this: unknown) => void): void => void initializers.push(initializer);
    const context = { kind: "method", static: true, private: false, name, addInitializer, ...changes };
    decorator(Reflect.get(target, name), context as unknown as ClassMethodDecoratorContext);
    for (const initializer of initializers) initializer.call(target);
  }

  test("as a standard decorator names a static method after its class", () => {
    class Mail {
      static send(): void {}
    }
    decorate(Mail, "send", task({ queue: "mail" }));

    expect(definitionOf(Mail.send)).toEqual({ name: "Mail.send", options: { queue: "mail" } });
  });

  test("as a standard decorator takes a name and options", () => {
    class Mail {
      static send(): void {}
    }
    decorate(Mail, "send", task("mail/send", { priority: "high" }));

    expect(definitionOf(Mail.send)).toEqual({ name: "mail/send", options: { priority: "high" } });
  });

  test.each([
    ["a method of objects", { static: false }],
    ["a getter", { kind: "getter" }],
    ["a class", { kind: "class" }],
  ])("as a standard decorator refuses %s", (_, changes) => {
    class Mail {
      static send(): void {}
    }
    expect(() => decorate(Mail, "send", task(), changes)).toThrow(/@task: send is not a static method/);
  });

  test("in its older form refuses a method of objects", () => {
    class Mail {
      send(): void {}
    }
    expect(() => task()(Mail.prototype, "send", Object.getOwnPropertyDescriptor(Mail.prototype, "send"))).toThrow(
      /send is not a static method/,
    );
  });

  test("in its older form makes static methods tasks that keep their class", async () => {
    const file = fileURLToPath(new URL("../fixtures/task/decorated.ts", import.meta.url));
    const module: object = await createJiti(import.meta.url, { fsCache: false }).import(file);

    const found = tasksIn(module);

    expect(found).toMatchObject([
      { name: "Reports.daily", options: {} },
      { name: "reports/monthly", options: { maxRetries: 2 } },
      { name: "Reports.yearly", options: { timeout: "5s" } },
    ]);
    expect(found[0]?.handler("Monday")).toBe("Monday in EUR");
  });
});

describe("tasksIn", () => {
  test("finds plain functions under the names of their exports, and definitions under their own", () => {
    const list = (): string[] => [];
    const resize = defineTask("images/resize", { timeout: "30s" }, async () => 1);

    expect(tasksIn({ list, resize })).toEqual([
      { name: "list", options: {}, handler: list },
      { name: "images/resize", options: { timeout: "30s" }, handler: resize },
    ]);
  });

  test("passes over what is no handler", () => {
    class Model {
      static load(): void {}
    }
    const exports = { Model, Map, limit: 3, names: ["a"], nothing: undefined, *items() {}, async *pages() {}, default: () => 1, "module.exports": () => 1 }; // prettier-ignore

    expect(tasksIn(exports)).toEqual([]);
  });

  test("finds a default export that is a definition", () => {
    expect(tasksIn({ default: defineTask("main", () => 1) })).toMatchObject([{ name: "main" }]);
  });

  test("finds a definition that is exported twice once", () => {
    const raw = (): number => 1;
    const defined = defineTask("once", raw);

    expect(tasksIn({ raw, defined, default: defined })).toMatchObject([{ name: "once" }]);
  });

  test("finds a plain function under each of its names", () => {
    const one = (): number => 1;

    expect(tasksIn({ one, uno: one }).map(({ name }) => name)).toEqual(["one", "uno"]);
  });

  test("refuses an export whose name is not a name", () => {
    expect(() => tasksIn({ "a\nb": () => 1 })).toThrow(InvalidArgumentError);
  });
});

describe("types", () => {
  const resize = defineTask("resize", { maxRetries: 3 }, async (_src: string, _width?: number) => ({ bytes: 42 }));
  const list = (dir: string): string[] => [dir];
  class Mail {
    static send(_to: string): boolean {
      return true;
    }
  }
  const tasks = { resize, list, limit: 3, Mail, default: () => 1 };
  type Tasks = TasksOf<typeof tasks>;

  test("a module's tasks are its definitions, functions and static methods", () => {
    expectTypeOf<keyof Tasks>().toEqualTypeOf<"resize" | "list" | "Mail.send">();
    expectTypeOf<Tasks["list"]>().toEqualTypeOf<(dir: string) => string[]>();
    expectTypeOf<Tasks["Mail.send"]>().toEqualTypeOf<(to: string) => boolean>();
  });

  test("a definition goes under the name it was given", () => {
    const other = defineTask("some/name", () => 1);
    expectTypeOf<keyof TasksOf<{ exported: typeof other }>>().toEqualTypeOf<"some/name">();
  });

  test("a definition can be called as the function it is", () => {
    expectTypeOf(resize).toBeCallableWith("a.png", 800);
    expectTypeOf(resize).toExtend<TaskDefinition>();
  });

  test("arguments keep what is optional, and the rest", () => {
    expectTypeOf<Args<typeof resize>>().toEqualTypeOf<readonly [src: string, width?: number | undefined]>();
    expectTypeOf<Args<(first: number, ...rest: string[]) => void>>().toEqualTypeOf<
      readonly [first: number, ...rest: string[]]
    >();
  });

  test("results are awaited", () => {
    expectTypeOf<Result<typeof resize>>().toEqualTypeOf<{ bytes: number }>();
    expectTypeOf<Result<typeof list>>().toEqualTypeOf<string[]>();
  });

  test("without a module everything goes", () => {
    expectTypeOf<Result<HandlerOf<unknown, never>>>().toBeNever();
    expectTypeOf<Result<any>>().toBeAny(); // oxlint-disable-line typescript/no-explicit-any
    expectTypeOf<readonly unknown[]>().toExtend<Args<any>>(); // oxlint-disable-line typescript/no-explicit-any
  });

  test("a task is named, or given itself", () => {
    expectTypeOf<HandlerOf<Tasks, "list">>().toEqualTypeOf<typeof list>();
    expectTypeOf<HandlerOf<Tasks, typeof resize>>().toEqualTypeOf<typeof resize>();
  });

  test("a schema gives what the handler takes", () => {
    const schema = <T>(): StandardSchemaV1<unknown, T> => ({
      "~standard": { version: 1, vendor: "test", validate: (value) => ({ value: value as T }) },
    });

    defineTask("right", { input: schema<[string]>() }, (text: string) => text);
    // @ts-expect-error the schema gives a number, the handler takes text
    defineTask("wrong", { input: schema<[number]>() }, (text: string) => text);
  });

  test("options that are undefined count as left out", () => {
    expectTypeOf<{ queue: undefined; priority: "high"; runAt: Date }>().toExtend<TaskOptions>();
    // @ts-expect-error there is no such priority
    defineTask("wrong priority", { priority: "urgent" }, () => 1);
    // @ts-expect-error there is no such option
    defineTask("wrong option", { retries: 3 }, () => 1);
  });
});
