import { InvalidArgumentError, PayloadTooLargeError } from "../base/errors.ts";
import { decode } from "../task/codec.ts";
import type { LogLevel, LogLine } from "../task/log-line.ts";
import type { AttemptFault } from "../task/retry.ts";
import { toTaskError } from "../task/task-error.ts";
import type { Payload, TaskId } from "../task/task.ts";
import type { AttemptNote, AttemptReport, CheckpointValue, ChildCall } from "./executor.ts";

/*
 * What an executor says that was written elsewhere, checked before anybody trusts it, and as data of its own. Everything
 * here throws InvalidArgumentError, with a path such as `report.end.type`, for what the contract does not know.
 */

/** @throws UnreadablePayloadError, PayloadTooLargeError as well. */
export function checkedReport(report: AttemptReport, maxResultBytes: number): Omit<AttemptReport, "id"> {
  const { end, startedAt, durationMs, workerId } = report;
  if (startedAt !== undefined) assert(Number.isFinite(startedAt), "report.startedAt", "is no number.");
  if (durationMs !== undefined) assert(isLength(durationMs), "report.durationMs", "is no number from 0 on.");
  if (workerId !== undefined) assert(typeof workerId === "string", "report.workerId", "is no text.");
  return { end: checkedEnd(end, maxResultBytes), startedAt, durationMs, workerId };
}

function checkedEnd(end: AttemptReport["end"], maxResultBytes: number): AttemptReport["end"] {
  assert(isObject(end), "report.end", "is no object.");
  switch (end.type) {
    case "value": {
      const { length } = end.result ?? [];
      if (length > maxResultBytes) throw new PayloadTooLargeError("result", length, maxResultBytes);
      return { type: "value", result: checkedPayload(end.result, "report.end.result") };
    }
    case "fault":
      return { type: "fault", fault: checkedFault(end.fault), error: toTaskError(end.error) };
    case "stopped":
    case "unstarted":
      return { type: end.type };
    default:
      throw new InvalidArgumentError("report.end.type", 'is none of "value", "fault", "stopped" and "unstarted".');
  }
}

function checkedFault(fault: AttemptFault): AttemptFault {
  assert(isObject(fault), "report.end.fault", "is no object.");
  const { reason, isRetryable, retryDelayMs } = fault;
  assert(reasons.has(reason), "report.end.fault.reason", `is none of ${[...reasons].join(", ")}.`);
  assert(typeof isRetryable === "boolean", "report.end.fault.isRetryable", "is neither true nor false.");
  if (retryDelayMs === undefined) return { reason, isRetryable };
  assert(isLength(retryDelayMs), "report.end.fault.retryDelayMs", "is no number from 0 on.");
  return { reason, isRetryable, retryDelayMs };
}

/** @throws UnreadablePayloadError as well. */
export function checkedNote(note: AttemptNote): AttemptNote {
  const { id, attempt, progress, lines } = note;
  assertAttempt(note, "note");
  return {
    id,
    attempt,
    ...(progress !== undefined && { progress: checkedPayload(progress, "note.progress") }),
    ...(lines !== undefined && { lines: checkedLines(lines) }),
  };
}

function checkedLines(lines: readonly LogLine[]): readonly LogLine[] {
  assert(Array.isArray(lines), "note.lines", "is no array.");
  return lines.map((line: LogLine) => {
    assert(isObject(line), "note.lines", "holds something that is no object.");
    const { attempt, at, level, message, fields } = line;
    assert(Number.isInteger(attempt) && Number.isFinite(at), "note.lines", "has no attempt, or no time.");
    assert(levels.has(level) && typeof message === "string", "note.lines", "has no level, or no message.");
    if (fields === undefined) return { attempt, at, level, message };
    const plain: unknown = JSON.parse(JSON.stringify(fields) ?? "null");
    assert(isObject(plain), "note.lines.fields", "is no object.");
    return { attempt, at, level, message, fields: plain };
  });
}

export function checkedKey(id: TaskId, key: string): [TaskId, string] {
  assert(typeof id === "string", "checkpoint.id", "is no text.");
  assert(typeof key === "string", "checkpoint.key", "is no text.");
  return [id, key];
}

/** @throws UnreadablePayloadError as well. */
export function checkedCheckpoint(checkpoint: CheckpointValue): CheckpointValue {
  assertAttempt(checkpoint, "checkpoint");
  const { id, attempt, key, value } = checkpoint;
  assert(typeof key === "string", "checkpoint.key", "is no text.");
  return { id, attempt, key, value: checkedPayload(value, "checkpoint.value") };
}

/** @throws UnreadablePayloadError as well. */
export function checkedCall(call: ChildCall): ChildCall {
  assertAttempt(call, "call");
  const { id, attempt, name, version, args, options } = call;
  assert(typeof name === "string", "call.name", "is no text.");
  const checked = { id, attempt, name, args: checkedPayload(args, "call.args"), options };
  if (version === undefined) return checked;
  assert(typeof version === "string", "call.version", "is no text.");
  return { ...checked, version };
}

function assertAttempt(given: { readonly id: string; readonly attempt: number }, what: string): void {
  assert(isObject(given), what, "is no object.");
  assert(typeof given.id === "string", `${what}.id`, "is no text.");
  assert(Number.isInteger(given.attempt), `${what}.attempt`, "is no whole number.");
}

function checkedPayload(payload: Payload, path: string): Payload {
  assert(payload instanceof Uint8Array, path, "is no payload: what encode() gives.");
  decode(payload);
  return payload;
}

function assert(holds: boolean, path: string, problem: string): asserts holds {
  if (!holds) throw new InvalidArgumentError(path, problem);
}

const isObject = (given: unknown): given is Record<string, unknown> => typeof given === "object" && given !== null;
const isLength = (given: unknown): boolean => Number.isFinite(given) && Number(given) >= 0;

const reasons: ReadonlySet<unknown> = new Set<AttemptFault["reason"]>([
  "error",
  "timeout",
  "stalled",
  "memory",
  "crash",
  "interrupted",
]);
const levels: ReadonlySet<unknown> = new Set<LogLevel>(["debug", "info", "warn", "error"]);
