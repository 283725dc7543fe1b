import { join } from "node:path";
import { expect, test } from "vitest";
import { aPlace, fixture, open } from "../support/runtimes.ts";
import { runProgram } from "../support/run-program.ts";
import { fileURLToPath } from "node:url";

test.each([20, 90, 170, 260])(
  "process.exit() after %i ms of storing ends the process, and what was acknowledged is there",
  { timeout: 120_000 },
  async (afterMs) => {
    const storage = join(aPlace(), "store");
    const program = fileURLToPath(fixture("exits-while-storing.mjs"));

    const { code, stdout } = await runProgram(program, [storage, String(afterMs)], { cwd: aPlace() });

    expect(code).toBe(0);
    const acknowledged = stdout.split("\n").reduce((sum, line) => sum + Number(line), 0);
    const omniq = await open({ storage });
    expect(await omniq.count({ state: "ready" })).toBeGreaterThanOrEqual(acknowledged);
  },
);
