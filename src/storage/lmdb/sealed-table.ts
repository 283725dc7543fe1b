import { StoreCorruptError } from "../../base/errors.ts";
import { isIntact, seal } from "./seal.ts";
import type { Entry, Range, Table } from "./tables.ts";

/**
 * A table of records. Each is sealed when it is put, and checked when it is read, because LMDB gives back a flipped bit
 * without a word.
 *
 * @throws StoreCorruptError when a record is not as it was put, or not where.
 */
export class SealedTable implements Table {
  readonly #table: Table;
  readonly #path: string;

  constructor(table: Table, path: string) {
    this.#table = table;
    this.#path = path;
  }

  put(key: Buffer, value: Buffer): void {
    this.#table.put(key, seal(value, key));
  }

  remove(key: Buffer): void {
    this.#table.remove(key);
  }

  get(key: Buffer): Buffer | undefined {
    const value = this.#table.get(key);
    return value === undefined ? undefined : this.#checked(value, key);
  }

  doesExist(key: Buffer): boolean {
    return this.#table.doesExist(key);
  }

  getKeys(range?: Range): Iterable<Buffer> {
    return this.#table.getKeys(range);
  }

  *getRange(range?: Range): Iterable<Entry> {
    for (const entry of this.#table.getRange(range)) {
      this.#checked(entry.value, entry.key);
      yield entry;
    }
  }

  #checked(value: Buffer, key: Buffer): Buffer {
    if (isIntact(value, key)) return value;
    throw new StoreCorruptError(this.#path, "a record does not match its checksum");
  }
}
