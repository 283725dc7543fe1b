import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { VirtualClock } from "../../../src/base/clock.ts";
import {
  confirmCreation,
  readCloseNote,
  readMarker,
  removeCloseNote,
  writeCloseNote,
} from "../../../src/storage/lmdb/close-note.ts";
import { aFolder } from "../../support/lmdb-folders.ts";

/** A folder with data that only has to be there. */
function aFolderWithData(): string {
  const folder = aFolder();
  writeFileSync(join(folder, "data.mdb"), "data");
  return folder;
}

test("a clean close notes the data as it is", async () => {
  const folder = aFolderWithData();
  const { size, mtimeMs } = statSync(join(folder, "data.mdb"));
  await writeCloseNote(folder, new VirtualClock(5_000));

  expect(readCloseNote(folder)).toMatchObject({ size, mtimeMs, closedAt: 5_000 });
});

test("opening takes the note away and keeps the marker", async () => {
  const folder = aFolderWithData();
  await writeCloseNote(folder, new VirtualClock(5_000));
  await removeCloseNote(folder, new VirtualClock(6_000));

  expect(readCloseNote(folder)).toBeUndefined();
  expect(readMarker(folder)).toMatchObject({ product: "omniq", createdAt: 5_000, isCreated: true });
});

test("a new store is marked as created only when it is confirmed", async () => {
  const folder = aFolder();
  await removeCloseNote(folder, new VirtualClock(5_000));
  expect(readMarker(folder)).toMatchObject({ createdAt: 5_000, isCreated: false });
  await confirmCreation(folder, new VirtualClock(6_000));

  expect(readMarker(folder)).toMatchObject({ createdAt: 5_000, isCreated: true });
});

test("a clean close confirms the creation as well", async () => {
  const folder = aFolder();
  await removeCloseNote(folder);
  writeFileSync(join(folder, "data.mdb"), "data");
  await writeCloseNote(folder);

  expect(readMarker(folder)?.isCreated).toBe(true);
});

test("a note that cannot be read is none", async () => {
  const folder = aFolder();
  writeFileSync(join(folder, "closed.json"), '{"size": 12');

  expect(readCloseNote(folder)).toBeUndefined();
});

test("a marker that cannot be read still marks a store", async () => {
  const folder = aFolder();
  writeFileSync(join(folder, "store.json"), "");

  expect(readMarker(folder)).toMatchObject({ isCreated: true, bootId: undefined });
});

test("files are replaced as a whole, leaving nothing beside them", async () => {
  const folder = aFolderWithData();
  await writeCloseNote(folder);
  await writeCloseNote(folder);

  expect(() => JSON.parse(readFileSync(join(folder, "closed.json"), "utf8")) as unknown).not.toThrow();
  expect(existsSync(join(folder, "closed.json.tmp"))).toBe(false);
});

test.runIf(process.platform !== "win32")("a link in the place of a file to be written is not followed", async () => {
  const folder = aFolderWithData();
  const elsewhere = join(aFolder(), "elsewhere");
  symlinkSync(elsewhere, join(folder, "closed.json.tmp"));
  await writeCloseNote(folder);

  expect(existsSync(elsewhere)).toBe(false);
  expect(readCloseNote(folder)).toBeDefined();
});
