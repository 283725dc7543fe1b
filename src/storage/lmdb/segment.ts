import { bytesToUuid } from "../../base/id.ts";
import { newLife, type Payload, type TaskId, type TaskLife, type TaskRequest } from "../../task/task.ts";
import { packRequest, unpackRequest, type TaskRow } from "./records.ts";

/**
 * A segment as bytes; see records.ts for the first of them.
 *
 *   crc | lane u32 | first sequence u48 | count u16 | header length u32 | ids, 16 each | ends u32 each | header | arguments
 */
const head = 20;
const idBytes = 16;
const perTask = idBytes + 4;

/** The most tasks of a segment, and about the most bytes: large ones are hard to find a place for in a used file. */
export const largestSegment = { tasks: 512, bytes: 64 * 1_024 } as const;

/** What a segment is made of. Ids rise, and so do sequences. */
export interface SegmentParts {
  readonly lane: number;
  /** Of the first task. */
  readonly sequence: number;
  readonly request: TaskRequest;
  /** 16 bytes each. */
  readonly ids: Uint8Array;
  readonly args: readonly Payload[];
}

export function encodeSegment({ lane, sequence, request, ids, args }: SegmentParts): Buffer {
  const header = packRequest(request);
  const headerAt = head + args.length * perTask;
  const argsAt = headerAt + header.length;
  const bytes = Buffer.allocUnsafe(args.reduce((sum, { length }) => sum + length, argsAt));
  bytes.writeUInt32BE(lane, 4);
  bytes.writeUIntBE(sequence, 8, 6);
  bytes.writeUInt16BE(args.length, 14);
  bytes.writeUInt32BE(header.length, 16);
  bytes.set(ids, head);
  header.copy(bytes, headerAt);
  let end = 0;
  let endAt = head + args.length * idBytes;
  for (const each of args) {
    bytes.set(each, argsAt + end);
    end += each.length;
    endAt = bytes.writeUInt32BE(end, endAt);
  }
  return bytes;
}

/**
 * Tasks that were stored together, share one request, and have no history: each is ready, running for the first time,
 * or completed at the first try. What becomes anything else gets a record of its own and leaves.
 */
export class Segment {
  readonly count: number;
  readonly lane: number;
  /** Of the first task. */
  readonly sequence: number;
  readonly request: TaskRequest;
  /** Of each that is ready. */
  readonly life: TaskLife;
  /** How many are claimed. */
  running = 0;
  readonly #bytes: Buffer;
  readonly #endsAt: number;
  readonly #argsAt: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.lane = bytes.readUInt32BE(4);
    this.sequence = bytes.readUIntBE(8, 6);
    this.count = bytes.readUInt16BE(14);
    const headerAt = head + this.count * perTask;
    this.#endsAt = head + this.count * idBytes;
    this.#argsAt = headerAt + bytes.readUInt32BE(16);
    this.request = unpackRequest(bytes, headerAt, this.#argsAt);
    this.life = newLife(this.request);
  }

  /** The key of the first task, and of the segment. */
  get key(): Buffer {
    return this.keyOf(0);
  }

  keyOf(index: number): Buffer {
    return this.#bytes.subarray(head + index * idBytes, head + (index + 1) * idBytes);
  }

  idOf(index: number): TaskId {
    return bytesToUuid(this.#bytes, head + index * idBytes);
  }

  argsOf(index: number): Payload {
    const start = index === 0 ? 0 : this.#bytes.readUInt32BE(this.#endsAt + (index - 1) * 4);
    return this.#bytes.subarray(
      this.#argsAt + start,
      this.#argsAt + this.#bytes.readUInt32BE(this.#endsAt + index * 4),
    );
  }

  /** The task as a record of its own would have it. */
  row(index: number): TaskRow {
    const { lane, request, life } = this;
    return { lane, sequence: this.sequence + index, request, life, args: this.argsOf(index) };
  }

  /** The index of the task with this key, or -1. */
  indexOf(key: Buffer): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      const at = head + middle * idBytes;
      const order = this.#bytes.compare(key, 0, key.length, at, at + idBytes);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1;
  }
}
