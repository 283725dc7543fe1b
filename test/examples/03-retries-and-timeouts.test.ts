import { expect, test } from "vitest";
import { aWorkFolder, runProgram } from "../support/run-program.ts";

test("failed attempts are retried, time limits hold, and what failed for good can be looked at", async () => {
  const { code, stdout, stderr } = await runProgram("examples/03-retries-and-timeouts/main.mjs", [], {
    cwd: aWorkFolder(),
  });

  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.trim().split("\n")).toEqual([
    "tea pot: 12 € (attempt 3)",
    "  attempt 1: the shop is busy (attempt 1)",
    "  attempt 2: the shop is busy (attempt 2)",
    "TASK_FAILED: nothing was ordered",
    "failed after attempt 1",
    "The attempt took longer than its timeout of 200 ms and was stopped.",
    "cancelled: true; it is cancelled",
    "dead letters: orderNothing (error), spin (timeout)",
    "purged: 2",
  ]);
});
