import { setTimeout } from "node:timers";
import { InvalidArgumentError, NotSerializableError } from "../base/errors.ts";
import { encode } from "../task/codec.ts";
import type { LogLevel, LogLine } from "../task/log-line.ts";
import type { AttemptNote } from "./executor.ts";

/** What is said in this time travels together. */
const pauseMs = 50;
const mostLines = 1_000;
const limits = { maxBytes: 65_536 };

// As they are now: handlers may replace them.
const { now: wallClock } = Date;
const stopwatch = performance.now.bind(performance);
const { parse, stringify } = JSON;
const levels: readonly unknown[] = ["debug", "info", "warn", "error"] satisfies LogLevel[];

/** Gathers what one attempt says: sent at most every 50 ms, and when the attempt ends. */
export class Notebook {
  readonly #attempt: number;
  readonly #maxLogBytes: number;
  readonly #send: (said: Pick<AttemptNote, "progress" | "lines">) => void;
  /** What `progress` gave last: encoded when it is sent, which is less often. */
  #progress: (() => Uint8Array) | undefined;
  #lines: LogLine[] = [];
  #lineCount = 0;
  #logBytes = 0;
  #isFull = false;
  #isSilent = true;
  #sentAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(attempt: number, maxLogBytes: number, send: (said: Pick<AttemptNote, "progress" | "lines">) => void) {
    this.#attempt = attempt;
    this.#maxLogBytes = maxLogBytes;
    this.#send = send;
  }

  progress(value: unknown): void {
    // It may be changed before it is sent, and who gives something unfit is to hear of it.
    const progress = encode(value, "progress", limits);
    this.#progress = () => progress;
    this.#speak();
  }

  /** The common kind of progress, made when it is sent. */
  count(done: number, total: number): void {
    this.#progress = () => encode({ done, total }, "progress", limits);
    this.#speak();
  }

  log(level: LogLevel, message: string, fields: object | undefined): void {
    if (!levels.includes(level)) throw new InvalidArgumentError("log(level)", `is none of ${levels.join(", ")}.`);
    if (typeof message !== "string") throw new InvalidArgumentError("log(level, message)", "is not a text.");
    const data = fields === undefined ? undefined : jsonOf(fields);
    this.#logBytes += Buffer.byteLength(message) + (data?.length ?? 0);
    this.#lineCount += 1;
    if (this.#lineCount > mostLines || this.#logBytes > this.#maxLogBytes) {
      if (!this.#isFull) this.#add("warn", "The log of this attempt is full: what follows is dropped.", undefined);
      this.#isFull = true;
    } else if (!this.#isFull) this.#add(level, message, data);
    this.#speak();
  }

  heartbeat(): void {
    this.#speak();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isSilent) return;
    const progress = this.#progress?.();
    const lines = this.#lines;
    this.#isSilent = true;
    this.#progress = undefined;
    this.#lines = [];
    this.#sentAt = stopwatch();
    this.#send({ ...(progress === undefined ? undefined : { progress }), ...(lines.length > 0 && { lines }) });
  }

  #add(level: LogLevel, message: string, data: string | undefined): void {
    const line = { attempt: this.#attempt, at: wallClock(), level, message };
    this.#lines.push(data === undefined ? line : { ...line, fields: parse(data) as Record<string, unknown> });
  }

  #speak(): void {
    this.#isSilent = false;
    if (stopwatch() - this.#sentAt >= pauseMs) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), pauseMs).unref();
  }
}

function jsonOf(fields: object): string {
  try {
    const text: unknown = stringify(fields);
    if (typeof text === "string" && text.startsWith("{")) return text;
  } catch (cause) {
    throw new NotSerializableError("fields", "cannot be written as JSON", { cause });
  }
  throw new NotSerializableError("fields", "is no object of JSON data");
}
