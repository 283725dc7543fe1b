import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { beforeAll, describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
}

const manifest = JSON.parse(readFileSync(resolve(root, "package.json"), "utf8")) as Manifest;

/** What `npm publish` would send, as paths from the root of the package. */
async function packedFiles(): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: root,
  });
  const [tarball] = JSON.parse(stdout) as { files: { path: string }[] }[];
  return (tarball?.files ?? []).map(({ path }) => path);
}

describe("the package", () => {
  let files: readonly string[];

  beforeAll(async () => {
    files = await packedFiles();
  });

  test("holds the build and the pages a user needs, and nothing else", () => {
    const beside = files.filter((file) => !file.startsWith("dist/"));

    expect(beside.toSorted()).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "package.json"]);
  });

  test("holds of the build only modules, types and maps", () => {
    expect(files).toContain("dist/index.js");
    expect(files.filter((file) => file.startsWith("dist/") && !/\.(?:js|d\.ts)(?:\.map)?$/.test(file))).toEqual([]);
  });

  test("holds every file that its exports name", () => {
    const named = Object.values(manifest.exports).flatMap((target) =>
      typeof target === "string" ? [target] : Object.values(target),
    );

    expect(named.map((path) => path.replace("./", "")).filter((path) => !files.includes(path))).toEqual([]);
  });
});

test("publint finds nothing to mend", async () => {
  const { messages, pkg } = await publint({ pkgDir: root, strict: true, pack: false });

  expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([]);
});

test("there are at most 12 run-time dependencies", () => {
  const count = Object.keys(manifest.dependencies).length;

  expect(count).toBeGreaterThan(0);
  expect(count).toBeLessThanOrEqual(12);
});

test("nothing runs when the package is installed", () => {
  const lifecycle = ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"];

  expect(Object.keys(manifest.scripts).filter((script) => lifecycle.includes(script))).toEqual([]);
});
