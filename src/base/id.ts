import { v7 } from "uuid";

/** A new UUIDv7. Each is greater than the one before, as text and as bytes, within a thread. */
export const newId = (): string => v7();

/**
 * `count` new ids, in rising order. They are neighbours: their last 32 bits count up from the first, which is random, so
 * many cost little more than one. The next id still is greater, because it differs further to the left.
 */
export function newIds(count: number): string[] {
  const ids: string[] = [];
  while (ids.length < count) for (const id of idsFrom(newId(), count - ids.length)) ids.push(id);
  return ids;
}

/** `first` and the ids that follow it: at most `count`, fewer where its last 32 bits have no more room. */
export function idsFrom(first: string, count: number): string[] {
  const stem = first.slice(0, 28);
  const tail = Number.parseInt(first.slice(28), 16);
  return Array.from({ length: Math.min(count, tails - tail) }, (_, index) => {
    return stem + (tails + tail + index).toString(16).slice(1);
  });
}

const tails = 2 ** 32;

/**
 * The 16 bytes of a UUID of any version in its canonical form (lower-case, with dashes), in the order of its digits, so
 * that bytes sort as the texts do; `undefined` for any other text. Only for these does `bytesToUuid` give the same text.
 */
export function uuidBytes(text: string): Buffer | undefined {
  const bytes = Buffer.allocUnsafe(16);
  return writeUuid(text, bytes, 0) ? bytes : undefined;
}

/** As `uuidBytes`, into `target`. Gives whether `text` is one; if not, what is there then has no meaning. */
export function writeUuid(text: string, target: Uint8Array, offset: number): boolean {
  if (text.length !== 36) return false;
  let position = 0;
  for (let index = 0; index < 16; index++) {
    if (index === 4 || index === 6 || index === 8 || index === 10) {
      if (text.charCodeAt(position++) !== dash) return false;
    }
    const high = digits[text.charCodeAt(position++)] ?? invalid;
    const low = digits[text.charCodeAt(position++)] ?? invalid;
    if (high === invalid || low === invalid) return false;
    target[offset + index] = (high << 4) | low;
  }
  return true;
}

const dash = 45;
const invalid = 255;

/** The value of a hexadecimal digit by its character code. */
const digits = new Uint8Array(128).fill(invalid);
for (const [value, character] of Array.from("0123456789abcdef").entries()) digits[character.charCodeAt(0)] = value;

const characters = Buffer.from("0123456789abcdef", "latin1");
// Written as bytes first: a text made piece by piece would have to be put together again wherever it is looked up.
const text = Buffer.alloc(36, dash);

/** The UUID whose 16 bytes start at `offset`. */
export function bytesToUuid(bytes: Uint8Array, offset = 0): string {
  let position = 0;
  for (let index = 0; index < 16; index++) {
    if (index === 4 || index === 6 || index === 8 || index === 10) position++;
    const byte = bytes[offset + index] ?? 0;
    text[position++] = characters[byte >> 4] ?? 0;
    text[position++] = characters[byte & 15] ?? 0;
  }
  return text.toString("latin1");
}
