import { Packr } from "msgpackr";

const packr = new Packr({ useRecords: false });

/** Values one after the other in memory of their own, each behind its length: to be transferred. */
export function packFrames(values) {
  let bytes = Buffer.from(new ArrayBuffer(values.length * 96));
  let end = 0;
  for (const value of values) {
    const packed = packr.pack(value);
    const start = end + 4;
    end = start + packed.length;
    if (end > bytes.length) bytes = Buffer.concat([bytes], 2 * end);
    bytes.writeUInt32LE(packed.length, start - 4);
    bytes.set(packed, start);
  }
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + end);
}

/** Calls `each` with every frame, and where it starts in `buffer` with its length in front. */
export function readFrames(buffer, each) {
  const bytes = Buffer.from(buffer);
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + bytes.readUInt32LE(at);
    each(bytes.subarray(at + 4, end), at);
    at = end;
  }
}

export const unpack = (frame) => packr.unpack(frame);
