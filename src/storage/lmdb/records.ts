import { Packr } from "msgpackr";
import { newLife, type Payload, type TaskLife, type TaskRequest } from "../../task/task.ts";
import { defaultBackoff, type Backoff } from "../../task/retry.ts";
import { terminalStates, type TaskState } from "../../task/state.ts";

/**
 * What is stored, as bytes. The first of every record are left free for its checksum; see sealed-table.ts.
 *
 *   task     crc | lane u32 | sequence u48 | header length u32 | life length u32 | header | life | arguments
 *   segment, completion: see segment.ts and completion.ts
 *   outcome  crc | state u8 | attempt u32 | started f64 | finished f64 | took f64 | worker length u8 | life length u32 |
 *            has result u8 | worker | life | result
 *   others   crc | MessagePack
 *
 * A task that was never tried has no life of its own (length 0); a task that completed keeps the life it had and adds
 * what its outcome says.
 */
const packr = new Packr({ useRecords: false, variableMapSize: true });

export interface TaskRow {
  readonly lane: number;
  readonly sequence: number;
  readonly request: TaskRequest;
  readonly life: TaskLife;
  readonly args: Payload;
}

const taskHead = 22;

// Tasks of one call share one request object: it is encoded once, and decoded once where equal headers follow each other.
let encodedRequest: TaskRequest | undefined;
let encodedHeader: Buffer = Buffer.alloc(0);
let decodedHeader: Buffer = Buffer.alloc(0);
let decodedRequest: TaskRequest | undefined;

/** What most tasks have is not written with each. */
const defaults = Object.freeze({
  priority: 0,
  maxRetries: 0,
  backoff: defaultBackoff,
  tags: Object.freeze([]),
  metadata: Object.freeze({}),
}) satisfies Partial<TaskRequest>;

type StoredRequest = Omit<TaskRequest, keyof typeof defaults> & Partial<TaskRequest>;

function withoutDefaults(request: TaskRequest): StoredRequest {
  const { priority, maxRetries, backoff, tags, metadata, ...rest } = request;
  return {
    ...rest,
    ...(priority === defaults.priority ? {} : { priority }),
    ...(maxRetries === defaults.maxRetries ? {} : { maxRetries }),
    ...(isDefaultBackoff(backoff) ? {} : { backoff }),
    ...(tags.length === 0 ? {} : { tags }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
  };
}

const isDefaultBackoff = ({ type, delayMs, factor, maxMs, jitter }: Backoff): boolean =>
  type === defaultBackoff.type &&
  delayMs === defaultBackoff.delayMs &&
  factor === defaultBackoff.factor &&
  maxMs === defaultBackoff.maxMs &&
  jitter === defaultBackoff.jitter;

/** The bytes of a request. */
export function packRequest(request: TaskRequest): Buffer {
  if (request !== encodedRequest) {
    encodedHeader = Buffer.from(packr.pack(withoutDefaults(request)));
    encodedRequest = request;
  }
  return encodedHeader;
}

/** The request whose bytes are in `bytes` from `start` to `end`. */
export function unpackRequest(bytes: Buffer, start: number, end: number): TaskRequest {
  if (decodedRequest === undefined || bytes.compare(decodedHeader, 0, decodedHeader.length, start, end) !== 0) {
    decodedHeader = Buffer.from(bytes.subarray(start, end));
    decodedRequest = Object.freeze({ ...defaults, ...(packr.unpack(decodedHeader) as StoredRequest) });
  }
  return decodedRequest;
}

export function encodeTask(row: Omit<TaskRow, "life"> & { readonly life?: TaskLife }): Buffer {
  const header = packRequest(row.request);
  const life = row.life === undefined ? undefined : packr.pack(row.life);
  const lifeLength = life?.length ?? 0;
  const bytes = Buffer.allocUnsafe(taskHead + header.length + lifeLength + row.args.length);
  bytes.writeUInt32BE(row.lane, 4);
  bytes.writeUIntBE(row.sequence, 8, 6);
  bytes.writeUInt32BE(header.length, 14);
  bytes.writeUInt32BE(lifeLength, 18);
  header.copy(bytes, taskHead);
  if (life !== undefined) life.copy(bytes, taskHead + header.length);
  bytes.set(row.args, taskHead + header.length + lifeLength);
  return bytes;
}

export function decodeTask(bytes: Buffer): TaskRow {
  const headerEnd = taskHead + bytes.readUInt32BE(14);
  const lifeEnd = headerEnd + bytes.readUInt32BE(18);
  const request = unpackRequest(bytes, taskHead, headerEnd);
  return {
    lane: bytes.readUInt32BE(4),
    sequence: bytes.readUIntBE(8, 6),
    request,
    life: lifeEnd === headerEnd ? newLife(request) : (packr.unpack(bytes.subarray(headerEnd, lifeEnd)) as TaskLife),
    args: bytes.subarray(lifeEnd),
  };
}

export interface OutcomeRow {
  readonly state: TaskState;
  readonly attempt: number;
  readonly startedAt?: number | undefined;
  readonly finishedAt: number;
  readonly durationMs?: number | undefined;
  readonly workerId?: string | undefined;
  /** The whole life, where it is more than the one the task had plus the fields above. */
  readonly life?: TaskLife;
  readonly result?: Payload;
}

const outcomeHead = 39;
const none = Number.NaN;

export function encodeOutcome(row: OutcomeRow): Buffer {
  const worker = row.workerId ?? "";
  const life = row.life === undefined ? undefined : packr.pack(row.life);
  const lifeLength = life?.length ?? 0;
  const workerLength = Buffer.byteLength(worker, "latin1");
  const bytes = Buffer.allocUnsafe(outcomeHead + workerLength + lifeLength + (row.result?.length ?? 0));
  bytes[4] = terminalStates.indexOf(row.state);
  bytes.writeUInt32BE(row.attempt, 5);
  bytes.writeDoubleBE(row.startedAt ?? none, 9);
  bytes.writeDoubleBE(row.finishedAt, 17);
  bytes.writeDoubleBE(row.durationMs ?? none, 25);
  bytes[33] = workerLength;
  bytes.writeUInt32BE(lifeLength, 34);
  bytes[38] = row.result === undefined || row.result.length === 0 ? 0 : 1;
  bytes.write(worker, outcomeHead, "latin1");
  if (life !== undefined) life.copy(bytes, outcomeHead + workerLength);
  if (row.result !== undefined) bytes.set(row.result, outcomeHead + workerLength + lifeLength);
  return bytes;
}

export function decodeOutcome(bytes: Buffer): OutcomeRow {
  const workerEnd = outcomeHead + (bytes[33] ?? 0);
  const lifeEnd = workerEnd + bytes.readUInt32BE(34);
  const startedAt = bytes.readDoubleBE(9);
  const durationMs = bytes.readDoubleBE(25);
  return {
    state: terminalStates[bytes[4] ?? 0] ?? "completed",
    attempt: bytes.readUInt32BE(5),
    finishedAt: bytes.readDoubleBE(17),
    ...(Number.isNaN(startedAt) ? {} : { startedAt }),
    ...(Number.isNaN(durationMs) ? {} : { durationMs }),
    ...(workerEnd === outcomeHead ? {} : { workerId: bytes.toString("latin1", outcomeHead, workerEnd) }),
    ...(lifeEnd === workerEnd ? {} : { life: packr.unpack(bytes.subarray(workerEnd, lifeEnd)) as TaskLife }),
    ...(bytes[38] === 1 ? { result: bytes.subarray(lifeEnd) } : {}),
  };
}

/** The life of a task that has ended. */
export function lifeAfter(life: TaskLife, outcome: OutcomeRow): TaskLife {
  if (outcome.life !== undefined) return outcome.life;
  const { state, attempt, startedAt, finishedAt, durationMs, workerId } = outcome;
  const { runAt: _, ...before } = life;
  return {
    ...before,
    state,
    attempt,
    finishedAt,
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(durationMs === undefined ? {} : { durationMs }),
    ...(workerId === undefined ? {} : { workerId }),
  };
}

export function encodeData(value: unknown): Buffer {
  const packed = packr.pack(value);
  const bytes = Buffer.allocUnsafe(4 + packed.length);
  packed.copy(bytes, 4);
  return bytes;
}

export function decodeData<T>(bytes: Buffer): T {
  return packr.unpack(bytes.subarray(4)) as T;
}

/** Keys of tasks and spans, one after the other, each after its length. */
export function encodeKeys(keys: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.allocUnsafe(keys.reduce((sum, key) => sum + 1 + key.length, 0));
  let at = 0;
  for (const key of keys) {
    bytes[at++] = key.length;
    bytes.set(key, at);
    at += key.length;
  }
  return bytes;
}

export function decodeKeys(bytes: Buffer): Buffer[] {
  const keys: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes[at++] ?? 0;
    keys.push(bytes.subarray(at, at + length));
    at += length;
  }
  return keys;
}
