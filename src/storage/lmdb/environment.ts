import { resolve } from "node:path";
import { StoreCorruptError, StoreForeignError, StoreVersionError } from "../../base/errors.ts";
import { TransactionGate } from "../../base/transaction-gate.ts";
import { confirmCreation, removeCloseNote, writeCloseNote } from "./close-note.ts";
import { createSpaceGuard, type SpaceGuard } from "./free-space.ts";
import { checkBeforeOpening, needsPreflight } from "./integrity.ts";
import { takeOwnership } from "./owner.ts";
import { runPreflight } from "./preflight.ts";
import { currentFormat, decodeFormat, encodeFormat, formatKey } from "./format.ts";
import { decodeData, encodeData } from "./records.ts";
import { openRaw, openRecords, openRoot, type Root, type Table } from "./tables.ts";

export interface LmdbOptions {
  /** The folder; made when it is missing. */
  readonly path: string;
  /** Space that new work leaves free, in bytes. */
  readonly reserveBytes: number;
  /** Whether a child process walks the store before it is opened. */
  readonly preflight: "auto" | "always" | "off";
  /** Where the process is ended by another thread. */
  readonly gate?: TransactionGate;
}

/** What is in the folder: a store of tasks, or a component of one that lies elsewhere. */
export type Product = "omniq" | "omniq results" | "omniq events";

/** A folder that is ours until `close`: checked, opened, its epoch raised. */
export interface Environment {
  readonly folder: string;
  readonly root: Root;
  readonly meta: Table;
  readonly guard: SpaceGuard;
  readonly epoch: number;
  /** In one transaction: on disk when it returns, undone when the callback throws. */
  transact<T>(write: () => T): T;
  /** With `isClean`, the next opening may skip the walk through the store. */
  close(isClean: boolean): Promise<void>;
}

const epochKey = Buffer.from("epoch", "utf8");

/**
 * Takes the folder, checks what is in it, and opens it.
 *
 * @throws StoreOwnedError, StoreCorruptError, StoreForeignError, StoreVersionError. The folder is left as it was.
 */
export async function openEnvironment(
  options: LmdbOptions,
  owner: string,
  product: Product,
  tables: readonly string[],
): Promise<Environment> {
  const folder = resolve(options.path);
  const ownership = await takeOwnership(folder, owner);
  try {
    const before = await checkBeforeOpening(folder);
    if (before !== "new" && needsPreflight(folder, before.note, options.preflight)) await runPreflight(folder);
    await removeCloseNote(folder);
    const root = openRoot(folder);
    const { gate = new TransactionGate() } = options;
    const transact = <T>(write: () => T): T => gate.pass(() => root.transactionSync(write));
    try {
      const raw = openRaw(root, "meta");
      const meta = openRecords(root, "meta", folder);
      const epoch = transact(() => {
        if (before === "new") raw.put(formatKey, encodeFormat({ product, format: currentFormat, tables }));
        else checkFormat(raw.get(formatKey), folder, product);
        return raiseEpoch(meta);
      });
      root.readerCheck();
      if (before === "new") await confirmCreation(folder);
      return {
        folder,
        root,
        meta,
        epoch,
        transact,
        guard: createSpaceGuard(folder, options.reserveBytes),
        async close(isClean) {
          await closeRoot(root);
          if (isClean) await writeCloseNote(folder);
          await ownership.release();
        },
      };
    } catch (error) {
      await closeRoot(root);
      throw error;
    }
  } catch (error) {
    await ownership.release();
    throw error;
  }
}

function checkFormat(bytes: Buffer | undefined, folder: string, expected: Product): void {
  if (bytes === undefined) throw new StoreForeignError(folder, "it has no format record");
  const found = decodeFormat(bytes);
  if (found === undefined) throw new StoreCorruptError(folder, "the record of its format has changed");
  const { product, format } = found;
  if (product !== expected || typeof format !== "number") {
    throw new StoreForeignError(folder, `it holds ${JSON.stringify(product)}, not ${JSON.stringify(expected)}`);
  }
  if (format !== currentFormat) throw new StoreVersionError(folder, format, currentFormat);
}

/** Every opening has a higher epoch than all before it, so what an earlier owner still says can be told apart. */
function raiseEpoch(meta: Table): number {
  const bytes = meta.get(epochKey);
  const epoch = bytes === undefined ? 1 : decodeData<number>(bytes) + 1;
  meta.put(epochKey, encodeData(epoch));
  return epoch;
}

async function closeRoot(root: Root): Promise<void> {
  // A put that was refused leaves work behind in lmdb that must not meet a closed environment.
  await new Promise(setImmediate);
  await root.close();
}
