import { toBytes, type Bytes } from "../base/bytes.ts";
import { toMs, type Duration } from "../base/duration.ts";
import { InvalidArgumentError, UnknownOptionError } from "../base/errors.ts";
import { checkName, nearest } from "../base/names.ts";

/**
 * Checks a value somebody gave and turns it into what the rest works with. `path` says where it was given.
 *
 * @throws InvalidArgumentError or UnknownOptionError, naming the path. Never changes what was given.
 */
export type Reader<T> = (value: unknown, path: string) => T;

/** One option: how it is checked, and what the reference page says about it. */
export interface Option<T = unknown> {
  /** As it is written in TypeScript. */
  readonly type: string;
  /** Of numbers; lengths of time may be text such as `"30s"`, too. */
  readonly unit?: string;
  /** As it could be given; left out when there is none. */
  readonly default?: unknown;
  readonly description: string;
  readonly read: Reader<T>;
  /** What the reference page says of the default instead. */
  readonly defaultText?: string;
  /** The options of a group. */
  readonly fields?: Options;
}

export type Options = Readonly<Record<string, Option>>;

/** A row for every option of `T`, and no other. */
export type Table<T> = Readonly<Record<keyof T, Option>>;

/** Options of a single call: only how they are checked. */
export type Readers = Readonly<Record<string, { readonly read: Reader<unknown> }>>;

/** What was given, read: options that were left out are left out. */
export type Given<O extends Readers> = { -readonly [K in keyof O]?: ReturnType<O[K]["read"]> };

/** What was given, read, and the defaults of the rest. */
export type Complete<O extends Options> = {
  -readonly [K in keyof O as O[K] extends { default: unknown } ? K : never]: ReturnType<O[K]["read"]>;
} & { -readonly [K in keyof O as O[K] extends { default: unknown } ? never : K]?: ReturnType<O[K]["read"]> };

/** Reads an object of options. An option that is `undefined` counts as left out. */
export function readGiven<const O extends Readers>(options: O, value: unknown, path: string): Given<O> {
  const given: Record<string, unknown> = {};
  const object = asObject(value, path);
  for (const name of Object.keys(object)) {
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (option === undefined) {
      const known = Object.keys(options);
      throw new UnknownOptionError(`${path}.${name}`, nearest(name, known), known);
    }
    const one = object[name];
    if (one !== undefined) given[name] = option.read(one, `${path}.${name}`);
  }
  return given as Given<O>;
}

/** Reads an object of options and fills in defaults. */
export function readComplete<const O extends Options>(options: O, value: unknown, path: string): Complete<O> {
  const complete: Record<string, unknown> = readGiven(options, value, path);
  for (const [name, option] of Object.entries<Option>(options)) {
    if (complete[name] === undefined && option.default !== undefined) {
      complete[name] = option.read(option.default, `${path}.${name}`);
    }
  }
  return complete as Complete<O>;
}

/** A group of options with defaults of their own. */
export const group =
  <const O extends Options>(fields: O): Reader<Complete<O>> =>
  (value, path) =>
    readComplete(fields, value, path);

export const integer =
  (from: number, to: number): Reader<number> =>
  (value, path) => {
    // Adding zero turns -0 into 0.
    if (Number.isInteger(value) && Number(value) >= from && Number(value) <= to) return Number(value) + 0;
    throw new InvalidArgumentError(path, `${show(value)} is not a whole number from ${from} to ${to}.`);
  };

export const number =
  (from: number, to: number): Reader<number> =>
  (value, path) => {
    if (typeof value === "number" && value >= from && value <= to) return value;
    throw new InvalidArgumentError(path, `${show(value)} is not a number from ${from} to ${to}.`);
  };

/** A length of time of at least `from` ms, in whole milliseconds. */
export const duration =
  (from: number): Reader<number> =>
  (value, path) => {
    let ms: number;
    try {
      ms = toMs(value as Duration);
    } catch (cause) {
      throw new InvalidArgumentError(path, `${show(value)} is not a length of time. ${durationAdvice}`, { cause });
    }
    if (ms < from) throw new InvalidArgumentError(path, `${show(value)} is too short: ${from} ms is the least.`);
    return ms;
  };

const durationAdvice = 'Give milliseconds from 0 to 100 years, or text such as "30s", "5m", "2h".';

/** An amount of memory of at least `from` bytes. */
export const bytes =
  (from: number): Reader<number> =>
  (value, path) => {
    let amount: number;
    try {
      amount = toBytes(value as Bytes);
    } catch (cause) {
      const advice = 'Give a number of bytes, or text such as "512mb", "2gb".';
      throw new InvalidArgumentError(path, `${show(value)} is not an amount of memory. ${advice}`, { cause });
    }
    if (amount < from)
      throw new InvalidArgumentError(path, `${show(value)} is too little: ${from} bytes is the least.`);
    return amount;
  };

export const oneOf =
  <const T extends string>(...words: readonly T[]): Reader<T> =>
  (value, path) => {
    const word = words.find((known) => known === value);
    if (word !== undefined) return word;
    const advice = words.map((known) => JSON.stringify(known)).join(" or ");
    throw new InvalidArgumentError(path, `${show(value)} is not accepted in this version: give ${advice}.`);
  };

export const boolean: Reader<boolean> = (value, path) => {
  if (typeof value === "boolean") return value;
  throw new InvalidArgumentError(path, `${show(value)} is not true or false.`);
};

/** 1 to 200 bytes without control characters: names of queues, ids, keys, tags. */
export const name: Reader<string> = (value, path) => checkName(path, value);

/** A moment: a Date, or milliseconds since 1970. */
export const moment: Reader<number> = (value, path) => {
  const epochMs = value instanceof Date ? value.getTime() : value;
  // 8.64e15 ms is the last moment that a Date can hold.
  if (typeof epochMs === "number" && Math.abs(epochMs) <= 8.64e15) return Math.round(epochMs);
  throw new InvalidArgumentError(path, `${show(value)} is not a valid Date, nor milliseconds since 1970.`);
};

/** An object as literals and JSON make it: not null, an array, or an instance of a class. */
export function asObject(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (isPlainObject(value)) return value;
  throw new InvalidArgumentError(path, `${show(value)} is not an object with options.`);
}

export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Objects of another realm, as test runners and vm make them, have an Object.prototype of their own.
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}

/** The value as a message shows it: short, and never by calling into it. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  if (typeof value === "function") return "a function";
  return String(value);
}
