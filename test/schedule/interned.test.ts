import { expect, test } from "vitest";
import { interned } from "../../src/schedule/interned.ts";

test("a text is made once", () => {
  const of = interned(2, (text) => ({ text }));

  expect(of("a")).toBe(of("a"));
});

test("what was not asked for the longest is forgotten first", () => {
  const made: string[] = [];
  const of = interned(2, (text) => made.push(text));

  for (const text of ["a", "b", "a", "c", "a", "b"]) of(text);

  expect(made).toEqual(["a", "b", "c", "b"]);
});

test("what throws is tried again", () => {
  let tries = 0;
  const of = interned(2, () => {
    if (++tries === 1) throw new Error("not yet");
    return tries;
  });

  expect(() => of("a")).toThrow("not yet");
  expect(of("a")).toBe(2);
});
