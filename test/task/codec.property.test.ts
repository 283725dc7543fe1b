import { isBoxedPrimitive } from "node:util/types";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { UnreadablePayloadError } from "../../src/base/errors.ts";
import { decode, encode } from "../../src/task/codec.ts";

const limits = { maxBytes: 10_000_000 };

// Making counterexamples smaller takes for ever with values that hold themselves.
fc.configureGlobal({ endOnFailure: true });

/** Text as JavaScript has it: any units, halves of characters too. */
const text16 = fc.uint16Array({ maxLength: 100 }).map((units) => String.fromCharCode(...units));

/** A value that structuredClone() keeps, often with objects that are there several times or hold themselves. */
const cloneable = fc.letrec<{ value: unknown }>((tie) => {
  const key = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc.constantFrom("constructor", "toString", "length", "0", "7", "\ud800", ""),
  );
  const values = fc.array(tie("value"), { maxLength: 6 });
  return {
    value: fc.oneof(
      { depthSize: "medium", withCrossShrink: true },
      fc.oneof(
        fc.string({ unit: "binary", maxLength: 200 }),
        text16,
        fc.integer(),
        fc.double(),
        fc.maxSafeInteger(),
        fc.bigInt(),
        fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
        fc.constantFrom(null, undefined, true, false, -0, 2n ** 63n, 2n ** 64n),
      ),
      fc.date({ noInvalidDate: false }),
      fc.oneof(
        fc.int8Array(),
        fc.uint8Array(),
        fc.uint16Array(),
        fc.float32Array(),
        fc.float64Array(),
        fc.bigInt64Array(),
      ),
      fc.uint8Array().map((bytes) => bytes.buffer),
      fc.constantFrom(/a+[\]"]/dgimsuy, Object(1), Object("boxed"), Object(2n)),
      values,
      fc.sparseArray(tie("value"), { maxNumElements: 5, maxLength: 50 }),
      fc.dictionary(
        key.filter((name) => name !== "__proto__"),
        tie("value"),
        { maxKeys: 6, noNullPrototype: true },
      ),
      fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 5 }).map((entries) => new Map(entries)),
      values.map((items) => new Set(items)),
      values.map((items) => [items, { again: items, deeper: [items] }]),
      values.map((items) => { items.push(items); return items; }), // prettier-ignore
    ),
  };
}).value;

/**
 * The objects that `root` is made of, each once, with references in place of what they hold: comparing these lists
 * sees who is shared and what runs in circles, and takes no longer for it.
 */
function graph(root: unknown): unknown[] {
  const numbers = new Map<object, number>();
  const nodes: unknown[] = [];
  const visit = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null) return value;
    const known = numbers.get(value);
    if (known !== undefined) return `object ${known}`;
    const number = numbers.size;
    numbers.set(value, number);
    nodes[number] = [
      Object.getPrototypeOf(value).constructor.name,
      Array.isArray(value) && value.length,
      own(value),
      held(value).map(visit),
    ];
    return `object ${number}`;
  };
  nodes.push(visit(root));
  return nodes;
}

/** What an object is by itself. */
const own = (value: object): unknown => {
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex");
  if (value instanceof ArrayBuffer) return Buffer.from(value).toString("hex");
  return value instanceof Date || value instanceof RegExp || isBoxedPrimitive(value) ? value : undefined;
};

/** What an object holds, in order. */
const held = (value: object): unknown[] => {
  if (value instanceof Map || value instanceof Set) return [...value].flat(value instanceof Map ? 1 : 0);
  return ArrayBuffer.isView(value) ? [] : Object.entries(value).flat();
};

describe("codec", () => {
  test("decodes what it encoded into what structuredClone() makes of it", () => {
    fc.assert(
      fc.property(cloneable, (value) => {
        const arrived = decode(encode(value, "value", limits));

        expect(graph(arrived)).toStrictEqual(graph(structuredClone(value)));
      }),
      { numRuns: 1_000 },
    );
  });

  test("encodes what it decoded into the same bytes", () => {
    fc.assert(
      fc.property(cloneable, (value) => {
        const payload = encode(value, "value", limits);

        expect(Buffer.compare(encode(decode(payload), "value", limits), payload)).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  test("keeps all text", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 400 }),
      text16,
      fc.string({ unit: "grapheme", maxLength: 400 }),
    );
    fc.assert(
      fc.property(fc.array(text), (texts) => {
        expect(decode(encode(texts, "value", limits))).toStrictEqual(texts);
      }),
      { numRuns: 500 },
    );
  });
});

describe("decoding bytes that nobody encoded", () => {
  const globals = [Object, Array, Map, Set, Error, Function].map(({ prototype }) => prototype as object);
  let before: unknown;
  beforeAll(() => {
    before = globals.map((prototype) => Reflect.ownKeys(prototype));
  });

  /** A value, or the one error there is. */
  function read(bytes: Uint8Array): void {
    try {
      decode(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(UnreadablePayloadError);
    }
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  }

  const noise = fc
    .tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 100 }))
    .map(([first, rest]) => Uint8Array.of(first, ...rest));

  /** Bytes in which whatever means something to MessagePack is frequent. */
  const likely = fc
    .tuple(
      fc.constantFrom(1, 2),
      fc.array(
        fc.oneof(
          fc.integer({ min: 0x80, max: 0x9f }),
          fc.integer({ min: 0xc0, max: 0xdf }),
          fc.integer({ min: 0, max: 15 }),
          fc.constantFrom(0x42, 0x62, 0x65, 0x69, 0x70, 0x72, 0x73, 0x74, 0x78, 0xff),
        ),
        { maxLength: 60 },
      ),
    )
    .map(([first, rest]) => Uint8Array.of(first, ...rest));

  test.each([
    ["noise", noise, 10_000],
    ["what looks like MessagePack", likely, 10_000],
  ] as const)("%s gives a value or a typed error", (_, bytes, numRuns) => {
    fc.assert(fc.property(bytes, read), { numRuns });

    expect(globals.map((prototype) => Reflect.ownKeys(prototype))).toStrictEqual(before);
  });

  test("a payload that was cut, or changed in one place, gives a value or a typed error", () => {
    fc.assert(
      fc.property(cloneable, fc.nat(), fc.nat(255), (value, place, byte) => {
        const payload = encode(value, "value", limits);

        read(payload.subarray(0, place % payload.length));
        payload[place % payload.length] = byte;
        read(payload);
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    ["plain data", [1, 0x81, 0xa9, ...Buffer.from("__proto__"), 0x81, 0xa8, ...Buffer.from("polluted"), 1]],
    ["a tree", [2, 0x81, 0xa9, ...Buffer.from("__proto__"), 0x81, 0xa8, ...Buffer.from("polluted"), 1]],
    [
      "a tree with keys as data",
      [2, 0x93, 2, 0xa9, ...Buffer.from("__proto__"), 0x81, 0xa8, ...Buffer.from("polluted"), 1],
    ],
  ])("a key __proto__ in %s changes no prototype", (_, bytes) => {
    let value: unknown = {};
    try {
      value = decode(new Uint8Array(bytes));
    } catch (error) {
      expect(error).toBeInstanceOf(UnreadablePayloadError);
    }

    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect((value as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test("what was refused leaves nothing behind for the next payload", () => {
    const value = [{ ключ: "значение", 日本: ["x".repeat(300), "ä"] }, new Map([["ü", -0]])];
    const payload = encode(value, "value", limits);
    fc.assert(
      fc.property(fc.nat(payload.length - 1), (length) => {
        read(payload.subarray(0, length));

        expect(decode(payload)).toStrictEqual(value);
      }),
      { numRuns: 500 },
    );
  });
});
