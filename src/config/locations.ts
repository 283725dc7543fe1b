import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { InvalidArgumentError } from "../base/errors.ts";
import { isPlainObject, readGiven, show, type Reader } from "./read.ts";

/** Where a component of the storage lies. */
export type StorageLocation = { readonly kind: "memory" } | { readonly kind: "lmdb"; readonly path: string };

export interface StorageLocations {
  readonly tasks: StorageLocation;
  readonly results: StorageLocation;
  readonly events: StorageLocation;
}

/** Task modules as `file:` URLs, each once, in the order given. */
export const readTasks: Reader<readonly string[]> = (value, path) => {
  if (!Array.isArray(value)) return [readModule(value, path)];
  return [...new Set(Array.from(value, (module, index) => readModule(module, `${path}[${index}]`)))];
};

/** A module, as a `file:` URL. */
export function readModule(value: unknown, path: string): string {
  if (value instanceof URL) return checkFileUrl(value, path);
  if (typeof value !== "string" || value.trim() === "" || value.includes("\0")) {
    throw new InvalidArgumentError(path, `${show(value)} is not a module. Give its path, or a file: URL.`);
  }
  return hasScheme(value) ? checkFileUrl(parseUrl(value, path), path) : pathToFileURL(resolve(value)).href;
}

// One letter before the colon is a drive of Windows.
const hasScheme = (text: string): boolean => /^[a-z][a-z\d+.-]+:/i.test(text);

function parseUrl(text: string, path: string): URL {
  try {
    return new URL(text);
  } catch (cause) {
    throw new InvalidArgumentError(path, `${show(text)} is not a URL. Give a path, or a file: URL.`, { cause });
  }
}

function checkFileUrl(url: URL, path: string): string {
  try {
    fileURLToPath(url);
  } catch (cause) {
    throw new InvalidArgumentError(path, `${show(url.href)} is not the URL of a file on this machine.`, { cause });
  }
  return url.href;
}

const storageOption = { type: "string", description: "", read: readLocation };
const storageComponents = {
  tasks: storageOption,
  results: storageOption,
  events: storageOption,
  schedules: storageOption,
};

/** A location for every component; those that are left out lie with the tasks. */
export const readStorage: Reader<StorageLocations> = (value, path) => {
  if (!isPlainObject(value)) {
    const tasks = readLocation(value, path);
    return { tasks, results: tasks, events: tasks };
  }
  const { tasks, results, events, schedules } = readGiven(storageComponents, value, path);
  if (tasks === undefined) throw new InvalidArgumentError(`${path}.tasks`, 'is missing. Give a folder, or "memory:".');
  if (schedules !== undefined && !isSame(schedules, tasks)) {
    const why = "a schedule and the task it makes are stored in one transaction. Leave it out.";
    throw new InvalidArgumentError(`${path}.schedules`, `must be the same as "tasks": ${why}`);
  }
  return { tasks, results: results ?? tasks, events: events ?? tasks };
};

const isSame = (one: StorageLocation, other: StorageLocation): boolean =>
  one.kind === "memory" ? other.kind === "memory" : other.kind === "lmdb" && one.path === other.path;

function readLocation(value: unknown, path: string): StorageLocation {
  if (typeof value !== "string" || value.includes("\0")) {
    throw new InvalidArgumentError(path, `${show(value)} is not a storage. ${storageAdvice}`);
  }
  if (value === "memory:") return { kind: "memory" };
  const folder = value.startsWith("lmdb:") ? value.slice("lmdb:".length) : value;
  if (hasScheme(folder))
    throw new InvalidArgumentError(path, `${show(value)} is not in this version. ${storageAdvice}`);
  if (folder.trim() === "") throw new InvalidArgumentError(path, `${show(value)} names no folder. ${storageAdvice}`);
  return { kind: "lmdb", path: resolve(folder) };
}

const storageAdvice = 'Give a folder, such as "./data" or "lmdb:./data", or "memory:".';
