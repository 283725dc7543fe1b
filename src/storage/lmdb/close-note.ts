import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemClock, type Clock, type EpochMs } from "../../base/clock.ts";
import { StoreFullError } from "../../base/errors.ts";

/** What a clean close leaves behind: the store as it was then. While it still looks like that, nobody wrote to it. */
export interface CloseNote {
  readonly size: number;
  readonly mtimeMs: number;
  readonly closedAt: EpochMs;
  readonly bootId: string | undefined;
}

/** Says that there is a store here, so that one whose data went missing is not mistaken for a new one. */
export interface StoreMarker {
  readonly product: "omniq";
  readonly createdAt: EpochMs;
  /** `false` until the first commit is on disk: a creation that was cut short may start over. */
  readonly isCreated: boolean;
  /** The boot of the machine, and the folder, that the store was last opened in. */
  readonly bootId: string | undefined;
  readonly place: string;
}

/** The names of the files, in the store's folder. */
export const closeNoteFile = "closed.json";
export const markerFile = "store.json";

/** Says that the store was closed cleanly. To be called after the environment was closed, by the owner. */
export async function writeCloseNote(folder: string, clock: Clock = systemClock): Promise<void> {
  const { size, mtimeMs } = statSync(join(folder, "data.mdb"));
  confirm(folder, clock);
  const note: CloseNote = { size, mtimeMs, closedAt: clock.now(), bootId: bootId() };
  writeJsonDurably(join(folder, closeNoteFile), note);
}

/**
 * Takes the note of the last close away, and marks the store as in use since this boot of the machine. To be called
 * by the owner after the checks, before the environment is opened: from here on the store may change.
 */
export async function removeCloseNote(folder: string, clock: Clock = systemClock): Promise<void> {
  const marker = readMarker(folder);
  const createdAt = marker?.createdAt ?? clock.now();
  const isCreated = marker?.isCreated ?? statSync(join(folder, "data.mdb"), { throwIfNoEntry: false }) !== undefined;
  writeMarker(folder, { product: "omniq", createdAt, isCreated, bootId: bootId(), place: placeOf(folder) });
  rmSync(join(folder, closeNoteFile), { force: true });
  syncFolder(folder);
}

/**
 * Says that a new store has its first commit on disk. To be called before anything is acknowledged: from here on a
 * folder without data is damage, not a creation that was cut short.
 */
export async function confirmCreation(folder: string, clock: Clock = systemClock): Promise<void> {
  confirm(folder, clock);
}

/** The note of the last close; `undefined` when it was not clean, or when the note cannot be read. */
export function readCloseNote(folder: string): CloseNote | undefined {
  const note = readJson(join(folder, closeNoteFile)) as Partial<CloseNote> | undefined;
  return typeof note?.size === "number" && typeof note.mtimeMs === "number" ? (note as CloseNote) : undefined;
}

/** The marker; `undefined` when there is none. One that cannot be read still says that there was a store. */
export function readMarker(folder: string): StoreMarker | undefined {
  const path = join(folder, markerFile);
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  const marker = readJson(path) as Partial<StoreMarker> | undefined;
  return {
    product: "omniq",
    createdAt: typeof marker?.createdAt === "number" ? marker.createdAt : 0,
    isCreated: marker?.isCreated !== false,
    bootId: typeof marker?.bootId === "string" ? marker.bootId : undefined,
    place: typeof marker?.place === "string" ? marker.place : "",
  };
}

/** Which boot of the machine this is; `undefined` where the system does not tell. */
export function bootId(): string | undefined {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return undefined;
  }
}

/** Tells a folder from a copy of it. */
export function placeOf(folder: string): string {
  const { dev, ino } = statSync(folder, { bigint: true });
  return `${dev}:${ino}`;
}

/**
 * Replaces the file at `path` as a whole: after a power cut it holds the old content or the new.
 *
 * @throws StoreFullError when there is no space for it.
 */
export function writeJsonDurably(path: string, value: unknown): void {
  const written = `${path}.tmp`;
  const text = JSON.stringify(value);
  rmSync(written, { force: true });
  try {
    // "x" opens no link that somebody put in its place.
    const file = openSync(written, "wx", 0o600);
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(written, path);
  } catch (error) {
    rmSync(written, { force: true });
    const { code } = error as NodeJS.ErrnoException;
    throw code === "ENOSPC" || code === "EDQUOT" ? new StoreFullError(dirname(path), 0, text.length) : error;
  }
  syncFolder(dirname(path));
}

/** The content of a file that holds JSON; `undefined` when there is none, or something else. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as unknown;
  } catch {
    return undefined;
  }
}

function confirm(folder: string, clock: Clock): void {
  const marker = readMarker(folder);
  if (marker?.isCreated === true) return;
  const createdAt = marker?.createdAt ?? clock.now();
  writeMarker(folder, { product: "omniq", createdAt, isCreated: true, bootId: bootId(), place: placeOf(folder) });
}

const writeMarker = (folder: string, marker: StoreMarker): void => writeJsonDurably(join(folder, markerFile), marker);

function syncFolder(folder: string): void {
  // Windows cannot open a folder to sync it; it orders renames itself.
  if (process.platform === "win32") return;
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
