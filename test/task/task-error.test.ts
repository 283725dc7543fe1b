import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidArgumentError } from "../../src/base/errors.ts";
import { decode, encode } from "../../src/task/codec.ts";
import { fromTaskError, toTaskError } from "../../src/task/task-error.ts";
import type { TaskError } from "../../src/task/task.ts";

describe("toTaskError", () => {
  test("keeps name, message, stack, code and causes", () => {
    const cause = Object.assign(new TypeError("root"), { code: 7 });
    const error = new InvalidArgumentError("path", "advice", { cause });

    expect(toTaskError(error)).toEqual({
      name: "InvalidArgumentError",
      message: "path: advice",
      stack: error.stack,
      code: "INVALID_ARGUMENT",
      cause: { name: "TypeError", message: "root", stack: cause.stack, code: 7 },
    });
  });

  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const throwing = new Proxy({}, { get() { throw new Error("trap"); } }); // prettier-ignore

  test.each<[string, unknown, string | RegExp]>([
    ["undefined", undefined, "undefined was thrown"],
    ["null", null, "null was thrown"],
    ["text", "out of paper", "'out of paper' was thrown"],
    ["empty text", "", "'' was thrown"],
    ["zero", 0, "0 was thrown"],
    ["false", false, "false was thrown"],
    ["a symbol", Symbol("s"), "Symbol(s) was thrown"],
    ["a big integer", 1n, "1n was thrown"],
    ["a function", function broken() {}, "[Function: broken] was thrown"],
    ["an object", { status: 404 }, "{ status: 404 } was thrown"],
    ["an object without a prototype", Object.create(null), /was thrown$/],
    ["a revoked proxy", revoked.proxy, /was thrown$/],
    ["a proxy whose traps throw", throwing, /was thrown$/],
  ])("describes %s", (_, thrown, message) => {
    const error = toTaskError(thrown);

    expect(error).toEqual({ name: "Error", message: expect.stringMatching(/was thrown$/) as string });
    if (typeof message === "string") expect(error.message).toBe(message);
  });

  test("takes an object with a message for an error", () => {
    expect(toTaskError({ message: "no", name: "HttpError", code: 404 })).toEqual({
      name: "HttpError",
      message: "no",
      code: 404,
    });
  });

  test("takes a frozen error", () => {
    expect(toTaskError(Object.freeze(new Error("cold")))).toMatchObject({ name: "Error", message: "cold" });
  });

  test.each(["message", "name", "stack", "code", "cause"])("leaves out %s when reading it throws", (key) => {
    const error = Object.defineProperty(new Error("x", { cause: "y" }), key, { get() { throw new Error("no"); } }); // prettier-ignore

    expect(() => toTaskError(error)).not.toThrow();
    expect(toTaskError(error)).toMatchObject({ name: "Error" });
  });

  test("leaves out a code that is neither text nor a number", () => {
    expect(toTaskError(Object.assign(new Error("x"), { code: { a: 1 } }))).not.toHaveProperty("code");
  });

  test("cuts a long message and keeps the frames of the stack", () => {
    const error = new Error("m".repeat(10_000_000));

    const { message, stack } = toTaskError(error);

    expect(message).toHaveLength(16_384);
    expect(message.endsWith("m…")).toBe(true);
    expect(stack?.length).toBeLessThanOrEqual(32_768);
    expect(stack).toContain("task-error.test");
  });

  test("cuts a long stack", () => {
    const error = Object.assign(new Error("x"), { stack: "s".repeat(100_000) });

    expect(toTaskError(error).stack).toHaveLength(32_768);
  });

  test("never cuts a character in half", () => {
    expect(toTaskError(new Error("😀".repeat(10_000))).message.isWellFormed()).toBe(true);
  });

  test("follows causes to a depth of 8", () => {
    let error = new Error("root");
    for (let depth = 0; depth < 20; depth++) error = new Error("above", { cause: error });

    expect(depthOf(toTaskError(error))).toBe(8);
  });

  test("stops where causes go in a circle", () => {
    const error = new Error("a");
    error.cause = new Error("b", { cause: error });

    expect(depthOf(toTaskError(error))).toBe(2);
  });

  test("takes the first error of an AggregateError for its cause", () => {
    expect(toTaskError(new AggregateError([new TypeError("first"), new Error("second")], "all"))).toMatchObject({
      name: "AggregateError",
      cause: { name: "TypeError", message: "first" },
    });
  });

  test("gives something storable for whatever is thrown", () => {
    fc.assert(
      fc.property(
        fc.anything({
          withBigInt: true,
          withDate: true,
          withMap: true,
          withSet: true,
          withTypedArray: true,
          withSparseArray: true,
        }),
        (thrown) => {
          const error = toTaskError(thrown);

          expect(decode(encode(error, "error", { maxBytes: 1_000_000 }))).toEqual(error);
          expect(JSON.parse(JSON.stringify(error))).toEqual(error);
        },
      ),
    );
  });
});

const depthOf = (error: TaskError): number => 1 + (error.cause === undefined ? 0 : depthOf(error.cause));

describe("fromTaskError", () => {
  test("gives an Error with what the thrown one had", () => {
    const thrown = Object.assign(new RangeError("no", { cause: new TypeError("root") }), { code: "E1" });

    const error = fromTaskError(toTaskError(thrown));

    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: "RangeError", message: "no", stack: thrown.stack, code: "E1" });
    expect(error.cause).toBeInstanceOf(Error);
    expect(error.cause).toMatchObject({ name: "TypeError", message: "root" });
    expect(Object.keys(error)).toEqual(["code"]);
  });

  test("does not make up a stack", () => {
    expect(fromTaskError({ name: "Error", message: "no" }).stack).toBe("Error: no");
  });

  test("turned into data again is the same", () => {
    const data = toTaskError(new RangeError("no", { cause: new TypeError("root") }));

    expect(toTaskError(fromTaskError(data))).toEqual(data);
  });
});
