import { bytesToUuid, uuidBytes } from "../../base/id.ts";
import type { EpochMs } from "../../base/clock.ts";
import type { TaskId } from "../../task/task.ts";

/**
 * Keys are bytes, compared left to right, so numbers are written big-endian and in the order in which they are wanted.
 * An accept sequence is 48 bits: at a million tasks a second it lasts nine years.
 */

/** What keys of tasks begin with that are no UUIDs, and what stands for a part of a segment where a key could stand. */
const mark = { span: 0xfe, text: 0xff } as const;
/** The first byte of every UUID key is less. */
export const firstOfOthers: number = mark.span;

/** A task's key: 16 bytes for a UUID, so that our own ids lie in the order they were made in; else a mark and its text. */
export function taskKey(id: TaskId): Buffer {
  const uuid = uuidBytes(id);
  if (uuid !== undefined && isUuidKey(uuid)) return uuid;
  const text = Buffer.from(id, "utf8");
  const key = Buffer.allocUnsafe(text.length + 1);
  key[0] = mark.text;
  text.copy(key, 1);
  return key;
}

export const isUuidKey = (key: Uint8Array): boolean => (key[0] ?? mark.text) < firstOfOthers;

export const taskIdOf = (key: Uint8Array): TaskId =>
  isUuidKey(key) ? bytesToUuid(key) : asBuffer(key).toString("utf8", 1);

/** Neighbours in a segment: those with an index from `from` up to, and without, `to`. */
export interface Span {
  /** The segment's key: that of its first task. */
  readonly segment: Buffer;
  readonly from: number;
  readonly to: number;
}

export function spanKey({ segment, from, to }: Span): Buffer {
  const key = Buffer.allocUnsafe(21);
  key[0] = mark.span;
  key.set(segment, 1);
  key.writeUInt16BE(from, 17);
  key.writeUInt16BE(to, 19);
  return key;
}

/** The span that the bytes stand for; `undefined` for the key of a single task. */
export const spanOf = (key: Buffer): Span | undefined =>
  key[0] === mark.span
    ? { segment: key.subarray(1, 17), from: key.readUInt16BE(17), to: key.readUInt16BE(19) }
    : undefined;

/** Where it is told how tasks of a segment completed, by the first of them. */
export function completionKey(segment: Buffer, from: number): Buffer {
  const key = Buffer.allocUnsafe(18);
  key.set(segment, 0);
  key.writeUInt16BE(from, 16);
  return key;
}

export const completionFrom = (key: Buffer): number => key.readUInt16BE(16);

/** Where a ready task stands: lane, then priority, then age. */
export function readyKey(lane: number, priority: number, sequence: number): Buffer {
  const key = Buffer.allocUnsafe(12);
  key.writeUInt32BE(lane, 0);
  key.writeUInt16BE(highestPriority - priority, 4);
  key.writeUIntBE(sequence, 6, 6);
  return key;
}

const highestPriority = 1_000;

/** The part of a ready key that orders tasks over all lanes, as one number per field. */
export const rankOf = (key: Buffer): number => key.readUInt16BE(4);
export const priorityOf = (rank: number): number => highestPriority - rank;
export const sequenceOf = (key: Buffer): number => key.readUIntBE(6, 6);

/** The first key that is not of this lane any more. */
export function laneEnd(lane: number): Buffer {
  const key = Buffer.allocUnsafe(4);
  key.writeUInt32BE(lane + 1, 0);
  return key;
}

export function laneStart(lane: number): Buffer {
  const key = Buffer.allocUnsafe(4);
  key.writeUInt32BE(lane, 0);
  return key;
}

/** What is due at a moment: a start, the end of a time to live, the end of a lease. */
export const due = { start: 0, expiry: 1, lease: 2 } as const;
export type DueKind = (typeof due)[keyof typeof due];

export function dueKey(at: EpochMs, kind: DueKind, lane: number, sequence: number): Buffer {
  const key = Buffer.allocUnsafe(17);
  key.writeUIntBE(clampTime(at), 0, 6);
  key[6] = kind;
  key.writeUInt32BE(lane, 7);
  key.writeUIntBE(sequence, 11, 6);
  return key;
}

export const dueAt = (key: Buffer): EpochMs => key.readUIntBE(0, 6);
export const dueKindOf = (key: Buffer): number => key[6] ?? -1;
export const dueLaneOf = (key: Buffer): number => key.readUInt32BE(7);

export function pruneKey(at: EpochMs, n: number): Buffer {
  const key = Buffer.allocUnsafe(12);
  key.writeUIntBE(clampTime(at), 0, 6);
  key.writeUIntBE(n, 6, 6);
  return key;
}

export const momentKey = (at: EpochMs): Buffer => numberKey(clampTime(at));

export function numberKey(n: number): Buffer {
  const key = Buffer.allocUnsafe(6);
  key.writeUIntBE(n, 0, 6);
  return key;
}

export const numberOf = (key: Buffer): number => key.readUIntBE(0, 6);

export function dedupeIndexKey(queueNumber: number, dedupeKey: string): Buffer {
  const text = Buffer.from(dedupeKey, "utf8");
  const key = Buffer.allocUnsafe(4 + text.length);
  key.writeUInt32BE(queueNumber, 0);
  text.copy(key, 4);
  return key;
}

/** Parked tasks: by handler, then age. A handler's key has a zero between name and version, so that a one ends it. */
export function parkedKey(handler: string, sequence: number): Buffer {
  const text = parkedStart(handler);
  const key = Buffer.allocUnsafe(text.length + 6);
  text.copy(key, 0);
  key.writeUIntBE(sequence, text.length, 6);
  return key;
}

export const parkedStart = (handler: string): Buffer => Buffer.from(`${handler}\x01`, "utf8");
export const parkedEnd = (handler: string): Buffer => Buffer.from(`${handler}\x02`, "utf8");

/** What a place among tasks with one key is for; see ordered-tasks.ts and keyed-tasks.ts. */
export const linePart = { member: 0, behind: 1, forward: 2, aside: 3 } as const;
export type LinePart = (typeof linePart)[keyof typeof linePart];

/** Names and keys hold no control characters, so a zero ends them. */
export const lineId = (name: string): Buffer => Buffer.from(`${name}\0`, "utf8");

/** Where a task stands among those with its key: by lane, then priority, then age. */
export function lineKey(part: LinePart, id: Buffer, lane: number, priority: number, sequence: number): Buffer {
  const key = Buffer.allocUnsafe(id.length + 13);
  key[0] = part;
  id.copy(key, 1);
  key.writeUInt32BE(lane, id.length + 1);
  key.writeUInt16BE(highestPriority - priority, id.length + 5);
  key.writeUIntBE(sequence, id.length + 7, 6);
  return key;
}

export const lineLaneOf = (key: Buffer): number => key.readUInt32BE(key.length - 12);
export const lineSequenceOf = (key: Buffer): number => key.readUIntBE(key.length - 6, 6);

/** Which of two places of the same key and lane comes first, whatever they are for. */
export const isPlaceBefore = (a: Buffer, b: Buffer): boolean => a.compare(b, 1, b.length, 1, a.length) < 0;

/** All places of a part, or of one lane of it. */
export function lineRange(part: LinePart, id: Buffer, lane?: number): { start: Buffer; end: Buffer } {
  const start = Buffer.concat([Buffer.from([part]), id, ...(lane === undefined ? [] : [laneStart(lane)])]);
  // No lane and no priority begins with this byte.
  return { start, end: Buffer.concat([start, Buffer.from([0xff])]) };
}

/** What is kept under a key of notes. */
export const notePart = { progress: 0, lines: 1, checkpoint: 2 } as const;
export type NotePart = (typeof notePart)[keyof typeof notePart];

/** Notes of a task lie together. Its key comes after its length, so that none is the beginning of another. */
export const noteKey = (task: Buffer, part: NotePart, rest?: Buffer): Buffer =>
  Buffer.concat([Buffer.from([task.length]), task, Buffer.from([part]), ...(rest === undefined ? [] : [rest])]);

/** All notes of a task, or one part of them. */
export function noteRange(task: Buffer, part?: NotePart): { start: Buffer; end: Buffer } {
  const start = Buffer.concat([Buffer.from([task.length]), task, Buffer.from([part ?? 0])]);
  const end = Buffer.concat([start.subarray(0, -1), Buffer.from([part === undefined ? 0xff : part + 1])]);
  return { start, end };
}

/** A schedule has the key that a task with its id would have. */
export const scheduleNameKey = (name: string): Buffer => Buffer.from(name, "utf8");

/** Where a schedule stands that is due: by moment, then by key. */
export const scheduleDueKey = (at: EpochMs, schedule: Buffer): Buffer => Buffer.concat([momentKey(at), schedule]);
export const scheduleInDue = (key: Buffer): Buffer => key.subarray(6);
export const scheduleDueAt = (key: Buffer): EpochMs => key.readUIntBE(0, 6);
/** The first key of what is not due yet. */
export const scheduleDueEnd = (now: EpochMs): Buffer => momentKey(Math.floor(now) + 1);

/** Schedules that fire on an event. Names of events hold no control characters, so the zero ends them. */
export const scheduleEventKey = (event: string, schedule: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${event}\0`, "utf8"), schedule]);
export const scheduleInEvent = (event: string, key: Buffer): Buffer =>
  key.subarray(Buffer.byteLength(event, "utf8") + 1);

/** All of them from a schedule's key on. */
export const scheduleEventRange = (event: string, from: Buffer): { start: Buffer; end: Buffer } => ({
  start: scheduleEventKey(event, from),
  end: Buffer.from(`${event}\x01`, "utf8"),
});

/** A task of a schedule, ended or not. The schedule's key comes after its length, so that none is the beginning of another. */
export const scheduleTaskKey = (schedule: Buffer, task: Buffer): Buffer =>
  Buffer.concat([Buffer.from([schedule.length]), schedule, task]);
export const taskInSchedule = (key: Buffer): Buffer => key.subarray(1 + (key[0] ?? 0));

/** All of them from a task's key on. */
export const scheduleTaskRange = (schedule: Buffer, from: Buffer): { start: Buffer; end: Buffer } => ({
  start: scheduleTaskKey(schedule, from),
  // Of the keys that begin with the first such byte, none has a second.
  end: scheduleTaskKey(schedule, Buffer.from([mark.text, 0xff])),
});

/** A change in the history of a schedule. */
export const changeKey = (schedule: Buffer, n: number): Buffer =>
  Buffer.concat([Buffer.from([schedule.length]), schedule, numberKey(n)]);

/** All changes of a schedule. */
export function changeRange(schedule: Buffer): { start: Buffer; end: Buffer } {
  const start = Buffer.concat([Buffer.from([schedule.length]), schedule]);
  // No number of a change begins with this byte.
  return { start, end: Buffer.concat([start, Buffer.from([0xff])]) };
}

/** The first key that may follow. */
export const keyAfter = (key: Buffer): Buffer => Buffer.concat([key, Buffer.from([0])]);

const latest = 2 ** 48 - 1;
const clampTime = (at: EpochMs): number => Math.min(Math.max(Math.ceil(at), 0), latest);

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
