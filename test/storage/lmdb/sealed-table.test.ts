import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { StoreCorruptError, StoreVersionError } from "../../../src/base/errors.ts";
import { lmdbStorage } from "../../../src/storage/lmdb/lmdb.ts";
import { openRaw, openRecords, openRoot } from "../../../src/storage/lmdb/tables.ts";
import { someSettings } from "../../conformance/storage/bench.ts";
import { aFolder, aStore } from "../../support/lmdb-folders.ts";

const [one, two] = [Buffer.from("one"), Buffer.from("two")];
const aRecord = (): Buffer => Buffer.from("\0\0\0\0what it says");

function someTables() {
  const path = aFolder();
  const root = openRoot(path);
  onTestFinished(() => root.close());
  const write = (put: () => void): void => root.transactionSync(put);
  return { write, raw: openRaw(root, "records"), records: openRecords(root, "records", path) };
}

test("a record reads as it was put, each time", () => {
  const { write, records } = someTables();
  write(() => records.put(one, aRecord()));
  for (let round = 0; round < 2; round++) {
    expect(records.get(one)?.toString("utf8", 4)).toBe("what it says");
    expect(Array.from(records.getRange(), ({ value }) => value.toString("utf8", 4))).toEqual(["what it says"]);
  }
});

test("a record that changed is refused however it is read", () => {
  const { write, raw, records } = someTables();
  write(() => records.put(one, aRecord()));
  const changed = Buffer.from(raw.get(one) ?? "");
  changed[7] = (changed[7] ?? 0) ^ 1;
  write(() => void raw.put(one, changed));
  expect(() => records.get(one)).toThrow(StoreCorruptError);
  expect(() => Array.from(records.getRange())).toThrow(StoreCorruptError);
});

test("a record under the key of another is refused however it is read", () => {
  const { write, raw, records } = someTables();
  write(() => records.put(one, aRecord()));
  write(() => {
    raw.put(two, raw.get(one) ?? aRecord());
    raw.remove(one);
  });
  expect(() => records.get(two)).toThrow(StoreCorruptError);
  expect(() => Array.from(records.getRange())).toThrow(StoreCorruptError);
});

test.each([1, 2, 4])("a store of format %i is refused by name, and its data left as they are", async (format) => {
  const path = aStore(format);
  const before = readFileSync(join(path, "data.mdb"));
  const opening = lmdbStorage({ path, reserveBytes: 1_000_000, preflight: "off" }).open(someSettings);
  await expect(opening).rejects.toThrow(StoreVersionError);
  expect(readFileSync(join(path, "data.mdb")).equals(before)).toBe(true);
});
