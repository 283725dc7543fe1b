import { Packr, RESERVE_START_SPACE } from "msgpackr";
import { NotSerializableError, PayloadTooLargeError, UnreadablePayloadError } from "../base/errors.ts";
import { isPlain } from "./plain.ts";
import type { Payload } from "./task.ts";
import { fromTree } from "./from-tree.ts";
import { toTree } from "./to-tree.ts";

/**
 * The first byte of a payload: what the rest is. Both are MessagePack without extensions or shared state, so any
 * thread or process reads what another wrote.
 */
const format = {
  /** The value itself. */
  plain: 1,
  /** Its tree: see tree.ts. */
  tree: 2,
  /** The payload of arguments, and behind it that of an event: see `withEvent`. */
  event: 3,
} as const;

const packr = new Packr({
  // Plain maps: records would define themselves anew in every payload.
  useRecords: false,
  mapsAsObjects: true,
  // Objects of more than 65,535 keys.
  variableMapSize: true,
  // msgpackr's own structured clones lose cycles, errors and dates: trees do that instead.
  structuredClone: false,
  moreTypes: false,
  useToJSON: false,
  copyBuffers: true,
});

export interface PayloadLimits {
  /** The largest payload, in bytes. */
  readonly maxBytes: number;
}

/**
 * The bytes of `value`, in memory of their own: they may be transferred.
 *
 * What structuredClone() keeps is kept, with these differences. Errors keep more: their name, `code`, `cause`, `errors`,
 * and own properties that are plain data. A Buffer arrives as Uint8Array; a view of an ArrayBuffer arrives with the
 * bytes it shows, as the only view of a buffer of its own; a resizable buffer arrives with a fixed length. Getters are
 * read, and a Proxy is read as what it stands for. Symbols as keys, shared memory and instances of classes, which
 * structuredClone() drops, shares or strips, are refused.
 *
 * @param what names the value in messages: `args` gives paths such as `args[0].user.save`.
 * @throws NotSerializableError for what cannot be kept, and for nesting deeper than 256. PayloadTooLargeError.
 */
export const encode = (value: unknown, what: string, limits: PayloadLimits): Payload =>
  new Uint8Array(encodePooled(value, what, limits));

/**
 * As `encode`, and quicker; but the bytes share memory with other payloads of this thread. Before they are transferred
 * or kept, join them with `joinPayloads`.
 */
export function encodePooled(value: unknown, what: string, { maxBytes }: PayloadLimits): Payload {
  const payload = isPlain(value, maxBytes)
    ? pack(value, format.plain, what)
    : pack(toTree(value, what, maxBytes), format.tree, what);
  if (payload.length > maxBytes) throw new PayloadTooLargeError(what, payload.length, maxBytes);
  return payload;
}

const reserveOneByte = RESERVE_START_SPACE + 1;

function pack(tree: unknown, first: number, what: string): Payload {
  try {
    const payload = packr.pack(tree, reserveOneByte);
    payload[0] = first;
    return payload;
  } catch (cause) {
    // A getter that answers differently the second time.
    throw new NotSerializableError(what, "changed while it was read", { cause });
  }
}

/** Arguments with the payload of an event behind them. Whoever decodes that gets the arguments. */
export function withEvent(args: Payload, event: Payload): Payload {
  const joined = new Uint8Array(eventHead + args.length + event.length);
  joined[0] = format.event;
  new DataView(joined.buffer).setUint32(1, args.length);
  joined.set(args, eventHead);
  joined.set(event, eventHead + args.length);
  return joined;
}

/** The two parts of what `withEvent` made. Arguments without an event are given back as they are. */
export function splitEvent(payload: Payload): { readonly args: Payload; readonly event?: Payload } {
  if (payload[0] !== format.event) return { args: payload };
  if (payload.length < eventHead) throw new UnreadablePayloadError("it is damaged");
  const end = eventHead + new DataView(payload.buffer, payload.byteOffset).getUint32(1);
  if (end > payload.length) throw new UnreadablePayloadError("it is damaged");
  return { args: payload.subarray(eventHead, end), event: payload.subarray(end) };
}

/** The format, and the length of the arguments. */
const eventHead = 5;

/**
 * The value of a payload, made of new objects.
 *
 * @throws UnreadablePayloadError for bytes that `encode` did not make.
 */
export function decode(payload: Payload): unknown {
  const first = payload[0];
  if (first === format.event) return decode(splitEvent(payload).args);
  if (first !== format.plain && first !== format.tree) {
    throw new UnreadablePayloadError(
      first === undefined ? "it is empty" : `it has format ${first}, which is not known`,
    );
  }
  try {
    const tree = unpack(payload);
    return first === format.plain ? tree : fromTree(tree);
  } catch (cause) {
    throw new UnreadablePayloadError("it is damaged", { cause });
  }
}

// msgpackr makes a DataView of what it reads and leaves it there as a property. Copying a small payload to where one is
// already costs less; a larger one is read through a view that is thrown away.
const scratch = new Uint8Array(4_096);

function unpack(payload: Payload): unknown {
  if (payload.length > scratch.length) return packr.unpack(payload.subarray(1));
  scratch.set(payload);
  return packr.unpack(scratch, { start: 1, end: payload.length });
}

/** Payloads one after the other in memory of their own, to be transferred as two buffers. */
export interface PayloadBatch {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where each payload ends in `bytes`. */
  readonly ends: Uint32Array<ArrayBuffer>;
}

/** Copies payloads into one batch. */
export function joinPayloads(payloads: readonly Payload[]): PayloadBatch {
  const ends = new Uint32Array(payloads.length);
  let end = 0;
  for (const [index, payload] of payloads.entries()) ends[index] = end += payload.length;
  const bytes = new Uint8Array(end);
  for (const [index, payload] of payloads.entries()) bytes.set(payload, (ends[index] ?? 0) - payload.length);
  return { bytes, ends };
}

/** The payloads of a batch, as views of its bytes. */
export function splitPayloads({ bytes, ends }: PayloadBatch): Payload[] {
  return Array.from(ends, (end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}
