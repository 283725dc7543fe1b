/**
 * A process of its own that reads a store from end to end, so that damage which makes LMDB crash takes only this
 * process along. First the pages are read without LMDB, then the records through it. Writes nothing to the store.
 */
import { open } from "lmdb";
import {
  DataFile,
  entryFlags,
  readHeader,
  readTree,
  walkFreePages,
  walkTree,
  type Header,
  type Tree,
} from "./integrity.ts";
import { currentFormat, decodeFormat, formatKey } from "./format.ts";
import { FindingError, type PreflightMessage } from "./preflight.ts";
import { isIntact } from "./seal.ts";

/** Progress is told after this many pages or records. */
const tellEvery = 20_000;

const folder = process.argv[2] ?? "";
let steps = 0;

function step(): void {
  if (++steps % tellEvery === 0) void tell({ type: "progress" });
}

function tell(message: PreflightMessage): Promise<void> {
  return new Promise((resolve) => process.send?.(message, () => resolve()));
}

const damaged = (problem: string): FindingError => new FindingError({ type: "damaged", problem });
const foreign = (problem: string): FindingError => new FindingError({ type: "foreign", problem });

/** Every page belongs to one tree, or is free; none to two, or both. */
function checkPages(): void {
  const file = new DataFile(folder);
  try {
    const header = readHeader(file);
    const isTaken = new Uint8Array(header.lastPage + 1);
    const take = (page: number, count: number): void => {
      for (let number = page; number < page + count; number++) {
        if (isTaken[number] === 1) throw file.damaged(`page ${number} is used twice`);
        isTaken[number] = 1;
        step();
      }
    };
    walkFreePages(file, header, take, take);
    checkTree(file, header, header.main, take);
  } finally {
    file.close();
  }
}

function checkTree(file: DataFile, header: Header, tree: Tree, pages: (page: number, count: number) => void): void {
  walkTree(file, header, tree, {
    pages,
    entry(_key, value, flags) {
      if ((flags & entryFlags.tree) === 0) return;
      const inner = value.length === 48 ? readTree(value) : undefined;
      if (inner?.flags !== 0) throw file.damaged("a tree within a tree is not one of ours");
      checkTree(file, header, inner, pages);
    },
  });
}

async function checkRecords(): Promise<void> {
  const root = open({
    path: folder,
    readOnly: true,
    overlappingSync: false,
    cache: false,
    maxDbs: 64,
    encoding: "binary",
  });
  const openTable = (name: string) => root.openDB<Buffer, Buffer>(name, { encoding: "binary", keyEncoding: "binary" });
  try {
    const names = [...root.getKeys()];
    if (!names.includes("meta")) throw foreign("it has no record of its format");
    checkFormat(openTable("meta").get(formatKey), names);
    for (const name of names) {
      if (typeof name !== "string") throw damaged("a database in it has no name");
      const isSummed = !name.endsWith("-index");
      for (const { key, value } of openTable(name).getRange({ snapshot: true })) {
        step();
        const isFormat = name === "meta" && formatKey.equals(key);
        if (isSummed && !isFormat && !isIntact(value, key)) {
          throw damaged(`the record ${key.toString("hex")} of "${name}" has changed since it was written`);
        }
      }
    }
  } finally {
    await root.close();
  }
}

/** A store of tasks, or a component that lies apart from one: which it is, the opening checks. */
const products: readonly unknown[] = ["omniq", "omniq results", "omniq events"];

function checkFormat(record: Buffer | undefined, names: readonly unknown[]): void {
  if (record === undefined) throw foreign("it has no record of its format");
  const found = decodeFormat(record);
  if (found === undefined) throw damaged("the record of its format has changed since it was written");
  const { product, format, tables } = found;
  if (!products.includes(product) || typeof format !== "number") throw foreign(`it is of ${JSON.stringify(product)}`);
  if (format !== currentFormat) throw new FindingError({ type: "version", found: format, known: currentFormat });
  const missing = Array.isArray(tables) ? tables.find((table) => !names.includes(table)) : undefined;
  if (missing !== undefined) throw damaged(`its table ${JSON.stringify(missing)} is missing`);
}

let verdict: PreflightMessage = { type: "done" };
try {
  checkPages();
  await checkRecords();
} catch (error) {
  verdict = error instanceof FindingError ? error.finding : damaged(String(error)).finding;
}
await tell(verdict);
process.disconnect?.();
