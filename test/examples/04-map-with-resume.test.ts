import { expect, test } from "vitest";
import { aWorkFolder, runProgram } from "../support/run-program.ts";

test("a second run of a map takes the results of the first", async () => {
  const cwd = aWorkFolder();
  const longest = "of 1 to 200, 171 takes longest: 124 steps\n";

  const first = await runProgram("examples/04-map-with-resume/main.mjs", [], { cwd });
  const second = await runProgram("examples/04-map-with-resume/main.mjs", [], { cwd });

  expect(first).toMatchObject({ code: 0, stdout: `${longest}200 computed now, 0 found from an earlier run\n` });
  expect(second).toMatchObject({ code: 0, stdout: `${longest}0 computed now, 200 found from an earlier run\n` });
});
