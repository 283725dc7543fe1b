import type { EpochMs } from "../../base/clock.ts";
import type { Payload } from "../../task/task.ts";
import type { OutcomeRow } from "./records.ts";

/**
 * How neighbours in a segment completed, together, on one worker, at the first try. As bytes:
 *
 *   crc | count u16 | finished f64 | worker length u8 | worker | (started f64, took f64, result's end u32) each | results
 */
export interface Completion {
  readonly finishedAt: EpochMs;
  readonly workerId?: string | undefined;
  readonly tasks: readonly CompletedTask[];
}

export interface CompletedTask {
  readonly startedAt?: EpochMs | undefined;
  readonly durationMs?: number | undefined;
  readonly result?: Payload | undefined;
}

const head = 15;
const perTask = 20;
const none = Number.NaN;

export function encodeCompletion({ finishedAt, workerId = "", tasks }: Completion): Buffer {
  const rowsAt = head + Buffer.byteLength(workerId, "latin1");
  const resultsAt = rowsAt + tasks.length * perTask;
  const bytes = Buffer.allocUnsafe(tasks.reduce((sum, { result }) => sum + (result?.length ?? 0), resultsAt));
  bytes.writeUInt16BE(tasks.length, 4);
  bytes.writeDoubleBE(finishedAt, 6);
  bytes[14] = rowsAt - head;
  bytes.write(workerId, head, "latin1");
  let at = rowsAt;
  let end = 0;
  for (const { startedAt, durationMs, result } of tasks) {
    at = bytes.writeDoubleBE(startedAt ?? none, at);
    at = bytes.writeDoubleBE(durationMs ?? none, at);
    if (result !== undefined) {
      bytes.set(result, resultsAt + end);
      end += result.length;
    }
    at = bytes.writeUInt32BE(end, at);
  }
  return bytes;
}

/** How many tasks a completion tells of. */
export const completionCount = (bytes: Buffer): number => bytes.readUInt16BE(4);

export function decodeCompletion(bytes: Buffer): Completion {
  const tasks = Array.from({ length: completionCount(bytes) }, (_, index) => taskAt(bytes, index));
  return { ...headOf(bytes), tasks };
}

function headOf(bytes: Buffer): Pick<Completion, "finishedAt" | "workerId"> {
  const rowsAt = head + (bytes[14] ?? 0);
  const workerId = rowsAt === head ? undefined : bytes.toString("latin1", head, rowsAt);
  return { finishedAt: bytes.readDoubleBE(6), workerId };
}

function taskAt(bytes: Buffer, index: number): CompletedTask {
  const rowsAt = head + (bytes[14] ?? 0);
  const at = rowsAt + index * perTask;
  const resultsAt = rowsAt + completionCount(bytes) * perTask;
  const start = index === 0 ? 0 : bytes.readUInt32BE(at - 4);
  const end = bytes.readUInt32BE(at + 16);
  return {
    startedAt: number(bytes.readDoubleBE(at)),
    durationMs: number(bytes.readDoubleBE(at + 8)),
    result: end === start ? undefined : bytes.subarray(resultsAt + start, resultsAt + end),
  };
}

/** How one of them ended. Reads nothing of the others. */
export function outcomeAt(bytes: Buffer, index: number): OutcomeRow {
  const { finishedAt, workerId } = headOf(bytes);
  const { startedAt, durationMs, result } = taskAt(bytes, index);
  const outcome = { state: "completed", attempt: 1, finishedAt, startedAt, durationMs, workerId } as const;
  return result === undefined ? outcome : { ...outcome, result };
}

const number = (value: number): number | undefined => (Number.isNaN(value) ? undefined : value);
