import { describe, expect, test } from "vitest";
import { InvalidArgumentError } from "../../src/base/errors.ts";
import { checkName, nearest } from "../../src/base/names.ts";

describe("checkName", () => {
  test.each(["a", "images/resize", "Über größe", "日本", "👩‍🚀", "__proto__", " ", "x".repeat(200), "ä".repeat(100)])(
    "gives back %j",
    (name) => {
      expect(checkName("options.queue", name)).toBe(name);
    },
  );

  test.each<[unknown, RegExp]>([
    ["", /may not be empty/],
    ["x".repeat(201), /201 bytes is too long/],
    ["ä".repeat(101), /202 bytes is too long/],
    ["a\u0000b", /control characters/],
    ["a\tb", /control characters/],
    ["a\u007f", /control characters/],
    ["a\u0085", /control characters/],
    ["\ud83d", /halves of characters/],
    [undefined, /undefined is not a name/],
    [null, /null is not a name/],
    [7, /a number is not a name/],
    [{}, /a object is not a name/],
  ])("refuses %j", (name, problem) => {
    expect(() => checkName("options.queue", name)).toThrow(InvalidArgumentError);
    expect(() => checkName("options.queue", name)).toThrow(problem);
  });

  test("says where the name was given", () => {
    expect(() => checkName("options.queue", "")).toThrow(/^options\.queue: /);
    expect(() => checkName("options.queue", "")).toThrow(expect.objectContaining({ path: "options.queue" }));
  });
});

describe("nearest", () => {
  const known = ["priority", "maxRetries", "timeout", "ttl", "queue"];

  test.each([
    ["priorty", "priority"],
    ["prioriyt", "priority"],
    ["pirority", "priority"],
    ["maxretries", "maxRetries"],
    ["maxRetry", "maxRetries"],
    ["time-out", "timeout"],
    ["retries", "maxRetries"],
    ["qeueu", "queue"],
    ["tll", "ttl"],
    ["queue", "queue"],
  ])("of %s is %s", (name, expected) => {
    expect(nearest(name, known)).toBe(expected);
  });

  test.each(["", "x", "concurrency", "tags", "priorityOfTheTask"])("of %j is nothing", (name) => {
    expect(nearest(name, known)).toBeUndefined();
  });

  test("prefers the closest, and among equals the first", () => {
    expect(nearest("abcdef", ["abcxyz", "abcdxx", "abcdeX", "Xbcdef"])).toBe("abcdeX");
  });

  test("is nothing when nothing is known", () => {
    expect(nearest("queue", [])).toBeUndefined();
  });
});
