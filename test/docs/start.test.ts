import { execFile } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { filesIn } from "../support/pages.ts";
import { aWorkFolder, runProgram } from "../support/run-program.ts";

const root = resolve(import.meta.dirname, "../..");

/** A folder with the files of a page, in which this package is installed as it is in a user's project. */
function aProject(page: string): string {
  const folder = aWorkFolder();
  mkdirSync(join(folder, "node_modules/@types"), { recursive: true });
  symlinkSync(root, join(folder, "node_modules/omniq"));
  symlinkSync(join(root, "node_modules/@types/node"), join(folder, "node_modules/@types/node"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  for (const { name, code } of filesIn(page).files) writeFileSync(join(folder, name), code);
  return folder;
}

const compilerOptions = {
  target: "ES2022",
  lib: ["ES2023", "esnext.disposable"],
  module: "NodeNext",
  types: ["node"],
  strict: true,
  noEmit: true,
  allowImportingTsExtensions: true,
};

const pages = [
  "README.md",
  "docs/start.md",
  "docs/guides/choosing-an-executor.md",
  "docs/guides/inside-a-task.md",
  "docs/guides/limits.md",
  "docs/guides/schedules.md",
  "docs/guides/timeouts-and-cancellation.md",
];

describe.each(pages)("%s", (page) => {
  const { files, others } = filesIn(page);

  test("names a file in every block of code", () => {
    expect(files.length).toBeGreaterThan(0);
    expect(others.filter((language) => !["sh", "text"].includes(language))).toEqual([]);
  });

  test("shows TypeScript that compiles", async () => {
    const project = aProject(page);
    const sources = files.map(({ name }) => name).filter((name) => name.endsWith(".ts"));
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: sources }));

    const tsc = promisify(execFile)(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", project]);

    expect(await tsc.catch(({ stdout }: { stdout: string }) => ({ stdout }))).toMatchObject({ stdout: "" });
  });

  test("shows programs that print what it says", { timeout: 400_000 }, async () => {
    const project = aProject(page);
    const printed: Record<string, string> = {};

    for (const { name } of files.filter((file) => file.name.endsWith(".mjs"))) {
      const { code, stdout, stderr } = await runProgram(join(project, name), [], { cwd: project });
      printed[name] = code === 0 ? stdout : `exit ${code}: ${stderr}`;
    }

    for (const { name, prints } of files) if (prints !== undefined) expect(printed[name]).toBe(prints);
    expect(Object.values(printed).filter((text) => text.startsWith("exit"))).toEqual([]);
  });
});
