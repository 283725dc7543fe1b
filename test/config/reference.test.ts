import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as errors from "../../src/base/errors.ts";
import { openOptions } from "../../src/config/open-options.ts";
import type { Options } from "../../src/config/read.ts";
import { taskOptions } from "../../src/config/task-options.ts";
import { optionsPage } from "../support/options-page.ts";

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");

test("docs/reference/options.md tells what the tables of options say", async () => {
  await expect(optionsPage()).toMatchFileSnapshot("../../docs/reference/options.md");
});

const withGroups = (options: Options, path: string): [string, Options[string]][] =>
  Object.entries(options).flatMap(([name, option]) => [
    [`${path}.${name}`, option] as [string, Options[string]],
    ...withGroups(option.fields ?? {}, `${path}.${name}`),
  ]);

const everyOption = [...withGroups(openOptions, "open"), ...withGroups(taskOptions, "task")];

test.each(everyOption)("%s has a description that ends as a sentence", (_, { description }) => {
  expect(description).toMatch(/^\S.*[.]$/);
});

test.each(everyOption)("%s tells its unit where it is a length of time", (_, { type, unit }) => {
  expect(unit !== undefined || type !== "Duration").toBe(true);
});

test.each(everyOption.filter(([, { default: value }]) => value !== undefined))(
  "%s accepts its own default",
  (path, option) => {
    expect(() => option.read(option.default, path)).not.toThrow(errors.OmniqError);
  },
);

// ------------------------------------------------------------------------------------------------- errors

/** Classes with their codes, as declared. */
const declared = Array.from(
  read("../../src/base/errors.ts").matchAll(/class (\w+) extends OmniqError \{\s+readonly code = "(\w+)"/g),
  ([, name = "", code = ""]) => ({ name, code }),
);

/** Rows of the tables: class, code, when, what to do. */
const documented = Array.from(
  read("../../docs/reference/errors.md").matchAll(/^\| `(\w+)` \| `(\w+)` \| (.+) \| (.+) \|$/gm),
  ([, name = "", code = "", when = "", advice = ""]) => ({ name, code, when, advice }),
);

test("every class of errors declares a code", () => {
  const classes = Object.keys(errors).filter((name) => name !== "OmniqError");

  expect(classes.length).toBeGreaterThan(20);
  expect(declared.map(({ name }) => name).toSorted()).toEqual(classes.toSorted());
});

test("no two errors share a code", () => {
  const codes = declared.map(({ code }) => code);

  expect(codes).toEqual([...new Set(codes)]);
});

test("docs/reference/errors.md lists every error with its code, and no other", () => {
  expect(documented.map(({ name, code }) => ({ name, code }))).toEqual(declared);
});
