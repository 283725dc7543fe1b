import { expect, test } from "vitest";
import type { CatalogueEntry } from "../../src/executor/executor.ts";
import { newestVersions } from "../../src/executor/versions.ts";

const entry = (name: string, version?: unknown): CatalogueEntry => ({
  name,
  file: `${String(version)}.ts`,
  options: version === undefined ? {} : { version },
  hasInput: false,
});

test.each([
  [["1", "2"], "2"],
  [["2", "1"], "2"],
  [["1.10", "1.9"], "1.10"],
  [["2024-02-01", "2024-10-01"], "2024-10-01"],
  [[undefined, "0"], "0"],
  [["b", "a"], "b"],
])("of the versions %j new tasks are for %s", (versions, newest) => {
  const newestOf = newestVersions(versions.map((version) => entry("task", version)));
  expect(newestOf.map(({ options }) => options["version"])).toEqual([newest]);
});

test("every name has its own newest version", () => {
  expect(newestVersions([entry("a", "2"), entry("b"), entry("a", "1")]).map(({ file }) => file)).toEqual([
    "2.ts",
    "undefined.ts",
  ]);
});
