import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { aWorkFolder, runProgram } from "../support/run-program.ts";

interface Figure {
  readonly name: string;
  readonly value: number;
}

const minutes = 60_000;

/** The figures of a round with a few tasks each: they show that everything works, and nothing else. */
async function quickly(only: string): Promise<readonly Figure[]> {
  const file = join(aWorkFolder(), "figures.jsonl");
  const { code, stderr } = await runProgram("bench/run.mjs", ["--quick", "--only", only, "--json", file]);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return linesOf(file);
}

const linesOf = (file: string): Figure[] =>
  readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Figure);

test.each([
  ["w1", ["W1 bulk", "W1 x100", "W1 x1"]],
  ["w2", ["W2"]],
  ["w3,ceiling,layout", ["Layout alone", "Raw ceiling", "W3", "W3 / raw ceiling", "Raw ceiling / layout alone"]],
  ["w4", ["W4 p50", "W4 p99", "W4 bare put p50", "W4 p50 / bare put p50"]],
  ["w5", ["W5 5 ms efficiency", "W5 5 ms efficiency against the main thread", "W5 5 ms call on a worker thread"]],
  ["w5-1ms", ["W5 1 ms efficiency"]],
  ["w5-100us", ["W5 0.1 ms efficiency"]],
  ["w5-10us,w5-100ms", ["W5 0.01 ms tasks a second", "W5 100 ms efficiency"]],
  ["w5-process", ["W5 5 ms in processes efficiency"]],
  ["urgent", ["Urgent wait p50", "Urgent wait p99"]],
  ["w7", ["W7 registered", "W7 open", "W7 lateness p50", "W7 lateness p99"]],
  ["w8", ["W8 private memory, stored", "W8 file", "W8 open", "W8 private memory, opened"]],
  ["idle", ["Idle"]],
])("a quick run of %s gives its figures", { timeout: 5 * minutes }, async (only, names) => {
  const figures = await quickly(only);

  expect(figures.map(({ name }) => name)).toEqual(expect.arrayContaining(names));
  expect(figures.filter(({ value }) => !(value > 0))).toEqual([]);
});

test("a figure says where it was made", { timeout: 5 * minutes }, async () => {
  const [figure] = await quickly("layout");

  expect(figure).toMatchObject({
    name: "Layout alone",
    unit: "tasks/s",
    runs: 1,
    machine: expect.any(String),
    cpu: expect.any(String),
    cores: expect.any(Number),
    node: process.version,
    fs: expect.any(String),
    durability: "sync",
    events: "errors",
    batchSize: 64,
    date: expect.any(String),
    commit: expect.any(String),
  });
});

test("functions are measured one by one", { timeout: 5 * minutes }, async () => {
  const file = join(aWorkFolder(), "figures.jsonl");
  const { code, stderr } = await runProgram("bench/functions.mjs", ["--quick", "--json", file]);

  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(linesOf(file).map(({ name }) => name)).toEqual([
    "encode a small task",
    "decode a small task",
    "resolveTaskOptions, none",
    "resolveTaskOptions, three",
    "nextBatch of 512 waiting",
    "memory: enqueue, claim, settle 512",
    "lmdb: enqueue, claim, settle 512",
  ]);
});

test("a measurement that does not exist is refused", async () => {
  const { code, stderr } = await runProgram("bench/run.mjs", ["--only", "w3,w9"]);

  expect(code).toBe(1);
  expect(stderr).toContain('no measurement "w9"');
});

test("figures that mean nothing do not go into the documentation", async () => {
  const { code, stderr } = await runProgram("bench/run.mjs", ["--quick", "--markdown"]);

  expect(code).toBe(1);
  expect(stderr).toContain("mean nothing");
});

test.skipIf(!existsSync("/dev/shm"))("a store in memory is refused", async () => {
  const { code, stderr } = await runProgram("bench/run.mjs", ["--quick", "--dir", "/dev/shm"]);

  expect(code).toBe(1);
  expect(stderr).toContain("/dev/shm is in memory");
});

test("new figures take the place of those before on the page, and nothing else", async () => {
  const root = resolve(import.meta.dirname, "../..");
  const { withFigures } = (await import(pathToFileURL(join(root, "bench/report.mjs")).href)) as {
    withFigures(page: string, figures: string): string;
  };
  const page = readFileSync(join(root, "docs/benchmarks.md"), "utf8");

  const once = withFigures(page, "older figures");
  const twice = withFigures(once, "newer figures");

  expect(twice).toContain("newer figures");
  expect(twice).toBe(once.replace("older", "newer"));
});
