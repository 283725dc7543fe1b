import { readFileSync, readdirSync } from "node:fs";
import { dirname, relative, resolve, sep } from "node:path";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");

/** Who may import whom: a folder imports itself and what is on a lower floor. */
const floors: Readonly<Record<string, number>> = {
  base: 0,
  task: 1,
  actor: 1,
  schedule: 2,
  storage: 3,
  executor: 3,
  config: 4,
  supervisor: 5,
  bridge: 6,
  client: 7,
};

/** Where a package may be imported. Replacing it means touching that folder only. */
const homes: Readonly<Record<string, readonly string[]>> = {
  "cli-progress": ["examples/"],
  comlink: ["src/bridge/"],
  croner: ["src/schedule/"],
  jiti: ["src/executor/"],
  lmdb: ["src/storage/lmdb/"],
  ms: ["src/base/"],
  msgpackr: ["src/task/", "src/storage/lmdb/"],
  piscina: ["src/executor/"],
  uuid: ["src/base/"],
};

interface Import {
  readonly from: string;
  /** A path from the root of the repository, or the name of a package. */
  readonly to: string;
}

const filesBelow = (folder: string): readonly string[] =>
  readdirSync(resolve(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.m?ts$/.test(entry.name))
    .map((entry) => relative(root, resolve(entry.parentPath, entry.name)).split(sep).join("/"));

/** Static and dynamic imports, re-exports, and imports for effect, of types as well. */
const importPattern = /(?:\bfrom\s*|\bimport\s*\(?\s*)["']([^"']+)["']/g;

/** The text of a file without its comments. */
const codeOf = (file: string): string =>
  readFileSync(resolve(root, file), "utf8").replace(/\/\*[\s\S]*?\*\/|(?<![:"'])\/\/.*$/gm, "");

const importsOf = (file: string): readonly Import[] =>
  Array.from(codeOf(file).matchAll(importPattern), ([, specifier = ""]) => {
    if (!specifier.startsWith(".")) return { from: file, to: specifier };
    return {
      from: file,
      to: relative(root, resolve(root, dirname(file), specifier))
        .split(sep)
        .join("/"),
    };
  });

const isPackage = ({ to }: Import): boolean => !to.startsWith("node:") && !/^(src|test|bench|examples|dist)\//.test(to);
const packageOf = (specifier: string): string => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
const folderOf = (file: string): string | undefined => /^src\/([^/]+)\//.exec(file)?.[1];

const sources = filesBelow("src");
const imports = sources.flatMap(importsOf);
const inside = imports.filter((one) => folderOf(one.from) !== undefined && one.to.startsWith("src/"));
const outside = imports.filter(isPackage);

test("there are sources and imports to check", () => {
  expect(sources.length).toBeGreaterThan(8);
  expect(inside.length).toBeGreaterThan(8);
  expect(outside.map(({ to }) => packageOf(to))).toContain("ms");
});

test("every folder of the sources has a floor", () => {
  const folders = new Set(sources.map(folderOf).filter((folder) => folder !== undefined));

  expect([...folders].filter((folder) => floors[folder] === undefined)).toEqual([]);
});

test("a file imports its own folder or a lower floor", () => {
  const upward = inside.filter(({ from, to }) => {
    const [importer, imported] = [folderOf(from), folderOf(to)];
    if (importer === imported) return false;
    // Whatever has no floor (a file beside the folders) may be imported by nobody.
    return (floors[imported ?? ""] ?? Number.POSITIVE_INFINITY) >= (floors[importer ?? ""] ?? 0);
  });

  expect(upward).toEqual([]);
});

test("a file that starts on its own is imported by nobody", () => {
  const all = [...sources, ...filesBelow("test"), ...filesBelow("bench"), ...filesBelow("examples")].flatMap(importsOf);

  expect(all.filter(({ to }) => /\.entry\.[tj]s$/.test(to))).toEqual([]);
});

test("a relative import ends in .ts", () => {
  expect(imports.filter(({ to }) => to.startsWith("src/") && !to.endsWith(".ts"))).toEqual([]);
});

test("sources import no file from outside of them", () => {
  expect(imports.filter(({ to }) => /^(\.\.|test|bench|examples|dist)\//.test(to))).toEqual([]);
});

test("a package is imported in its home only", () => {
  const all = [...outside, ...[...filesBelow("bench"), ...filesBelow("examples")].flatMap(importsOf).filter(isPackage)];
  const strays = all.filter(({ from, to }) => {
    const home = homes[packageOf(to)];
    // Benchmarks may compare with what a package does alone.
    if (home === undefined || from.startsWith("bench/")) return home === undefined && from.startsWith("src/");
    return !home.some((folder) => from.startsWith(folder));
  });

  expect(strays).toEqual([]);
});

test("every run-time dependency has a home", () => {
  const { dependencies } = JSON.parse(readFileSync(resolve(root, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };

  expect(Object.keys(dependencies).toSorted()).toEqual(Object.keys(homes).toSorted());
});

test.each(["utils", "common", "helpers", "types", "manager", "service"])("no file or folder is called %s", (drawer) => {
  expect(sources.filter((file) => file.split(/[/.]/).includes(drawer))).toEqual([]);
});

test("only src/index.ts re-exports", () => {
  const barrels = sources.filter((file) => /^export (?:type )?(?:\*|\{[^}]*\}) from/m.test(codeOf(file)));

  expect(barrels.filter((file) => file !== "src/index.ts")).toEqual([]);
});

test("actors read no clock and draw no random numbers", () => {
  const impure = /\b(?:Date\.now|new Date\(\)|Math\.random|performance\.now|setTimeout|setInterval)\b/;
  const actors = sources.filter((file) => /^src\/(?:supervisor|actor)\//.test(file));

  expect(actors.filter((file) => impure.test(codeOf(file)))).toEqual([]);
});
