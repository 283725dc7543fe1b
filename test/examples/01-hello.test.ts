import { expect, test } from "vitest";
import { aWorkFolder, runProgram } from "../support/run-program.ts";

test("the first example greets the world and ends", async () => {
  const { code, stdout, stderr } = await runProgram("examples/01-hello/main.mjs", [], { cwd: aWorkFolder() });

  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "Hello, world!\n", stderr: "" });
});
