import { isIntact, seal, sealLength } from "./seal.ts";

/** The format that this version writes, and the only one that it reads. */
export const currentFormat = 3;

/** Where its record is, among those of the table "meta". */
export const formatKey = Buffer.from("format", "utf8");

/** What a store is. */
export interface Format {
  readonly product: unknown;
  readonly format: unknown;
  /** Listed because LMDB would make one whose name was damaged anew, empty. */
  readonly tables: unknown;
}

/** Of whatever format a store is, this record is sealed by itself alone, so that every version can read it. */
const noKey = Buffer.alloc(0);

export const encodeFormat = (format: Format): Buffer =>
  seal(Buffer.concat([Buffer.alloc(sealLength), Buffer.from(JSON.stringify(format), "utf8")]), noKey);

/** @returns `undefined` when the record is not as it was written. */
export const decodeFormat = (bytes: Buffer): Partial<Format> | undefined =>
  isIntact(bytes, noKey) ? (JSON.parse(bytes.toString("utf8", sealLength)) as Partial<Format>) : undefined;
