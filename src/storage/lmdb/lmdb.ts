import { resolve } from "node:path";
import { ClosedError, StoreCorruptError, StoreForeignError, StoreVersionError } from "../../base/errors.ts";
import type { AnswerTo, Change, Opened, Storage, StorageSettings } from "../storage.ts";
import { claim, Claims, extend, recoverClaims, settle } from "./claims.ts";
import { confirmCreation, removeCloseNote, writeCloseNote } from "./close-note.ts";
import { Committer } from "./committer.ts";
import { cancel, configureQueue, remove, requeue, unpark } from "./control.ts";
import { dropStage, enqueue, publish, stage } from "./enqueue.ts";
import { createSpaceGuard, type SpaceGuard } from "./free-space.ts";
import { checkBeforeOpening, needsPreflight } from "./integrity.ts";
import { taskKey } from "./keys.ts";
import { Ledger } from "./ledger.ts";
import { takeOwnership, type Ownership } from "./owner.ts";
import { runPreflight } from "./preflight.ts";
import { events, get, list } from "./reading.ts";
import { crc32 } from "node:zlib";
import { Store, type Step } from "./store.ts";
import { openTables, type Tables } from "./tables.ts";
import { advance, nextAdvance, nextPrune, prune } from "./time.ts";

export interface LmdbOptions {
  /** The folder; made when it is missing. */
  readonly path: string;
  /** Space that new work leaves free, in bytes. */
  readonly reserveBytes: number;
  /** Whether a child process walks the store before it is opened. */
  readonly preflight: "auto" | "always" | "off";
}

const formatKey = Buffer.from("format", "utf8");
const currentFormat = 1;
/** Tasks that are forgotten or brought back in one transaction while a store is opened. */
const openingStep = 5_000;

/** A storage in a folder of this machine, for one owner at a time. */
export function lmdbStorage(options: LmdbOptions): Storage {
  const folder = resolve(options.path);
  let opened: OpenStore | undefined;
  let isClosed = false;

  const store = (): OpenStore => {
    if (opened === undefined) throw new ClosedError("The storage");
    if (opened.committer.failure !== undefined) throw opened.committer.failure;
    return opened;
  };
  /** Reads see what was given to `commit` before them. */
  const settledStore = async (): Promise<Store> => {
    await store().committer.settled();
    return store().store;
  };

  return {
    async open(settings) {
      if (opened !== undefined || isClosed) throw new ClosedError("The storage");
      opened = await openStore(folder, options, settings);
      return opened.result;
    },

    async commit<const C extends readonly Change[]>(changes: C) {
      const { committer, store: target, result } = store();
      const steps = changes.map((change) => stepFor(target, change, result.epoch));
      return committer.commit<{ -readonly [K in keyof C]: AnswerTo<C[K]> }>({
        bytes: steps.reduce((sum, step) => sum + (step.bytes ?? 0), 0),
        addsWork: steps.some((step) => step.addsWork === true),
        check: () => steps.forEach((step) => step.check?.()),
        apply: () => steps.map((step) => step.apply()),
      });
    },

    get: async (ids) => {
      const target = await settledStore();
      return ids.map((id) => get(target, id));
    },
    list: async (query) => list(await settledStore(), query),
    result: async (id) => {
      const target = await settledStore();
      const found = target.find(taskKey(id));
      return found?.outcome?.result;
    },
    events: async (query) => events(await settledStore(), query),
    counts: async () => (await settledStore()).ledger.counts(),
    queues: async () => (await settledStore()).ledger.queues(),
    parked: async () => (await settledStore()).ledger.parked(),
    nextDue: async () => {
      const target = await settledStore();
      const [next, forget] = [nextAdvance(target), nextPrune(target)];
      return { ...(next === undefined ? {} : { advance: next }), ...(forget === undefined ? {} : { prune: forget }) };
    },

    async close() {
      isClosed = true;
      const current = opened;
      opened = undefined;
      if (current === undefined) return;
      await current.committer.settled();
      await closeTables(current.tables);
      if (current.committer.failure === undefined) await writeCloseNote(folder);
      await current.ownership.release();
    },
  };
}

interface OpenStore {
  readonly ownership: Ownership;
  readonly tables: Tables;
  readonly store: Store;
  readonly committer: Committer;
  readonly result: Opened;
}

function stepFor(store: Store, change: Change, epoch: number): Step<unknown> {
  switch (change.type) {
    case "enqueue":
      return enqueue(store, change);
    case "claim":
      return claim(store, change);
    case "settle":
      return settle(store, change, epoch);
    case "advance":
      return advance(store, change);
    case "cancel":
      return cancel(store, change);
    case "requeue":
      return requeue(store, change);
    case "delete":
      return remove(store, change);
    case "unpark":
      return unpark(store, change);
    case "stage":
      return stage(store, change);
    case "publish":
      return publish(store, change);
    case "extend":
      return extend(store, change, epoch);
    case "configureQueue":
      return configureQueue(store, change);
    case "prune":
      return prune(store, change);
  }
}

async function openStore(folder: string, options: LmdbOptions, settings: StorageSettings): Promise<OpenStore> {
  const ownership = await takeOwnership(folder, settings.owner);
  try {
    const before = await checkBeforeOpening(folder);
    if (before !== "new" && needsPreflight(folder, before.note, options.preflight)) await runPreflight(folder);
    await removeCloseNote(folder);
    const tables = openTables(folder);
    try {
      const guard = createSpaceGuard(folder, options.reserveBytes);
      const prepared = prepare(folder, ownership, tables, guard, settings, before === "new");
      await confirmCreation(folder);
      return prepared;
    } catch (error) {
      await closeTables(tables);
      throw error;
    }
  } catch (error) {
    await ownership.release();
    throw error;
  }
}

function prepare(
  folder: string,
  ownership: Ownership,
  tables: Tables,
  guard: SpaceGuard,
  settings: StorageSettings,
  isNew: boolean,
): OpenStore {
  const place = { path: folder };
  const transact = <T>(write: () => T): T => tables.root.transactionSync(write);
  const epoch = transact(() => {
    checkFormat(tables, folder, isNew);
    return raiseEpoch(tables, folder);
  });
  tables.root.readerCheck();
  const store = new Store({ tables, ledger: new Ledger(tables.meta, place), claims: new Claims(), settings, place });
  while (transact(() => keep(store, dropStage(store, undefined, openingStep))));
  const interrupted = transact(() => keep(store, recoverClaims(store, settings.now)));
  const committer = new Committer({
    transact,
    ensureSpace: (bytes, addsWork) => guard.check(bytes, !addsWork),
    finish: () => store.finish(),
  });
  return { ownership, tables, store, committer, result: { epoch, interrupted } };
}

/** Ends a transaction that is made while the store is opened. */
function keep<T>(store: Store, value: T): T {
  store.finish();
  return value;
}

function checkFormat(tables: Tables, folder: string, isNew: boolean): void {
  const bytes = tables.meta.get(formatKey);
  if (bytes === undefined) {
    if (!isNew) throw new StoreForeignError(folder, "it has no format record");
    tables.meta.put(formatKey, sealText(JSON.stringify({ product: "omniq", format: currentFormat })));
    return;
  }
  const { product, format } = JSON.parse(openText(bytes, folder)) as { product: unknown; format: unknown };
  if (product !== "omniq" || typeof format !== "number") throw new StoreForeignError(folder, "its format record is not ours");
  if (format > currentFormat) throw new StoreVersionError(folder, format, currentFormat);
}

/** Every opening has a higher epoch than all before it, so what an earlier owner still says can be told apart. */
function raiseEpoch(tables: Tables, folder: string): number {
  const key = Buffer.from("epoch", "utf8");
  const bytes = tables.meta.get(key);
  const epoch = bytes === undefined ? 1 : Number(openText(bytes, folder)) + 1;
  tables.meta.put(key, sealText(String(epoch)));
  return epoch;
}

function sealText(text: string): Buffer {
  const body = Buffer.from(text, "utf8");
  const bytes = Buffer.concat([Buffer.alloc(4), body]);
  bytes.writeUInt32LE(crc32(body), 0);
  return bytes;
}

function openText(bytes: Buffer, folder: string): string {
  const body = bytes.subarray(4);
  if (crc32(body) !== bytes.readUInt32LE(0)) throw new StoreCorruptError(folder, "a record does not match its checksum");
  return body.toString("utf8");
}

async function closeTables(tables: Tables): Promise<void> {
  // A put that was refused leaves work behind in lmdb that must not meet a closed environment.
  await new Promise(setImmediate);
  await tables.root.close();
}
