/** An amount of memory: a number of bytes, or text such as `"64kb"`, `"512mb"`, `"2gb"`; a `kb` is 1,024 bytes. */
export type Bytes = number | string;

/**
 * `bytes` as a whole number.
 *
 * @throws RangeError when it is not an amount of memory.
 */
export function toBytes(bytes: Bytes): number {
  const value = typeof bytes === "string" ? parse(bytes) : bytes;
  if (typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER) return Math.round(value);
  throw new RangeError("It is not an amount of memory.");
}

const units = new Map([
  ["b", 1],
  ["kb", 2 ** 10],
  ["mb", 2 ** 20],
  ["gb", 2 ** 30],
]);

function parse(text: string): number | undefined {
  const [, amount, unit = ""] = /^(\d{1,16}(?:\.\d{1,16})?) ?([a-z]{1,2})$/i.exec(text) ?? [];
  const size = units.get(unit.toLowerCase());
  return size === undefined ? undefined : Number(amount) * size;
}
