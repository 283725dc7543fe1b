/**
 * Values of the structured clone algorithm as trees that MessagePack keeps. Objects and simple values stand for
 * themselves; every array is `[tag, …]` and says what it stands for. Objects are numbered in the order in which they
 * are met, first themselves and then what they hold, on both sides alike; `[tag.same, number]` is one met before.
 * Tags and the order of `viewTypes` are stored: they may be added to, never changed.
 */
export const tag = {
  array: 0,
  /** Length, then keys and values: an array with holes or with named properties. */
  sparse: 1,
  /** Keys and values, where a key is not plain text. */
  object: 2,
  same: 3,
  map: 4,
  set: 5,
  date: 6,
  regexp: 7,
  /** Name, message, stack, then keys and values. */
  error: 8,
  buffer: 9,
  view: 10,
  boxed: 11,
  bigint: 12,
  /** UTF-16, for text that UTF-8 does not keep. */
  text: 13,
  negativeZero: 14,
} as const;

export const viewTypes = [
  "Uint8Array",
  "Uint8ClampedArray",
  "Int8Array",
  "Uint16Array",
  "Int16Array",
  "Uint32Array",
  "Int32Array",
  "BigUint64Array",
  "BigInt64Array",
  "Float32Array",
  "Float64Array",
  "DataView",
  // Not in Node 20.
  "Float16Array",
] as const;

export type Tree = unknown;
