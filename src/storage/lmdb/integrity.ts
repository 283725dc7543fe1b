import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { StoreCorruptError, StoreForeignError } from "../../base/errors.ts";
import { bootId, placeOf, readCloseNote, readMarker, type CloseNote } from "./close-note.ts";
import { foreignEntry } from "./owner.ts";
import { errorFor, FindingError } from "./preflight.ts";

/** `auto` reads a store from end to end when it may have changed without us; the others say always or never. */
export type PreflightMode = "auto" | "always" | "off";

/** A B-tree of an LMDB file, as its record in a meta page or in the main tree describes it. */
export interface Tree {
  readonly flags: number;
  readonly depth: number;
  readonly branchPages: number;
  readonly leafPages: number;
  readonly overflowPages: number;
  readonly entries: number;
  /** Page number; `undefined` when the tree is empty. */
  readonly root: number | undefined;
}

/** What the newest of the two meta pages says. */
export interface Header {
  readonly pageSize: number;
  readonly lastPage: number;
  readonly free: Tree;
  readonly main: Tree;
}

/** What a walk over a tree meets. */
export interface TreeVisitor {
  /** `count` pages that belong together, from `page` on. */
  pages(page: number, count: number): void;
  /** An entry of a leaf; `value` is what the tree stores, wherever it is kept. */
  entry(key: Buffer, value: Buffer, flags: number): void;
}

// The layout of LMDB 0.9.90 as lmdb-js builds it: mdb.c, MDB_page, MDB_meta, MDB_db, MDB_node. Little endian.
const magic = 0xbeefc0de;
const dataVersion = 2;
const pageHeaderBytes = 24;
const metaBytes = 144;
const overflowBytes = 24;
const noPage = 0xffff_ffff_ffff_ffffn;
const pageFlags = { branch: 0x01, leaf: 0x02, overflow: 0x04, meta: 0x08 };
/** Flags of an entry: its value is on pages of its own; it is a tree. No tree of ours has duplicates. */
export const entryFlags = { big: 0x01, tree: 0x02 };
const deepestTree = 32;

/**
 * Looks at a store before LMDB does, which would take an emptied file for a new store and crash on a shortened one:
 * opens no environment, and no file that is still open when this returns. The caller owns the folder, and has no
 * environment open in it: closing a file drops the locks that this process has on it.
 *
 * @throws StoreCorruptError, StoreForeignError.
 */
export async function checkBeforeOpening(folder: string): Promise<"new" | { readonly note: CloseNote | undefined }> {
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return "new";
  const foreign = foreignEntry(folder);
  if (foreign !== undefined) throw new StoreForeignError(folder, `it holds "${foreign}"`);
  const marker = readMarker(folder);
  const isCreated = marker?.isCreated ?? readCloseNote(folder) !== undefined;
  const found = lstatSync(join(folder, "data.mdb"), { throwIfNoEntry: false });
  if (found === undefined) {
    if (isCreated) throw new StoreCorruptError(folder, "data.mdb is missing");
    return "new";
  }
  if (!found.isFile()) throw new StoreForeignError(folder, "data.mdb is not a file");
  const isCutShort = marker?.isCreated === false;
  if (found.size === 0 && isCutShort) return "new";
  const file = new DataFile(folder);
  try {
    const header = readHeader(file);
    // Free pages at the end are never written, so this alone is no damage.
    if (file.size < (header.lastPage + 1) * header.pageSize) checkMissingPages(file, header);
  } catch (error) {
    throw error instanceof FindingError ? errorFor(folder, error.finding) : error;
  } finally {
    file.close();
  }
  return isCutShort ? "new" : { note: readCloseNote(folder) };
}

/**
 * Whether a store should be read from end to end before it is opened. With `auto`: when it is not as it was left at
 * a clean close, or, without a clean close, when the machine has started anew since or this is a copy of it. The
 * death of a process alone leaves nothing to check.
 */
export function needsPreflight(folder: string, note: CloseNote | undefined, mode: PreflightMode): boolean {
  if (mode !== "auto") return mode === "always";
  if (note !== undefined) {
    const { size, mtimeMs } = statSync(join(folder, "data.mdb"));
    return size !== note.size || mtimeMs !== note.mtimeMs;
  }
  const marker = readMarker(folder);
  const boot = bootId();
  return boot === undefined || marker?.bootId !== boot || marker.place !== placeOf(folder);
}

/** `data.mdb`, for reading. */
export class DataFile {
  readonly folder: string;
  readonly size: number;
  readonly #handle: number;

  constructor(folder: string) {
    this.folder = folder;
    // Windows has no O_NOFOLLOW.
    this.#handle = openSync(join(folder, "data.mdb"), constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    this.size = fstatSync(this.#handle).size;
  }

  /** @throws FindingError when the file ends before. */
  read(position: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let at = 0; at < length;) {
      const count = readSync(this.#handle, bytes, at, length - at, position + at);
      if (count === 0) throw this.damaged(`data.mdb ends after ${this.size} bytes, in the middle of what it holds`);
      at += count;
    }
    return bytes;
  }

  close(): void {
    closeSync(this.#handle);
  }

  damaged(problem: string): FindingError {
    return new FindingError({ type: "damaged", problem });
  }
}

/**
 * The newest meta page. Both have to be good: LMDB itself looks closely at the first alone.
 *
 * @throws FindingError: foreign when it is no LMDB file, damaged when it was one.
 */
export function readHeader(file: DataFile): Header {
  if (file.size === 0) throw file.damaged("data.mdb is empty");
  const first = file.read(0, pageHeaderBytes + metaBytes);
  if (first.readUInt32LE(pageHeaderBytes) !== magic) throw foreignOrDamaged(file);
  const pageSize = first.readUInt32LE(pageHeaderBytes + 24);
  if (pageSize < 256 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0)
    throw file.damaged(`pages of ${pageSize} bytes`);
  const second = file.read(pageSize, pageHeaderBytes + metaBytes);
  const [even, odd] = [first, second].map((page, number) => readMeta(file, page, number));
  if (even === undefined || odd === undefined) throw file.damaged("a meta page is missing");
  // Transaction n is written to page n % 2, and each follows the one before.
  const step = even.transaction - odd.transaction;
  const isFresh = even.transaction === 0n && odd.transaction === 0n;
  if (!isFresh && step !== 1n && step !== -1n) throw file.damaged("its meta pages do not follow each other");
  if (!isFresh && (even.transaction & 1n) !== 0n) throw file.damaged("its meta pages have changed places");
  if (second.readUInt32LE(pageHeaderBytes + 24) !== pageSize || even.free.flags !== odd.free.flags) {
    throw file.damaged("its meta pages contradict each other");
  }
  return step > 0n ? even : odd;
}

function readMeta(file: DataFile, page: Buffer, number: number): Header & { readonly transaction: bigint } {
  const meta = page.subarray(pageHeaderBytes);
  const isMeta = page.readBigUInt64LE(0) === BigInt(number) && (page.readUInt16LE(18) & pageFlags.meta) !== 0;
  if (!isMeta || meta.readUInt32LE(0) !== magic) throw file.damaged(`meta page ${number} is not one`);
  const version = meta.readUInt32LE(4) & 0xffff;
  if (version !== dataVersion) throw file.damaged(`it has version ${version} of the LMDB format, not ${dataVersion}`);
  const pageSize = meta.readUInt32LE(24);
  const lastPage = Number(meta.readBigUInt64LE(120));
  const mapSize = meta.readBigUInt64LE(16);
  const transaction = meta.readBigUInt64LE(128);
  const free = readTree(meta.subarray(24, 72));
  const main = readTree(meta.subarray(72, 120));
  if (lastPage < 1 || BigInt(lastPage + 1) * BigInt(pageSize) > mapSize || mapSize > 2n ** 47n)
    throw file.damaged(`meta page ${number} has impossible sizes`);
  if (main.flags !== 0) throw file.damaged(`meta page ${number} has an impossible tree`);
  for (const tree of [free, main]) {
    const isEmpty = tree.root === undefined;
    if (
      isEmpty !== (tree.depth === 0) ||
      tree.depth > deepestTree ||
      (!isEmpty && (tree.root < 2 || tree.root > lastPage))
    ) {
      throw file.damaged(`meta page ${number} has an impossible tree`);
    }
  }
  return { pageSize, lastPage, free, main, transaction };
}

/** A tree's record, 48 bytes. */
export function readTree(bytes: Buffer): Tree {
  const root = bytes.readBigUInt64LE(40);
  return {
    flags: bytes.readUInt16LE(4),
    depth: bytes.readUInt16LE(6),
    branchPages: Number(bytes.readBigUInt64LE(8)),
    leafPages: Number(bytes.readBigUInt64LE(16)),
    overflowPages: Number(bytes.readBigUInt64LE(24)),
    entries: Number(bytes.readBigUInt64LE(32)),
    root: root === noPage ? undefined : Number(root),
  };
}

/**
 * Visits every page and entry of `tree`, checking all that a page says about itself.
 *
 * @throws FindingError at the first thing that is not as LMDB writes it.
 */
export function walkTree(file: DataFile, header: Header, tree: Tree, visitor: TreeVisitor): void {
  const { pageSize, lastPage } = header;
  let branchPages = 0;
  let leafPages = 0;
  let overflowPages = 0;
  let entries = 0;
  // The list of free pages is in the order of its numbers.
  const isOrdered = tree !== header.free;
  let pagesLeft = lastPage;
  let previous: { readonly key: Buffer; readonly isSeparator: boolean } | undefined;

  // A branch repeats the first key of what is below it.
  const checkOrder = (page: number, key: Buffer, isSeparator: boolean): void => {
    const order = previous === undefined ? -1 : previous.key.compare(key);
    if (order > 0 || (order === 0 && previous?.isSeparator === false))
      throw file.damaged(`page ${page} has keys out of order`);
    previous = { key, isSeparator };
  };

  const load = (number: number, count: number): Buffer => {
    if (number < 2 || number + count - 1 > lastPage)
      throw file.damaged(`it refers to page ${number}, which does not exist`);
    if ((pagesLeft -= count) < 0) throw file.damaged("a tree has more pages than the file");
    visitor.pages(number, count);
    const page = file.read(number * pageSize, count * pageSize);
    if (page.readBigUInt64LE(0) !== BigInt(number)) throw file.damaged(`page ${number} holds something else`);
    return page;
  };

  const visit = (number: number, level: number): void => {
    const page = load(number, 1);
    const kind = page.readUInt16LE(18) & 0xff;
    const isLeaf = kind === pageFlags.leaf;
    if ((!isLeaf && kind !== pageFlags.branch) || isLeaf !== (level === tree.depth))
      throw file.damaged(`page ${number} is not of its kind`);
    if (isLeaf) leafPages++;
    else branchPages++;
    const lower = page.readUInt16LE(20);
    const upper = page.readUInt16LE(22);
    const isSound = lower >= 2 && (lower & 1) === 0 && lower <= upper && upper <= pageSize - pageHeaderBytes;
    if (!isSound) throw file.damaged(`page ${number} is larger than it can be`);
    let used = 0;
    for (let index = 0; index < lower >> 1; index++) {
      const at = page.readUInt16LE(pageHeaderBytes + 2 * index) + pageHeaderBytes;
      const isInside = at >= upper + pageHeaderBytes && at + 8 <= pageSize;
      const keyEnd = isInside ? at + 8 + page.readUInt16LE(at + 6) : pageSize + 1;
      if (keyEnd > pageSize) throw file.damaged(`page ${number} has an entry outside of itself`);
      const key = page.subarray(at + 8, keyEnd);
      // The first key of a branch is not used.
      if (isOrdered && (isLeaf || index > 0)) checkOrder(number, key, !isLeaf);
      const low = page.readUInt16LE(at) + page.readUInt16LE(at + 2) * 0x1_0000;
      const flags = page.readUInt16LE(at + 4);
      const inPage = isLeaf ? ((flags & entryFlags.big) === 0 ? low : overflowBytes) : 0;
      used += (keyEnd - at + inPage + 1) & ~1;
      if (isLeaf) visitor.entry(key, valueAt(page, number, keyEnd, low, flags), flags);
      else visit(low + flags * 0x1_0000_0000, level + 1);
    }
    // Entries fill a page from its end without a gap, so none can cover a part of another.
    if (used !== pageSize - pageHeaderBytes - upper) throw file.damaged(`page ${number} has entries that overlap`);
  };

  const valueAt = (page: Buffer, number: number, at: number, length: number, flags: number): Buffer => {
    entries++;
    const isBig = (flags & entryFlags.big) !== 0;
    const isKnown = flags === 0 || flags === entryFlags.big || (flags === entryFlags.tree && tree === header.main);
    if (!isKnown || at + (isBig ? overflowBytes : length) > pageSize)
      throw file.damaged(`page ${number} has a value outside of itself`);
    return isBig ? loadOverflow(page, at, length) : page.subarray(at, at + length);
  };

  const loadOverflow = (page: Buffer, at: number, length: number): Buffer => {
    const number = Number(page.readBigUInt64LE(at));
    const count = Number(page.readBigUInt64LE(at + 16));
    // A shorter value may have taken the place of a longer one.
    if (count < Math.ceil((pageHeaderBytes + length) / pageSize))
      throw file.damaged(`a value of ${length} bytes is on ${count} pages`);
    const bytes = load(number, count);
    if ((bytes.readUInt16LE(18) & 0xff) !== pageFlags.overflow || bytes.readUInt32LE(20) !== count) {
      throw file.damaged(`page ${number} is not of its kind`);
    }
    overflowPages += count;
    return bytes.subarray(pageHeaderBytes, pageHeaderBytes + length);
  };

  if (tree.root !== undefined) visit(tree.root, 1);
  const isCounted = branchPages === tree.branchPages && leafPages === tree.leafPages;
  if (!isCounted || overflowPages !== tree.overflowPages || entries !== tree.entries) {
    throw file.damaged("a tree does not have the pages and entries that it says it has");
  }
}

/** Calls `add` with every range of pages that the file lists as free, and `used` with the pages of the list itself. */
export function walkFreePages(
  file: DataFile,
  header: Header,
  used: (page: number, count: number) => void,
  add: (page: number, count: number) => void,
): void {
  walkTree(file, header, header.free, {
    pages: used,
    entry(key, value) {
      const length = value.length >= 8 ? Number(value.readBigUInt64LE(0)) : -1;
      if (key.length !== 8 || length < 0 || (length + 1) * 8 > value.length)
        throw file.damaged("its list of free pages is not one");
      for (let index = 1; index <= length; index++) {
        // A number of pages, negative, before the first of them; a page alone; or a gap.
        const item = value.readBigInt64LE(8 * index);
        if (item === 0n) continue;
        const count = item < 0n ? -Number(item) : 1;
        if (item < 0n && ++index > length) throw file.damaged("its list of free pages is not one");
        const page = Number(value.readBigInt64LE(8 * index));
        if (page < 2 || page + count - 1 > header.lastPage)
          throw file.damaged(`it lists page ${page} as free, which does not exist`);
        add(page, count);
      }
    },
  });
}

/** A healthy file lacks pages at its end only if all of them are free: LMDB does not write those. */
function checkMissingPages(file: DataFile, header: Header): void {
  const end = Math.floor(file.size / header.pageSize);
  let missing = header.lastPage + 1 - end;
  walkFreePages(
    file,
    header,
    () => {},
    (page, count) => {
      missing -= Math.max(0, page + count - Math.max(page, end));
    },
  );
  if (missing > 0) throw file.damaged(`data.mdb was shortened: ${missing} of its pages are beyond its end`);
}

function foreignOrDamaged(file: DataFile): Error {
  const wasStore = readMarker(file.folder) !== undefined || readCloseNote(file.folder) !== undefined;
  if (wasStore) return file.damaged("data.mdb has lost its first page");
  return new FindingError({ type: "foreign", problem: "data.mdb is not an LMDB file" });
}
