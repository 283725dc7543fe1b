import { v7 } from "uuid";

/** A new UUIDv7. Each is greater than the one before, as text and as bytes, within a thread. */
export const newId = (): string => v7();

/** `count` new ids, in rising order. */
export const newIds = (count: number): string[] => Array.from({ length: count }, newId);

/**
 * Whether `text` is a UUID of any version in its canonical form: lower-case. Only then do `uuidToBytes` and
 * `bytesToUuid` give back the same text, so `"A0EE…"` is not one.
 */
export const isUuid = (text: string): boolean => text.length === 36 && canonicalUuid.test(text);

const canonicalUuid = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/;

/** The 16 bytes of a canonical UUID, in the order of its digits: bytes sort as the texts do. */
export function uuidToBytes(uuid: string): Uint8Array {
  const bytes = new Uint8Array(16);
  let position = 0;
  for (let index = 0; index < 16; index++) {
    // Dashes stand before the bytes 4, 6, 8 and 10.
    if (index === 4 || index === 6 || index === 8 || index === 10) position++;
    bytes[index] = (nibble(uuid.charCodeAt(position)) << 4) | nibble(uuid.charCodeAt(position + 1));
    position += 2;
  }
  return bytes;
}

// "0" to "9" are 48 to 57, "a" to "f" 97 to 102.
const nibble = (code: number): number => (code < 58 ? code - 48 : code - 87);

/** The UUID whose 16 bytes start at `offset`. */
export function bytesToUuid(bytes: Uint8Array, offset = 0): string {
  let uuid = "";
  for (let index = 0; index < 16; index++) {
    if (index === 4 || index === 6 || index === 8 || index === 10) uuid += "-";
    uuid += hex[bytes[offset + index] ?? 0];
  }
  return uuid;
}

const hex: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
