import type { AttemptFault } from "../task/retry.ts";
import type { Payload, StoredTask, TaskError, TaskId, TaskRequest } from "../task/task.ts";

/** What a worker is told about a task, besides its arguments. */
export interface TaskHeader {
  readonly id: TaskId;
  readonly attempt: number;
  /** One object for tasks of one request. */
  readonly request: HeaderRequest;
}

export type HeaderRequest = Pick<
  TaskRequest,
  "name" | "version" | "queue" | "tags" | "metadata" | "timeoutMs" | "schedule"
>;

/** How an attempt ended, as a worker reports it. */
export type AttemptEnd =
  | { readonly type: "value"; readonly result: Payload }
  | { readonly type: "fault"; readonly fault: AttemptFault; readonly error: TaskError }
  | { readonly type: "stopped" };

/** The headers of a batch as text: what tasks of one bulk call share is written once. */
export function packHeaders(tasks: readonly StoredTask[]): string {
  const requests = new Map<StoredTask["request"], number>();
  const rows = tasks.map(({ id, life, request }): Row => {
    let shared = requests.get(request);
    if (shared === undefined) requests.set(request, (shared = requests.size));
    return [shared, id, life.attempt];
  });
  const shared = Array.from(requests.keys(), (request): HeaderRequest => {
    const { name, version, queue, tags, metadata, timeoutMs, schedule } = request;
    return {
      name,
      ...(version === undefined ? undefined : { version }),
      queue,
      tags,
      metadata,
      ...(timeoutMs === undefined ? undefined : { timeoutMs }),
      ...(schedule === undefined ? undefined : { schedule }),
    };
  });
  return stringify([shared, rows]);
}

export function unpackHeaders(text: string): TaskHeader[] {
  const [shared, rows] = parse(text) as [HeaderRequest[], Row[]];
  // A handler must not change what the next one sees.
  for (const { tags, metadata } of shared) freeze([tags, metadata]);
  return rows.map(([index, id, attempt]) => ({ id, attempt, request: shared[index] as HeaderRequest }));
}

function freeze(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  Object.values(value).forEach(freeze);
  Object.freeze(value);
}

type Row = [shared: number, id: TaskId, attempt: number];

/** A report in a frame; `index` is the task's place in its batch. */
export interface FramedReport {
  readonly index: number;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly end: AttemptEnd;
}

/** Gathers reports in one piece of memory. */
export class ReportWriter {
  #bytes = new Uint8Array(smallest);
  #view = new DataView(this.#bytes.buffer);
  #size = 0;

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  add(index: number, startedAt: number, durationMs: number, end: AttemptEnd): void {
    const body = end.type === "value" ? end.result : end.type === "stopped" ? empty : faultBytes(end);
    const at = this.#reserve(headSize + body.byteLength);
    this.#view.setUint32(at, index);
    this.#view.setUint8(at + 4, endTypes.indexOf(end.type));
    this.#view.setFloat64(at + 5, startedAt);
    this.#view.setFloat64(at + 13, durationMs);
    this.#view.setUint32(at + 21, body.byteLength);
    this.#bytes.set(body, at + headSize);
  }

  /** The frame of what was added since it was cleared; valid until something is added. */
  get frame(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#size);
  }

  clear(): void {
    this.#size = 0;
  }

  #reserve(size: number): number {
    const at = this.#size;
    this.#size += size;
    if (this.#size > this.#bytes.byteLength) {
      const bytes = new Uint8Array(Math.max(this.#size, this.#bytes.byteLength * 2));
      bytes.set(this.#bytes.subarray(0, at));
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer);
    }
    return at;
  }
}

/** The reports of a frame, in order; results are not copied. */
export function readReports(frame: Uint8Array): FramedReport[] {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const reports: FramedReport[] = [];
  for (let at = 0; at < frame.byteLength;) {
    const end = at + headSize + view.getUint32(at + 21);
    reports.push({
      index: view.getUint32(at),
      startedAt: view.getFloat64(at + 5),
      durationMs: view.getFloat64(at + 13),
      end: readEnd(endTypes[view.getUint8(at + 4)], frame.subarray(at + headSize, end)),
    });
    at = end;
  }
  return reports;
}

function readEnd(type: AttemptEnd["type"] | undefined, body: Uint8Array): AttemptEnd {
  if (type === "value") return { type, result: body };
  if (type === "fault") return { type, ...(parse(decoder.decode(body)) as Fault) };
  return { type: "stopped" };
}

const faultBytes = ({ fault, error }: Fault): Uint8Array => encoder.encode(stringify({ fault, error }));

type Fault = Omit<Extract<AttemptEnd, { type: "fault" }>, "type">;

// As they are now: in a worker, a handler may replace them.
const { parse, stringify } = JSON;

const endTypes = ["value", "fault", "stopped"] as const satisfies readonly AttemptEnd["type"][];
const headSize = 25;
const smallest = 1_024;
const empty = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder();
