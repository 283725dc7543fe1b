import { StoreCorruptError } from "../../base/errors.ts";
import type { TaskId } from "../../task/task.ts";
import { completionCount, decodeCompletion, encodeCompletion, outcomeAt, type Completion } from "./completion.ts";
import { completionFrom, completionKey, isUuidKey, readyKey, spanKey, spanOf, type Span } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import type { Ready } from "./ready.ts";
import type { OutcomeRow } from "./records.ts";
import { encodeSegment, Segment, type SegmentParts } from "./segment.ts";
import type { Tables } from "./tables.ts";

/** A task that has no record of its own. */
export interface Member {
  readonly segment: Segment;
  readonly index: number;
}

/** Greater than every key. */
const afterKeys = Buffer.alloc(17, 0xff);

/** How many segments are kept at hand that nothing of is running. */
const keptAtHand = 64;

/**
 * Tasks without records of their own. A segment never changes; what its tasks do is told beside it: a span in the order
 * of ready tasks, a claim, or a completion holds each of them. One that nothing holds has left, to a record of its own or
 * for good, and the segment goes with the last.
 */
export class Segments {
  readonly #tables: Tables;
  readonly #ledger: Ledger;
  readonly #ready: Ready;
  readonly #path: string;
  /** By key, those used last at the end. One that is being run is the only object of its segment. */
  readonly #atHand = new Map<string, Segment>();

  constructor(tables: Tables, ledger: Ledger, ready: Ready, path: string) {
    this.#tables = tables;
    this.#ledger = ledger;
    this.#ready = ready;
    this.#path = path;
  }

  /** Stores ready tasks. */
  put(parts: SegmentParts): void {
    const bytes = encodeSegment(parts);
    const segment = this.#keep(new Segment(bytes));
    this.#tables.segments.put(segment.key, bytes);
    this.putSpan(segment.lane, { segment: segment.key, from: 0, to: segment.count });
  }

  /** @throws StoreCorruptError when it is missing. */
  get(key: Buffer): Segment {
    const name = key.toString("latin1");
    const known = this.#atHand.get(name);
    if (known !== undefined) {
      this.#atHand.delete(name);
      this.#atHand.set(name, known);
      return known;
    }
    const bytes = this.#tables.segments.get(key);
    if (bytes === undefined) throw new StoreCorruptError(this.#path, "a segment of tasks is missing");
    return this.#keep(new Segment(bytes));
  }

  #keep(segment: Segment): Segment {
    this.#atHand.set(segment.key.toString("latin1"), segment);
    let extra = this.#atHand.size - keptAtHand;
    for (const [name, { running }] of this.#atHand) {
      if (extra <= 0) break;
      if (running === 0 && this.#atHand.delete(name)) extra--;
    }
    return segment;
  }

  /** The segment that this task was stored in. Whether it is still there is another question. */
  find(key: Buffer): Member | undefined {
    if (!isUuidKey(key)) return undefined;
    const segment = this.#lastUpTo(key);
    const index = segment?.indexOf(key) ?? -1;
    return segment === undefined || index === -1 ? undefined : { segment, index };
  }

  /** Whether no segment has ids between one and another, or around them. */
  areApart(first: Buffer, last: Buffer): boolean {
    const before = this.#lastUpTo(last);
    return before === undefined || before.keyOf(before.count - 1).compare(first) < 0;
  }

  /** The greatest id in a segment; `""` when there are none. */
  lastId(): TaskId {
    const last = this.#lastUpTo(afterKeys);
    return last?.idOf(last.count - 1) ?? "";
  }

  #lastUpTo(start: Buffer): Segment | undefined {
    for (const key of this.#tables.segments.getKeys({ start, reverse: true, limit: 1 })) return this.get(key);
    return undefined;
  }

  /** Segments from the one that may hold `start` on. */
  *from(start: Buffer): Iterable<Segment> {
    const [first = start] = this.#tables.segments.getKeys({ start, reverse: true, limit: 1 });
    for (const key of this.#tables.segments.getKeys({ start: first })) yield this.get(key);
  }

  // ---------------------------------------------------------------------------------------------------- the order

  isReady(member: Member): boolean {
    return this.#readySpan(member) !== undefined;
  }

  /** Puts a task back to its place in the lane of such tasks. */
  putReady({ segment, index }: Member): void {
    const own = this.#ledger.lanes.of(segment.request).number;
    this.putSpan(own, { segment: segment.key, from: index, to: index + 1 });
  }

  /** Takes one task out of the order. */
  cutReady(member: Member): void {
    const { index } = member;
    const found = this.#readySpan(member);
    if (found === undefined) return;
    const { lane, span } = found;
    this.takeSpan(lane, span);
    if (span.from < index) this.putSpan(lane, { ...span, to: index });
    if (index + 1 < span.to) this.putSpan(lane, { ...span, from: index + 1 });
  }

  /** Puts tasks into the order. */
  putSpan(lane: number, span: Span): void {
    const { request, sequence } = this.get(span.segment);
    this.#ready.put(lane, request.priority, sequence + span.from, spanKey(span));
  }

  /** Takes tasks out of the order, which stand there together. */
  takeSpan(lane: number, span: Span): void {
    const { request, sequence } = this.get(span.segment);
    this.#ready.remove(lane, request.priority, sequence + span.from);
  }

  #readySpan({ segment, index }: Member): { lane: number; span: Span } | undefined {
    const { priority } = segment.request;
    for (const lane of this.#lanesOf(segment)) {
      const start = readyKey(lane, priority, segment.sequence + index);
      const end = readyKey(lane, priority, segment.sequence - 1);
      for (const { value } of this.#tables.ready.getRange({ start, end, reverse: true, limit: 1 })) {
        const span = spanOf(value);
        if (span !== undefined && index < span.to) return { lane, span };
      }
    }
    return undefined;
  }

  /** A task of a stage stands in its stage's lane until it is first claimed, then in the one of such tasks. */
  #lanesOf(segment: Segment): Iterable<number> {
    const own = this.#ledger.lanes.known(segment.request)?.number;
    return own === undefined ? [segment.lane] : new Set([segment.lane, own]);
  }

  // ------------------------------------------------------------------------------------------------- completions

  /** Says how the tasks from `from` on completed. */
  complete(segment: Segment, from: number, completion: Completion): void {
    this.#tables.completions.put(completionKey(segment.key, from), encodeCompletion(completion));
  }

  outcomeOf({ segment, index }: Member): OutcomeRow | undefined {
    const found = this.#completionAt(segment.key, index);
    return found === undefined ? undefined : outcomeAt(found.bytes, index - found.from);
  }

  /** Forgets how one task completed. */
  cutCompleted({ segment, index }: Member): void {
    const { key } = segment;
    const found = this.#completionAt(key, index);
    if (found === undefined) return;
    const completion = decodeCompletion(found.bytes);
    const at = index - found.from;
    const [before, after] = [completion.tasks.slice(0, at), completion.tasks.slice(at + 1)];
    this.#tables.completions.remove(completionKey(key, found.from));
    if (before.length > 0) this.complete(segment, found.from, { ...completion, tasks: before });
    if (after.length > 0) this.complete(segment, index + 1, { ...completion, tasks: after });
  }

  /** The completions of a span, with the index of the first task of each. */
  completionsIn({ segment, from, to }: Span): { readonly from: number; readonly completion: Completion }[] {
    const range = { start: completionKey(segment, from), end: completionKey(segment, to) };
    return Array.from(this.#tables.completions.getRange(range), ({ key, value }) => ({
      from: completionFrom(key),
      completion: decodeCompletion(value),
    }));
  }

  /** Forgets a completion, and the tasks with it. */
  forget(segment: Segment, from: number): void {
    this.#tables.completions.remove(completionKey(segment.key, from));
    this.tidy(segment);
  }

  #completionAt(segment: Buffer, index: number): { from: number; bytes: Buffer } | undefined {
    const start = completionKey(segment, index);
    for (const { key, value } of this.#tables.completions.getRange({ start, reverse: true, limit: 1 })) {
      const from = completionFrom(key);
      const isOfIt = key.compare(segment, 0, segment.length, 0, segment.length) === 0;
      return isOfIt && index < from + completionCount(value) ? { from, bytes: value } : undefined;
    }
    return undefined;
  }

  // ------------------------------------------------------------------------------------------------- the end of it

  /** Forgets the segment if all of its tasks have left. */
  tidy(segment: Segment): void {
    if (segment.running > 0 || this.#isHeld(segment)) return;
    this.drop(segment);
  }

  /** Forgets the segment. */
  drop({ key }: Segment): void {
    this.#tables.segments.remove(key);
    this.#atHand.delete(key.toString("latin1"));
  }

  #isHeld(segment: Segment): boolean {
    const { key, count, sequence, request } = segment;
    const completions = { start: completionKey(key, 0), end: completionKey(key, count), limit: 1 };
    for (const _ of this.#tables.completions.getKeys(completions)) return true;
    for (const lane of this.#lanesOf(segment)) {
      const start = readyKey(lane, request.priority, sequence);
      const end = readyKey(lane, request.priority, sequence + count);
      // Among them may be tasks that have left.
      for (const { value } of this.#tables.ready.getRange({ start, end })) if (spanOf(value) !== undefined) return true;
    }
    return false;
  }
}
