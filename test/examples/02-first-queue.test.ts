import { expect, test } from "vitest";
import { aWorkFolder, runProgram } from "../support/run-program.ts";

test("the first queue delays, deletes and sends by priority", async () => {
  const { code, stdout, stderr } = await runProgram("examples/02-first-queue/main.mjs", [], { cwd: aWorkFolder() });

  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.trim().split("\n")).toEqual([
    "2 + 3 = 5",
    "tea is scheduled, cake is scheduled",
    "the draft is ready",
    "deleted: true; found again: false",
    "waiting letters: 3",
    "sent: password reset",
    "sent: invoice",
    "sent: newsletter",
    "Time for tea!",
    "Time for cake!",
  ]);
});
