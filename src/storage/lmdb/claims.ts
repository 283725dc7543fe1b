import type { EpochMs } from "../../base/clock.ts";
import type { TaskId, TaskLife, TaskRequest } from "../../task/task.ts";
import { isLined, linesOf } from "../key-lines.ts";
import type { Limits } from "../storage.ts";
import { numberKey, spanKey, type Span } from "./keys.ts";
import { encodeData, encodeKeys } from "./records.ts";
import type { Segment } from "./segment.ts";
import type { Member } from "./segments.ts";
import type { Table } from "./tables.ts";

/** A task that is claimed: what is needed to end the claim without reading the task again. */
export interface Held {
  readonly key: Buffer;
  readonly lane: number;
  readonly sequence: number;
  readonly request: TaskRequest;
  /** Before the claim. */
  readonly before: TaskLife;
  /** Running, with the attempt it is claimed for. */
  readonly life: TaskLife;
  readonly batch: Batch;
  until?: EpochMs;
}

/** One that has no record of its own. Many are made, so what it shares with its neighbours is looked up. */
export class HeldMember implements Held, Member {
  readonly segment: Segment;
  readonly index: number;
  readonly life: TaskLife;
  readonly batch: Batch;

  constructor(segment: Segment, index: number, life: TaskLife, batch: Batch) {
    this.segment = segment;
    this.index = index;
    this.life = life;
    this.batch = batch;
  }

  get key(): Buffer {
    return this.segment.keyOf(this.index);
  }
  get lane(): number {
    return this.segment.lane;
  }
  get sequence(): number {
    return this.segment.sequence + this.index;
  }
  get request(): TaskRequest {
    return this.segment.request;
  }
  get before(): TaskLife {
    return this.segment.life;
  }
}

/** Tasks claimed together, or neighbours in a segment, share one record on disk, which is removed with the last of them. */
export class Batch {
  readonly number: number;
  readonly #owner: string;
  /** The end of the lease that was prolonged last. */
  until: EpochMs | undefined;
  /** All that have records of their own, whether they have ended or not. */
  readonly #keys: Buffer[] = [];
  /** Of those in a segment, exactly the ones that have not ended: nothing else tells which they are. */
  #spans: Span[] = [];
  #remaining = 0;

  constructor(number: number, owner: string, until: EpochMs | undefined) {
    this.number = number;
    this.#owner = owner;
    this.until = until;
  }

  get isOver(): boolean {
    return this.#remaining === 0;
  }

  addTask(key: Buffer): void {
    this.#keys.push(key);
    this.#remaining++;
  }

  addSpan(span: Span): void {
    this.#spans.push(span);
    this.#remaining += span.to - span.from;
  }

  removeTask(): void {
    this.#remaining--;
  }

  removeSpan(from: number, to: number): void {
    this.#remaining -= to - from;
    this.#spans = this.#spans.flatMap((span) => {
      if (to <= span.from || from >= span.to) return [span];
      return [
        { ...span, to: from },
        { ...span, from: to },
      ].filter((part) => part.from < part.to);
    });
  }

  encode(): Buffer {
    const keys = encodeKeys([...this.#keys, ...this.#spans.map(spanKey)]);
    const record: ClaimRecord = {
      owner: this.#owner,
      keys,
      ...(this.until === undefined ? {} : { until: this.until }),
    };
    return encodeData(record);
  }
}

/** The claims of this opening. Those of earlier ones were undone when the store was opened. */
export class Claims {
  readonly #held = new Map<TaskId, Held>();
  readonly #buried = new Map<TaskId, number>();
  readonly #changed = new Set<Batch>();
  /** Names that have limits. */
  readonly #limited: ReadonlyMap<string, Limits>;
  /** How many run of each of those names, and in each line. */
  readonly #runningAs = new Map<string, number>();
  readonly #runningIn = new Map<string, number>();
  #nextBatch = 1;

  constructor(limited: ReadonlyMap<string, Limits> = new Map()) {
    this.#limited = limited;
  }

  /** Running tasks of a name that has limits. */
  runningAs(name: string): number {
    return this.#runningAs.get(name) ?? 0;
  }

  /** Running tasks of a line of tasks with one key. */
  runningIn(line: string): number {
    return this.#runningIn.get(line) ?? 0;
  }

  /** Lines whose names begin like this and of which tasks run. */
  linesRunning(prefix: string): string[] {
    return [...this.#runningIn.keys()].filter((name) => name.startsWith(prefix));
  }

  #count(request: TaskRequest, by: number): void {
    if (this.#limited.has(request.name)) add(this.#runningAs, request.name, by);
    if (isLined(request)) for (const { name } of linesOf(request)) add(this.#runningIn, name, by);
  }

  get(id: TaskId): Held | undefined {
    return this.#held.get(id);
  }

  all(): Iterable<[TaskId, Held]> {
    return this.#held;
  }

  newBatch(owner: string, until: EpochMs | undefined): Batch {
    return new Batch(this.#nextBatch++, owner, until);
  }

  /** Claims a task that has a record of its own. */
  add(id: TaskId, held: Held): void {
    this.#held.set(id, held);
    this.#count(held.request, 1);
    held.batch.addTask(held.key);
    this.#changed.add(held.batch);
  }

  /**
   * Claims neighbours in a segment: those from `from` on, which have these ids. They are a batch of their own, so that to
   * end one of many writes only what is left of it.
   */
  addSpan(ids: readonly TaskId[], segment: Segment, from: number, life: TaskLife, owner: string): void {
    const batch = this.newBatch(owner, undefined);
    ids.forEach((id, at) => this.#held.set(id, new HeldMember(segment, from + at, life, batch)));
    segment.running += ids.length;
    this.#count(segment.request, ids.length);
    batch.addSpan({ segment: segment.key, from, to: from + ids.length });
    this.#changed.add(batch);
  }

  /** Takes a claim back. Those of neighbours in a segment, `removeSpan` has to follow for. */
  remove(id: TaskId, held: Held): void {
    this.#held.delete(id);
    this.#count(held.request, -1);
    if (held instanceof HeldMember) return;
    held.batch.removeTask();
    if (held.batch.isOver) this.#changed.add(held.batch);
  }

  removeSpan(segment: Segment, from: number, to: number, batch: Batch): void {
    segment.running -= to - from;
    batch.removeSpan(from, to);
    this.#changed.add(batch);
  }

  /** A lease of the batch was prolonged. */
  prolong(batch: Batch, until: EpochMs): void {
    batch.until = until;
    this.#changed.add(batch);
  }

  /** At the end of each transaction: writes what is left of the batches that changed. */
  save(table: Table): void {
    for (const batch of this.#changed) {
      const key = numberKey(batch.number);
      if (batch.isOver) table.remove(key);
      else table.put(key, batch.encode());
    }
    this.#changed.clear();
  }

  /**
   * The task is deleted while it runs. Should its id be used again, attempts go on from here, so that what the old one
   * may still say is known to be late.
   */
  bury(id: TaskId): void {
    const held = this.#held.get(id);
    if (held !== undefined) this.#buried.set(id, held.life.attempt);
  }

  /** The attempt after which a new claim of this id is numbered. */
  lastAttempt(id: TaskId, known: number): number {
    return this.#buried.size === 0 ? known : Math.max(known, this.#buried.get(id) ?? 0);
  }
}

function add(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

/** What is on disk of a batch of claims. */
export interface ClaimRecord {
  readonly owner: string;
  readonly keys: Uint8Array;
  readonly until?: EpochMs;
}
