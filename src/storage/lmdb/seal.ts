import { crc32 } from "node:zlib";

/** The first bytes of every record: the CRC-32 of its key and of the record with zeros in their place. */
export const sealLength = 4;

/** Writes the checksum into the bytes that were left free for it. */
export function seal(bytes: Buffer, key: Buffer): Buffer {
  // Over the whole buffer, not over a view of its rest: views cost more than the sum.
  bytes.writeUInt32LE(0, 0);
  bytes.writeUInt32LE(crc32(bytes, crc32(key)), 0);
  return bytes;
}

/** Whether the record is what was sealed, where it was put. Leaves it as it was. */
export function isIntact(bytes: Buffer, key: Buffer): boolean {
  if (bytes.length < sealLength) return false;
  const sum = bytes.readUInt32LE(0);
  bytes.writeUInt32LE(0, 0);
  const isSame = crc32(bytes, crc32(key)) === sum;
  bytes.writeUInt32LE(sum, 0);
  return isSame;
}
