import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { StoreCorruptError, StoreForeignError } from "../../../src/base/errors.ts";
import {
  confirmCreation,
  readCloseNote,
  removeCloseNote,
  writeCloseNote,
  writeJsonDurably,
} from "../../../src/storage/lmdb/close-note.ts";
import { checkBeforeOpening, DataFile, needsPreflight, readHeader } from "../../../src/storage/lmdb/integrity.ts";
import { aFolder, aStore } from "../../support/lmdb-folders.ts";

const dataOf = (folder: string): string => join(folder, "data.mdb");

/** A store as a clean close leaves it. */
async function aClosedStore(): Promise<string> {
  const folder = aStore();
  await writeCloseNote(folder);
  return folder;
}

// ------------------------------------------------------------------------------------------------ checkBeforeOpening

test("a missing folder, an empty one, and one with an owner only are new", async () => {
  const folder = aFolder();
  expect(await checkBeforeOpening(join(folder, "missing"))).toBe("new");
  expect(await checkBeforeOpening(folder)).toBe("new");
  writeFileSync(join(folder, "owner.json"), "{}");
  writeFileSync(join(folder, "lock.mdb"), "");

  expect(await checkBeforeOpening(folder)).toBe("new");
});

test("a store that was closed cleanly is found with its note", async () => {
  const folder = await aClosedStore();

  expect(await checkBeforeOpening(folder)).toEqual({ note: readCloseNote(folder) });
  expect(readCloseNote(folder)?.size).toBe(statSync(dataOf(folder)).size);
});

test("a store whose free pages at the end were never written is healthy", async () => {
  const folder = await aClosedStore();
  const file = new DataFile(folder);
  const { lastPage, pageSize } = readHeader(file);
  file.close();
  expect(file.size).toBeLessThan((lastPage + 1) * pageSize);

  expect(await checkBeforeOpening(folder)).toMatchObject({ note: { size: file.size } });
});

test("a store that lacks pages in use at its end is damaged", async () => {
  const folder = await aClosedStore();
  truncateSync(dataOf(folder), statSync(dataOf(folder)).size / 2);

  await expect(checkBeforeOpening(folder)).rejects.toThrow(/shortened|ends after/);
});

test("a store whose data is missing is damaged, not new", async () => {
  const folder = await aClosedStore();
  rmSync(dataOf(folder));

  await expect(checkBeforeOpening(folder)).rejects.toThrow("data.mdb is missing");
});

test("a store whose data is missing is damaged also after a close that was not clean", async () => {
  const folder = await aClosedStore();
  await removeCloseNote(folder);
  rmSync(dataOf(folder));

  await expect(checkBeforeOpening(folder)).rejects.toBeInstanceOf(StoreCorruptError);
});

test("a store that was emptied is damaged, not new", async () => {
  const folder = await aClosedStore();
  truncateSync(dataOf(folder), 0);

  await expect(checkBeforeOpening(folder)).rejects.toBeInstanceOf(StoreCorruptError);
});

test("empty data of unknown origin is damaged, not new", async () => {
  const folder = aFolder();
  writeFileSync(dataOf(folder), "");

  await expect(checkBeforeOpening(folder)).rejects.toBeInstanceOf(StoreCorruptError);
});

test("a creation that was cut short may start over", async () => {
  const folder = aFolder();
  await removeCloseNote(folder);
  expect(await checkBeforeOpening(folder)).toBe("new");
  writeFileSync(dataOf(folder), "");

  expect(await checkBeforeOpening(folder)).toBe("new");
});

test("a creation that was confirmed cannot start over", async () => {
  const folder = aFolder();
  await removeCloseNote(folder);
  await confirmCreation(folder);

  await expect(checkBeforeOpening(folder)).rejects.toBeInstanceOf(StoreCorruptError);
});

test("a file that is not of LMDB is foreign", async () => {
  const folder = aFolder();
  writeFileSync(dataOf(folder), "garbage".repeat(5_000));

  await expect(checkBeforeOpening(folder)).rejects.toBeInstanceOf(StoreForeignError);
});

test("garbage in the place of a store is damage", async () => {
  const folder = await aClosedStore();
  writeFileSync(dataOf(folder), "garbage".repeat(5_000));

  await expect(checkBeforeOpening(folder)).rejects.toBeInstanceOf(StoreCorruptError);
});

test("a folder of other files is foreign", async () => {
  const folder = aFolder();
  writeFileSync(join(folder, "letter.txt"), "Dear all");

  await expect(checkBeforeOpening(folder)).rejects.toThrow(/letter\.txt/);
});

test.runIf(process.platform !== "win32")("data that is a link is not followed", async () => {
  const folder = aFolder();
  symlinkSync(dataOf(aStore()), dataOf(folder));

  await expect(checkBeforeOpening(folder)).rejects.toBeInstanceOf(StoreForeignError);
});

// ------------------------------------------------------------------------------------------------ needsPreflight

test("a store that is as it was left needs no preflight", async () => {
  const folder = await aClosedStore();

  expect(needsPreflight(folder, readCloseNote(folder), "auto")).toBe(false);
});

test("a store that was touched since its clean close needs a preflight", async () => {
  const folder = await aClosedStore();
  const note = readCloseNote(folder);
  utimesSync(dataOf(folder), 1, 1);

  expect(needsPreflight(folder, note, "auto")).toBe(true);
});

test("a store that grew since its clean close needs a preflight", async () => {
  const folder = await aClosedStore();
  const note = readCloseNote(folder);
  const { size, atime, mtime } = statSync(dataOf(folder));
  truncateSync(dataOf(folder), size + 1);
  utimesSync(dataOf(folder), atime, mtime);

  expect(needsPreflight(folder, note, "auto")).toBe(true);
});

test.runIf(process.platform === "linux")("the death of a process alone needs no preflight", async () => {
  const folder = await aClosedStore();
  await removeCloseNote(folder);

  expect(needsPreflight(folder, readCloseNote(folder), "auto")).toBe(false);
});

test("a store that was in use before the machine started anew needs a preflight", async () => {
  const folder = await aClosedStore();
  await removeCloseNote(folder);
  const { dev, ino } = statSync(folder, { bigint: true });
  writeJsonDurably(join(folder, "store.json"), { isCreated: true, bootId: "an earlier boot", place: `${dev}:${ino}` });

  expect(needsPreflight(folder, undefined, "auto")).toBe(true);
});

test("a copy of a store in use needs a preflight", async () => {
  const folder = await aClosedStore();
  await removeCloseNote(folder);
  const copy = mkdtempSync(join(aFolder(), "copy-"));
  for (const name of ["data.mdb", "store.json"]) renameSync(join(folder, name), join(copy, name));

  expect(needsPreflight(copy, undefined, "auto")).toBe(true);
});

test("data without any trace of how it was left needs a preflight", () => {
  expect(needsPreflight(aStore(), undefined, "auto")).toBe(true);
});

test("the mode decides alone when it is not auto", async () => {
  const folder = await aClosedStore();

  expect(needsPreflight(folder, readCloseNote(folder), "always")).toBe(true);
  expect(needsPreflight(folder, undefined, "off")).toBe(false);
});

test("a folder in the place of the data is foreign", async () => {
  const folder = aFolder();
  mkdirSync(dataOf(folder));

  await expect(checkBeforeOpening(folder)).rejects.toBeInstanceOf(StoreForeignError);
});
