import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TaskContext } from "../../src/task/context.ts";
import { callThrough, use, type Middleware } from "../../src/task/middleware.ts";
import { defineResources } from "../../src/task/resources.ts";

const task = { name: "resize" } as TaskContext;

/** How a layer behaves: what it does wrong, and whether it takes its time. */
const layers = fc.array(
  fc.record({ fails: fc.constantFrom("before", "after", "error", "no"), isAsync: fc.boolean() }),
  {
    maxLength: 5,
  },
);

describe("callThrough", () => {
  test("calls what lies around a handler in the order of an onion, whatever fails", async () => {
    await fc.assert(
      fc.asyncProperty(layers, fc.boolean(), fc.boolean(), async (plan, handlerFails, isAsync) => {
        const called: string[] = [];
        const step = (name: string, fails: boolean, later: boolean): unknown => {
          called.push(name);
          if (fails && later) return Promise.reject(new Error(name));
          if (fails) throw new Error(name);
          return later ? Promise.resolve() : undefined;
        };
        const middleware = plan.map(({ fails, isAsync: later }, at): Middleware => ({
          before: () => step(`before ${at}`, fails === "before", later),
          after: () => step(`after ${at}`, fails === "after", later),
          error: () => step(`error ${at}`, fails === "error", later),
        }));

        const outcome = await Promise.resolve()
          .then(() => callThrough(middleware, task, [], () => step("handler", handlerFails, isAsync)))
          .then(
            () => "result",
            (error: Error) => error.message,
          );

        const expected: string[] = [];
        const model = (at: number): void => {
          const part = (name: string, fails: boolean): void => {
            expected.push(name);
            if (fails) throw new Error(name);
          };
          const layer = plan[at];
          if (layer === undefined) return part("handler", handlerFails);
          part(`before ${at}`, layer.fails === "before");
          try {
            model(at + 1);
          } catch (error) {
            part(`error ${at}`, layer.fails === "error");
            throw error;
          }
          part(`after ${at}`, layer.fails === "after");
        };
        let expectedOutcome = "result";
        try {
          model(0);
        } catch (error) {
          expectedOutcome = (error as Error).message;
        }
        expect({ called, outcome }).toEqual({ called: expected, outcome: expectedOutcome });
      }),
    );
  });

  test("gives no promise when nothing around a sync handler does", () => {
    expect(callThrough([{ before: () => undefined }, {}], task, [1, 2], (...args) => args)).toEqual([1, 2]);
  });
});

test.each([
  ["text", "use(middleware)"],
  [{ befor: () => {} }, "use(middleware).befor"],
  [{ before: 1 }, "use(middleware).before"],
])("use(%o) is refused", (given, path) => {
  expect(() => use(given as Middleware)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT", path }));
});

test("resources without a setup are refused", () => {
  expect(() => defineResources(undefined as never)).toThrow(/setup.*not a function/);
  expect(() => defineResources(() => ({}), 1 as never)).toThrow(/teardown is not a function/);
});
