import { types } from "node:util";
import { NotSerializableError, PayloadTooLargeError } from "../base/errors.ts";
import { deepest, isDense, isPlain, isPlainText } from "./plain.ts";
import { tag, viewTypes, type Tree } from "./tree.ts";

/** One step into a value: a property's key, an index, or text as it is to be shown. */
type Step = string | number | { readonly shown: string };

/**
 * `value` as a tree.
 *
 * @param what names the value: the start of paths in messages.
 * @throws NotSerializableError. PayloadTooLargeError as soon as the tree surely exceeds `maxBytes`.
 */
export function toTree(value: unknown, what: string, maxBytes: number): Tree {
  const writer = new TreeWriter(what, maxBytes);
  try {
    return writer.write(value, 1);
  } catch (error) {
    if (error instanceof NotSerializableError || error instanceof PayloadTooLargeError) throw error;
    // A getter, a Proxy or a detached buffer.
    throw new NotSerializableError(writer.path(), "cannot be read", { cause: error });
  }
}

class TreeWriter {
  readonly #what: string;
  readonly #maxBytes: number;
  readonly #steps: Step[] = [];
  readonly #numbers = new Map<object, number>();
  #bytes = 0;

  constructor(what: string, maxBytes: number) {
    this.#what = what;
    this.#maxBytes = maxBytes;
  }

  path(): string {
    const path = this.#steps.reduce<string>((start, step) => start + show(step), this.#what);
    return path.length <= longestPath ? path : `${path.slice(0, longestPath)}…`;
  }

  write(value: unknown, depth: number): Tree {
    this.#count(1);
    switch (typeof value) {
      case "string":
        return this.#text(value);
      case "number":
        return Object.is(value, -0) ? [tag.negativeZero] : value;
      case "bigint":
        return BigInt.asIntN(64, value) === value ? value : [tag.bigint, this.#text(value.toString(16))];
      case "object":
        return value === null ? null : this.#object(value, depth);
      case "function":
        return this.#refuse(`is a ${isClass(value) ? "class" : "function"}`);
      case "symbol":
        return this.#refuse("is a symbol");
      default:
        return value;
    }
  }

  #object(value: object, depth: number): Tree {
    const known = this.#numbers.get(value);
    if (known !== undefined) return [tag.same, known];
    if (depth > deepest) return this.#refuse(`is nested deeper than ${deepest} levels`);
    this.#numbers.set(value, this.#numbers.size);
    if (Array.isArray(value)) return this.#array(value, depth);
    if (types.isMap(value)) return [tag.map, ...this.#entries(value, depth)];
    if (types.isSet(value)) return [tag.set, ...this.#items(value, depth)];
    if (types.isDate(value)) return [tag.date, Date.prototype.getTime.call(value)];
    if (types.isRegExp(value)) return [tag.regexp, this.#text(value.source), value.flags];
    if (types.isNativeError(value) || value instanceof Error) return this.#error(value, depth);
    if (types.isAnyArrayBuffer(value) || ArrayBuffer.isView(value)) return this.#binary(value);
    if (types.isBoxedPrimitive(value)) return [tag.boxed, this.write(value.valueOf(), depth + 1)];
    return this.#plainObject(value, depth);
  }

  #array(array: readonly unknown[], depth: number): Tree {
    const keys = Object.keys(array);
    if (isDense(array, keys)) {
      const tree: Tree[] = [tag.array];
      for (let index = 0; index < array.length; index++) tree.push(this.#within(array, index, depth));
      return tree;
    }
    return [tag.sparse, array.length, ...this.#properties(array, keys, depth)];
  }

  #plainObject(object: object, depth: number): Tree {
    const prototype: unknown = Object.getPrototypeOf(object);
    // The second condition lets plain objects of other realms pass, whose prototype is not ours.
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
      return this.#refuse(`is an instance of ${className(prototype)}`);
    }
    const symbol = Object.getOwnPropertySymbols(object).find((key) =>
      Object.prototype.propertyIsEnumerable.call(object, key),
    );
    if (symbol !== undefined) return this.#refuse(`has the key ${String(symbol)}`);
    const keys = Object.keys(object);
    if (!keys.every(isPlainText)) return [tag.object, ...this.#properties(object, keys, depth)];
    const tree: Record<string, Tree> = {};
    for (const key of keys) tree[this.#key(key)] = this.#within(object, key, depth);
    return tree;
  }

  #properties(object: object, keys: readonly string[], depth: number): Tree[] {
    return keys.flatMap((key) => [this.#text(this.#key(key)), this.#within(object, key, depth)]);
  }

  #key(key: string): string {
    this.#count(key.length);
    return key === "__proto__" ? this.#refuse('has the key "__proto__"') : key;
  }

  #entries(map: ReadonlyMap<unknown, unknown>, depth: number): Tree[] {
    return [...Map.prototype.entries.call(map)].flatMap(([key, value], index) => [
      this.#within([key], 0, depth, `.keys()[${index}]`),
      this.#within([value], 0, depth, `.get(${showKey(key)})`),
    ]);
  }

  #items(set: ReadonlySet<unknown>, depth: number): Tree[] {
    return [...Set.prototype.values.call(set)].map((item, index) =>
      this.#within([item], 0, depth, `.values()[${index}]`),
    );
  }

  /** Errors keep what describes them; of their own properties, those that are plain data. */
  #error(error: Error, depth: number): Tree {
    const details: Tree[] = [];
    const add = (key: string, value: unknown): void =>
      void details.push(this.#text(this.#key(key)), this.#within({ [key]: value }, key, depth));

    const { name, message, stack, cause, code, errors } = error as { [K in keyof Error | "code" | "errors"]?: unknown };
    if (typeof code === "string" || typeof code === "number") add("code", code);
    if (cause !== undefined && keeps(cause)) add("cause", cause);
    if (Array.isArray(errors)) add("errors", errors.filter(keeps));
    for (const key of Object.keys(error)) {
      const value: unknown = error[key as keyof Error];
      if (!describedKeys.has(key) && keeps(value)) add(key, value);
    }
    const texts = [name, message, stack ?? ""].map((text) => this.#text(String(text)));
    return [tag.error, ...texts, ...details];
  }

  #binary(value: ArrayBufferLike | ArrayBufferView): Tree {
    const [buffer, start, length] = ArrayBuffer.isView(value)
      ? [value.buffer, value.byteOffset, value.byteLength]
      : [value, 0, value.byteLength];
    if (types.isSharedArrayBuffer(buffer)) return this.#refuse("is shared memory");
    this.#count(length);
    // Throws when the buffer is detached: it was transferred elsewhere and is not empty but gone.
    const bytes = new Uint8Array(buffer, start, length);
    if (!ArrayBuffer.isView(value)) return [tag.buffer, bytes];
    const type: string = types.isDataView(value) ? "DataView" : String(Reflect.get(value, Symbol.toStringTag, value));
    return [tag.view, viewTypes.indexOf(type as (typeof viewTypes)[number]), bytes];
  }

  #text(text: string): Tree {
    this.#count(text.length);
    return isPlainText(text) ? text : [tag.text, Buffer.from(text, "utf16le")];
  }

  /** What `holder` has at `key`; `shown` is how the message says that, when it is not a property. */
  #within(holder: object, key: string | number, depth: number, shown?: string): Tree {
    this.#steps.push(shown === undefined ? key : { shown });
    const tree = this.write(holder[key as keyof object], depth + 1);
    this.#steps.pop();
    return tree;
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#maxBytes) throw new PayloadTooLargeError(this.#what, this.#bytes, this.#maxBytes);
  }

  #refuse(problem: string): never {
    throw new NotSerializableError(this.path(), problem);
  }
}

/** Enough to find a place by. */
const longestPath = 300;

/** What an error takes along. */
const keeps = (detail: unknown): boolean => detail instanceof Error || isPlain(detail, Number.POSITIVE_INFINITY);

const describedKeys: ReadonlySet<string> = new Set(["name", "message", "stack", "cause", "code", "errors"]);

function show(step: Step): string {
  if (typeof step === "number") return `[${step}]`;
  if (typeof step === "object") return step.shown;
  if (/^\d+$/.test(step)) return `[${step}]`;
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
}

function showKey(key: unknown): string {
  if (typeof key === "string") return JSON.stringify(key);
  return Object(key) === key ? "…" : String(key);
}

const isClass = (value: object): boolean => Object.getOwnPropertyDescriptor(value, "prototype")?.writable === false;

function className(prototype: unknown): string {
  const { constructor } = prototype as { constructor?: unknown };
  return typeof constructor === "function" && constructor.name !== "" ? constructor.name : "a class";
}
