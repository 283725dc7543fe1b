import { tag, viewTypes, type Tree } from "./tree.ts";

/**
 * The value that `toTree` was given, made of new objects. Takes over the objects and the bytes of the tree.
 *
 * @throws TypeError, or what a constructor throws, for what is not a tree.
 */
export const fromTree = (tree: Tree): unknown => new TreeReader().read(tree);

class TreeReader {
  readonly #objects: unknown[] = [];

  read(tree: Tree): unknown {
    if (typeof tree !== "object" || tree === null) return tree;
    if (Array.isArray(tree)) return this.#tagged(tree);
    if (Object.getPrototypeOf(tree) !== Object.prototype) throw new TypeError("not a tree");
    this.#add(tree);
    for (const [key, value] of Object.entries(tree)) (tree as Record<string, unknown>)[key] = this.read(value);
    return tree;
  }

  #tagged(tree: readonly Tree[]): unknown {
    const kind = tree[0];
    const parts = tree.slice(1);
    switch (kind) {
      case tag.same:
        return this.#same(parts[0]);
      case tag.bigint:
        return parseBigInt(this.#text(parts[0]));
      case tag.text:
        return this.#text(tree);
      case tag.negativeZero:
        return -0;
      case tag.boxed:
        return this.#boxed(parts[0]);
      default:
        return this.#container(kind, parts);
    }
  }

  #container(kind: Tree, parts: readonly Tree[]): unknown {
    switch (kind) {
      case tag.array:
        return this.#array(parts);
      case tag.sparse:
        return this.#assign(this.#add(Object.assign([], { length: parts[0] })), parts, 1);
      case tag.object:
        return this.#assign(this.#add({}), parts, 0);
      case tag.map:
        return this.#map(parts);
      case tag.set:
        return this.#set(parts);
      case tag.error:
        return this.#error(parts);
      default:
        return this.#add(this.#atom(kind, parts));
    }
  }

  #atom(kind: Tree, [first, second]: readonly Tree[]): object {
    switch (kind) {
      case tag.date:
        return new Date(Number(first));
      case tag.regexp:
        return new RegExp(this.#text(first), this.#text(second));
      case tag.buffer:
        return alone(first).buffer;
      case tag.view:
        return makeView(viewTypes[Number(first)], alone(second));
      default:
        throw new TypeError("unknown tag");
    }
  }

  #array(parts: readonly Tree[]): unknown[] {
    const array = this.#add<unknown[]>([]);
    for (const part of parts) array.push(this.read(part));
    return array;
  }

  #map(parts: readonly Tree[]): Map<unknown, unknown> {
    const map = this.#add(new Map<unknown, unknown>());
    for (let index = 0; index < parts.length; index += 2) map.set(this.read(parts[index]), this.read(parts[index + 1]));
    return map;
  }

  #set(parts: readonly Tree[]): Set<unknown> {
    const set = this.#add(new Set<unknown>());
    for (const part of parts) set.add(this.read(part));
    return set;
  }

  #error([name, message, stack, ...details]: readonly Tree[]): Error {
    const shownName = this.#text(name);
    const error = this.#add(makeError(shownName, this.#text(message)));
    if (error.name !== shownName) Object.defineProperty(error, "name", hidden(shownName));
    error.stack = this.#text(stack);
    this.#assign(error, details, 0);
    for (const key of ["cause", "errors"] as const) {
      if (Object.hasOwn(error, key)) Object.defineProperty(error, key, { enumerable: false });
    }
    return error;
  }

  #boxed(part: Tree): object {
    const number = this.#objects.push(undefined) - 1;
    const boxed: object = Object(this.read(part));
    this.#objects[number] = boxed;
    return boxed;
  }

  #same(number: Tree): unknown {
    const object = this.#objects[Number(number)];
    if (object === undefined) throw new TypeError("reference to nothing");
    return object;
  }

  /** Sets properties from keys and values, from `start` on. */
  #assign<T extends object>(target: T, parts: readonly Tree[], start: number): T {
    for (let index = start; index < parts.length; index += 2) {
      const key = this.#text(parts[index]);
      if (key === "__proto__") throw new TypeError("key __proto__");
      (target as Record<string, unknown>)[key] = this.read(parts[index + 1]);
    }
    return target;
  }

  #text(tree: Tree): string {
    if (typeof tree === "string") return tree;
    if (Array.isArray(tree) && tree[0] === tag.text) return Buffer.from(alone(tree[1]).buffer).toString("utf16le");
    throw new TypeError("not text");
  }

  #add<T extends object>(object: T): T {
    this.#objects.push(object);
    return object;
  }
}

const hidden = (value: unknown): PropertyDescriptor => ({
  value,
  writable: true,
  configurable: true,
  enumerable: false,
});

/** `bytes` as the only view of their buffer. */
function alone(bytes: Tree): Uint8Array<ArrayBuffer> {
  if (!(bytes instanceof Uint8Array)) throw new TypeError("not bytes");
  const { buffer } = bytes;
  return buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length
    ? new Uint8Array(buffer)
    : new Uint8Array(bytes);
}

function makeView(type: (typeof viewTypes)[number] | undefined, bytes: Uint8Array<ArrayBuffer>): ArrayBufferView {
  if (type === "Uint8Array") return bytes;
  const View: unknown = type === undefined ? undefined : Reflect.get(globalThis, type);
  if (typeof View !== "function") throw new TypeError("unknown view");
  return Reflect.construct(View, [bytes.buffer]) as ArrayBufferView;
}

function makeError(name: string, message: string): Error {
  if (name === "AggregateError") return new AggregateError([], message);
  return new (standardErrors.get(name) ?? Error)(message);
}

const standardErrors: ReadonlyMap<string, ErrorConstructor> = new Map(
  [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((type) => [type.name, type]),
);

const parseBigInt = (hex: string): bigint => (hex.startsWith("-") ? -BigInt(`0x${hex.slice(1)}`) : BigInt(`0x${hex}`));
