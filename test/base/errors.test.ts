import { describe, expect, test } from "vitest";
import * as errors from "../../src/base/errors.ts";

const { OmniqError, ...classes } = errors;

// The names of constructors' parameters do not matter here, only that there are enough of them.
const make = (Type: unknown): errors.OmniqError =>
  Reflect.construct(Type as new () => errors.OmniqError, [{ path: "p", delay: 1 }, "2", [], "4"].map(String));

describe.each(Object.entries(classes))("%s", (name, Type) => {
  const error = (): errors.OmniqError =>
    name === "RetryLater"
      ? new errors.RetryLater({ delay: "5s" })
      : name === "InvalidInputError"
        ? new errors.InvalidInputError("resize", [{ path: "0", message: "must be text" }])
        : name === "UnknownOptionError"
          ? new errors.UnknownOptionError("options.qeue", "queue", ["queue"])
          : make(Type);

  test("is an OmniqError that goes by the name of its class", () => {
    expect(error()).toBeInstanceOf(OmniqError);
    expect(error()).toBeInstanceOf(Error);
    expect(error().name).toBe(name);
    expect(String(error())).toMatch(new RegExp(`^${name}: .`));
  });

  test("has a code in capitals", () => {
    expect(error().code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
  });
});

test("no two errors have the same code", () => {
  const codes = Object.entries(classes).map(([name, Type]) =>
    name === "InvalidInputError"
      ? new errors.InvalidInputError("resize", []).code
      : name === "UnknownOptionError"
        ? new errors.UnknownOptionError("a", undefined, []).code
        : name === "RetryLater"
          ? new errors.RetryLater({ delay: 1 }).code
          : make(Type).code,
  );

  expect(new Set(codes).size).toBe(codes.length);
  expect(codes.length).toBeGreaterThan(20);
});

test("errors keep their cause", () => {
  const cause = new Error("disk");

  expect(new errors.StoreFailedError("cannot write", { cause }).cause).toBe(cause);
  expect(new errors.NotSerializableError("args[0]", "is a function", { cause }).cause).toBe(cause);
});

describe("messages say what to do", () => {
  test.each<[Error, string]>([
    [
      new errors.UnknownOptionError("options.qeue", "queue", ["queue", "ttl"]),
      'options.qeue is not an option. Did you mean "queue"?',
    ],
    [
      new errors.UnknownOptionError("options.x", undefined, ["queue", "ttl"]),
      "options.x is not an option. Known are queue, ttl.",
    ],
    [
      new errors.InvalidInputError("resize", [
        { path: "0.width", message: "must be a number" },
        { path: "", message: "too few" },
      ]),
      'Task "resize" does not accept these arguments: 0.width: must be a number; too few',
    ],
    [new errors.TaskFailedError("t1", "failed", "no"), "Task t1 failed: no"],
    [new errors.TaskFailedError("t1", "cancelled", "no"), "Task t1 was cancelled: no"],
    [new errors.RetryLater({ delay: 500 }), "To be tried again in 500 ms."],
    [new errors.RetryLater({ delay: "5s" }), "To be tried again in 5s."],
    [new errors.RetryLater({ delay: "5s", reason: "busy" }), "busy"],
    [
      new errors.NotSerializableError("args[0].save", "is a function"),
      "args[0].save is a function. Give plain data: what structuredClone() keeps.",
    ],
  ])("%#: %s", (error, message) => {
    expect(error.message).toBe(message);
  });
});
