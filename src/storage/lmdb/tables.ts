import { open, type RootDatabase, type RootDatabaseOptionsWithPath } from "lmdb";
import { SealedTable } from "./sealed-table.ts";

export interface Table {
  put(key: Buffer, value: Buffer): unknown;
  remove(key: Buffer): unknown;
  get(key: Buffer): Buffer | undefined;
  doesExist(key: Buffer): boolean;
  getKeys(range?: Range): Iterable<Buffer>;
  getRange(range?: Range): Iterable<Entry>;
}

export interface Range {
  readonly start?: Buffer;
  readonly end?: Buffer;
  readonly reverse?: boolean;
  readonly limit?: number;
}

export interface Entry {
  readonly key: Buffer;
  readonly value: Buffer;
}

export type Root = RootDatabase<Buffer, Buffer>;

const raw = { encoding: "binary", keyEncoding: "binary", cache: false } as const;

/** Opens the environment. One process, one thread, never ended while it is open: see decisions/0003-lmdb.md. */
export function openRoot(path: string): Root {
  const options: RootDatabaseOptionsWithPath & { safeRestore: boolean; permissionsMode: number } = {
    path,
    ...raw,
    maxDbs: 64,
    // By default a path with a dot in its last part would be taken for a file.
    noSubdir: false,
    // A failed commit must be rejected and invisible, and the newest meta page is trusted only after a sync: a host
    // that lost a disk and kept running must not fool us. noSync, noMetaSync and useWritemap lose or damage data.
    overlappingSync: false,
    safeRestore: true,
    permissionsMode: 0o600,
  };
  return open<Buffer, Buffer>(options);
}

/** A table as it is in the file. */
export const openRaw = (root: Root, name: string): Table => root.openDB<Buffer, Buffer>(name, raw);

/** A table of records. @param path of the store, for the message about a damaged one. */
export const openRecords = (root: Root, name: string, path: string): Table =>
  new SealedTable(openRaw(root, name), path);

/**
 * The tables of a store of tasks. Names that end in "-index" hold keys and references only and can be rebuilt from
 * the others; the values of all others are sealed records.
 */
export interface Tables {
  /** task key → task that has a record of its own. */
  readonly tasks: Table;
  /** key of its first task → tasks that were stored together and have no records of their own. */
  readonly segments: Table;
  /** segment, first index → how neighbours in a segment completed. */
  readonly completions: Table;
  /** task key → outcome; a task with an outcome has ended. */
  readonly outcomes: Table;
  /** claim number → what was claimed together and has not ended. */
  readonly claims: Table;
  /** sequence → event. */
  readonly events: Table;
  /** task key, part → what attempts of the task have said; see notes.ts. */
  readonly notes: Table;
  /** schedule key → what was asked for. */
  readonly schedules: Table;
  /** schedule key → how far it has come. */
  readonly scheduleStates: Table;
  /** schedule key, number → a change of what was asked for. */
  readonly scheduleHistory: Table;
  /** Counters, queues, lanes, format. */
  readonly meta: Table;
  /** lane, priority, sequence → task key, or a span of a segment; it stands where the first of its tasks would. */
  readonly ready: Table;
  /** part, key that tasks share, lane, priority, sequence → task key. */
  readonly lines: Table;
  /** moment, kind, lane, sequence → task key. */
  readonly due: Table;
  /** queue, dedupe key → task key. */
  readonly dedupe: Table;
  /** moment → tasks and spans that are (or whose results are) to be forgotten then. */
  readonly prune: Table;
  /** handler, sequence → task key. */
  readonly parked: Table;
  /** name → schedule key. */
  readonly scheduleNames: Table;
  /** schedule key, task key → nothing. */
  readonly scheduleTasks: Table;
  /** moment, schedule key → nothing. */
  readonly scheduleDue: Table;
  /** event, schedule key → nothing; active ones. */
  readonly scheduleEvents: Table;
}

/** The names of the tables in the file. */
export const tableNames: Readonly<Record<keyof Tables, string>> = Object.freeze({
  tasks: "tasks",
  segments: "segments",
  completions: "completions",
  outcomes: "outcomes",
  claims: "claims",
  events: "events",
  notes: "notes",
  schedules: "schedules",
  scheduleStates: "schedule-states",
  scheduleHistory: "schedule-history",
  meta: "meta",
  ready: "ready-index",
  lines: "lines-index",
  due: "due-index",
  dedupe: "dedupe-index",
  prune: "prune-index",
  parked: "parked-index",
  scheduleNames: "schedule-names-index",
  scheduleTasks: "schedule-tasks-index",
  scheduleDue: "schedule-due-index",
  scheduleEvents: "schedule-events-index",
});

/** @param path of the store, for the message about a damaged record. */
export const openTables = (root: Root, path: string): Tables =>
  Object.fromEntries(
    Object.entries(tableNames).map(([table, name]) => [
      table,
      name.endsWith("-index") ? openRaw(root, name) : openRecords(root, name, path),
    ]),
  ) as unknown as Tables;
