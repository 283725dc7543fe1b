import { resolve } from "node:path";
import { StoreCorruptError, StoreForeignError, StoreVersionError } from "../../base/errors.ts";
import { TransactionGate } from "../../base/transaction-gate.ts";
import { confirmCreation, removeCloseNote, writeCloseNote } from "./close-note.ts";
import { createSpaceGuard, type SpaceGuard } from "./free-space.ts";
import { checkBeforeOpening, needsPreflight } from "./integrity.ts";
import { takeOwnership } from "./owner.ts";
import { runPreflight } from "./preflight.ts";
import { isIntact, seal, sealLength } from "./seal.ts";
import { openRoot, openTable, type Root, type Table } from "./tables.ts";

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

const formatKey = Buffer.from("format", "utf8");
const epochKey = Buffer.from("epoch", "utf8");
const currentFormat = 1;

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
      const meta = openTable(root, "meta");
      const epoch = transact(() => {
        if (before === "new") writeFormat(meta, product, tables);
        else checkFormat(meta, folder, product);
        return raiseEpoch(meta, folder);
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

/** The tables are listed because LMDB would make one whose name was damaged anew, empty. */
function writeFormat(meta: Table, product: Product, tables: readonly string[]): void {
  meta.put(formatKey, sealText(JSON.stringify({ product, format: currentFormat, tables })));
}

function checkFormat(meta: Table, folder: string, product: Product): void {
  const bytes = meta.get(formatKey);
  if (bytes === undefined) throw new StoreForeignError(folder, "it has no format record");
  const found = JSON.parse(openText(bytes, folder)) as { product?: unknown; format?: unknown };
  if (found.product !== product || typeof found.format !== "number") {
    throw new StoreForeignError(folder, `it holds ${JSON.stringify(found.product)}, not ${JSON.stringify(product)}`);
  }
  if (found.format > currentFormat) throw new StoreVersionError(folder, found.format, currentFormat);
}

/** Every opening has a higher epoch than all before it, so what an earlier owner still says can be told apart. */
function raiseEpoch(meta: Table, folder: string): number {
  const bytes = meta.get(epochKey);
  const epoch = bytes === undefined ? 1 : Number(openText(bytes, folder)) + 1;
  meta.put(epochKey, sealText(String(epoch)));
  return epoch;
}

const sealText = (text: string): Buffer => seal(Buffer.concat([Buffer.alloc(sealLength), Buffer.from(text, "utf8")]));

function openText(bytes: Buffer, folder: string): string {
  if (!isIntact(bytes)) throw new StoreCorruptError(folder, "a record does not match its checksum");
  return bytes.toString("utf8", sealLength);
}

async function closeRoot(root: Root): Promise<void> {
  // A put that was refused leaves work behind in lmdb that must not meet a closed environment.
  await new Promise(setImmediate);
  await root.close();
}
