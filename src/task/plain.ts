/// <reference lib="es2024.string" />

/** The deepest nesting that is kept. */
export const deepest = 256;

/**
 * Whether MessagePack alone keeps `value` as it is: text, numbers, booleans, null, undefined, 64-bit integers, plain
 * objects and dense arrays of such, none of them twice, no deeper than `deepest`. A quick look, for the many values that
 * are so; "no" is not an error, and is also the answer for what surely exceeds `maxBytes` or throws when it is read.
 */
export function isPlain(value: unknown, maxBytes: number): boolean {
  try {
    return new PlainCheck(maxBytes).passes(value, 1);
  } catch {
    return false;
  }
}

/** Whether MessagePack keeps `text`: it loses halves of characters, and sometimes a byte order mark in front. */
export const isPlainText = (text: string): boolean => text.isWellFormed() && text.charCodeAt(0) !== 0xfeff;

/**
 * Whether an array with these keys has neither holes nor named properties. Names come after indices, so when the last
 * of as many keys as there are items is the last index, all of them are indices.
 */
export const isDense = (array: readonly unknown[], keys: readonly string[]): boolean =>
  keys.length === array.length && (keys.length === 0 || keys.at(-1) === String(keys.length - 1));

// Searching a short list is quicker than making a set.
const shortList = 8;

class PlainCheck {
  readonly #list: object[] = [];
  #set: Set<object> | undefined;
  #room: number;

  constructor(maxBytes: number) {
    this.#room = maxBytes;
  }

  passes(value: unknown, depth: number): boolean {
    switch (typeof value) {
      case "string":
        return (this.#room -= value.length) >= 0 && isPlainText(value);
      case "number":
        return value !== 0 || !Object.is(value, -0);
      case "boolean":
      case "undefined":
        return true;
      case "bigint":
        return BigInt.asIntN(64, value) === value;
      case "object":
        if (value === null) return true;
        if (depth > deepest || !this.#isNew(value)) return false;
        return Array.isArray(value) ? this.#passesArray(value, depth) : this.#passesObject(value, depth);
      default:
        return false;
    }
  }

  #passesArray(array: readonly unknown[], depth: number): boolean {
    if ((this.#room -= array.length) < 0) return false;
    if (!isDense(array, Object.keys(array))) return false;
    for (let index = 0; index < array.length; index++) if (!this.passes(array[index], depth + 1)) return false;
    return true;
  }

  #passesObject(object: object, depth: number): boolean {
    const prototype: unknown = Object.getPrototypeOf(object);
    if (prototype !== Object.prototype && prototype !== null) return false;
    if (Object.getOwnPropertySymbols(object).length > 0) return false;
    for (const key in object) {
      if (key === "__proto__" || !isPlainText(key)) return false;
      if ((this.#room -= key.length) < 0 || !this.passes(object[key as keyof object], depth + 1)) return false;
    }
    return true;
  }

  #isNew(object: object): boolean {
    if (this.#set?.has(object) ?? this.#list.includes(object)) return false;
    if (this.#set !== undefined) this.#set.add(object);
    else if (this.#list.push(object) > shortList) this.#set = new Set(this.#list);
    return true;
  }
}
