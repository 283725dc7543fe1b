import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { demo, linesOf, logsIn, writeFiles } from "../support/compress-folder.ts";
import { aWorkFolder, runProgram, startProgram, type Ended } from "../support/run-program.ts";

const enough = { timeout: 50_000, interval: 5 };

/** What the last line but one says: how many files were done now, and before. */
function countsOf({ stdout }: Ended): { readonly now: number; readonly before: number } {
  const [, now, before] = /(\d+) files done in this run, (\d+) had been done before/.exec(stdout) ?? [];
  return { now: Number(now), before: Number(before) };
}

describe("the folder compressor", () => {
  test("says what would shrink most, and what all of it would", async () => {
    const folder = aWorkFolder();
    writeFiles(join(folder, "files"), 3, 200);
    writeFileSync(join(folder, "files/long.txt"), "omniq ".repeat(2_000));

    const { code, stdout } = await runProgram(demo, [join(folder, "files"), "--data", join(folder, "data")]);

    expect(code).toBe(0);
    expect(stdout).toMatch(/What would shrink most\n {2}.*\d kB less +12\.0 kB → +0\.0 kB +brotli \d+ +long\.txt\n/);
    expect(stdout).toMatch(/All of it: 12\.\d kB\n/);
    expect(stdout).toMatch(/the best for each file +.* % less/);
  });

  test("does a file once, again when it has changed, and again when told to forget", async () => {
    const folder = aWorkFolder();
    const files = writeFiles(join(folder, "files"), 5, 300);
    const run = async (...more: string[]) =>
      countsOf(await runProgram(demo, [join(folder, "files"), "--data", join(folder, "data"), ...more]));

    expect(await run()).toEqual({ now: 5, before: 0 });
    expect(await run()).toEqual({ now: 0, before: 5 });
    writeFileSync(files[0] ?? "", "something else");
    expect(await run()).toEqual({ now: 1, before: 4 });
    expect(await run("--fresh")).toEqual({ now: 5, before: 0 });
  });

  test("goes on where it was after Ctrl-C", async () => {
    const folder = aWorkFolder();
    writeFiles(join(folder, "files"), 40, 50_000);
    const logs = logsIn(folder);
    const args = [join(folder, "files"), "--data", join(folder, "data")];
    const interrupted = startProgram(demo, args, { env: logs.env });
    await vi.waitFor(() => expect(linesOf(logs.done)).not.toEqual([]), enough);

    interrupted.process.kill("SIGINT");
    const first = await interrupted.ended;
    const second = await runProgram(demo, args, { env: logs.env });

    expect(first).toMatchObject({ code: 130, stdout: expect.stringContaining("Run the same command again to go on.") });
    const { now, before } = countsOf(second);
    expect(now + before).toBe(40);
    expect(before).toBeGreaterThan(0);
    expect(linesOf(logs.run).toSorted()).toEqual(linesOf(logs.ack).toSorted());
  });

  test("skips a file that has vanished since it was found", async () => {
    const folder = aWorkFolder();
    const [first = ""] = writeFiles(join(folder, "files"), 3, 300);
    // Handlers stand still until somebody reads what they write.
    const pipe = join(folder, "pipe");
    execFileSync("env", ["mkfifo", pipe]);
    const { env, ack } = logsIn(folder);
    const program = startProgram(demo, [join(folder, "files"), "--data", join(folder, "data")], {
      env: { ...env, OMNIQ_DEMO_RUN_LOG: pipe },
    });
    await vi.waitFor(() => expect(linesOf(ack)).toHaveLength(3), enough);

    rmSync(first);
    const reader = openSync(pipe, "r+");
    const { code, stdout } = await program.ended;
    closeSync(reader);

    expect(code).toBe(0);
    expect(stdout).toContain("Skipped, and tried again next time:\n  file-0.txt: ENOENT");
    expect(stdout).toContain("2 files done in this run, 0 had been done before, 1 skipped");
  });

  test.each([
    ["a missing folder", ["missing"], "There is no such folder: "],
    ["a file", ["file.txt"], "That is not a folder: "],
    ["an empty folder", ["empty"], "There are no files to compress in "],
    ["two folders", ["empty", "empty"], "Give one folder."],
    ["an unknown option", ["--al"], "Unknown option '--al'"],
  ])("refuses %s in plain words", async (_what, args, message) => {
    const cwd = aWorkFolder();
    mkdirSync(join(cwd, "empty"));
    writeFileSync(join(cwd, "file.txt"), "text");

    const { code, stderr } = await runProgram(demo, [...args, "--data", join(cwd, "data")], { cwd });

    expect(code).toBeGreaterThan(0);
    expect(stderr.startsWith(message)).toBe(true);
    expect(stderr).not.toContain("    at ");
  });
});
