import { expect, test } from "vitest";
import { aWorkFolder, runProgram } from "../support/run-program.ts";

const expected = [
  "7 reports are planned; each zone has its own clock:",
  expect.stringMatching(/^ {2}daily at (09:00|17:30) in Berlin$/),
  expect.stringMatching(/^ {2}daily at (09:00|17:30) in Berlin$/),
  expect.stringMatching(/^ {2}daily at (09:00|17:30) in Berlin$/),
  expect.stringMatching(/^ {2}daily at (09:00|17:30) in Berlin$/),
  "reworded: [ 'the daily report' ] -> [ 'the new daily report' ] then VERSION_CONFLICT",
  "daily: the new daily report",
  "tea to shelf 3",
  "tea to shelf 7",
  "completed after 3 runs, 3 of them well",
  "tidyUp is declared: true; one at a time: skip",
];

test("schedules of every kind are made, changed and fired, and made once by two runs", async () => {
  const cwd = aWorkFolder();
  const first = await runProgram("examples/06-schedules/main.mjs", [], { cwd });
  expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: "" });
  expect(first.stdout.trimEnd().split("\n")).toEqual(expected);

  const second = await runProgram("examples/06-schedules/main.mjs", [], { cwd });
  expect({ code: second.code, stderr: second.stderr }).toEqual({ code: 0, stderr: "" });
  expect(second.stdout.trimEnd().split("\n")).toEqual(expected);
});
