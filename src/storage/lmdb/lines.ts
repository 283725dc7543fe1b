import type { TaskRequest } from "../../task/task.ts";
import { isLined, linesOf, type KeyLine } from "../key-lines.ts";
import { lineId, lineIdOf, lineKey, lineLaneOf, linePart, lineRange, lineSequenceOf, type LinePart } from "./keys.ts";
import type { TaskRow } from "./records.ts";
import type { Store } from "./store.ts";
import type { Table } from "./tables.ts";

/** What it takes to know where a task stands. */
export type Place = Pick<TaskRow, "request" | "sequence">;

/** With what its places begin, after the part. */
type Line = KeyLine & { readonly id: Buffer };

/**
 * Lines of tasks with one key, which keep all but a few of them out of the order of ready tasks: a million of one key
 * cost a claim nothing. A ready task stands in that order, or is aside in the first of its lines that does not admit it.
 *
 * In every lane, the best of the tasks of a line that no other line keeps aside stand in the order, as many as may be
 * claimed or more: what joins is measured with those that do, and whenever there is room, because one of them left or a
 * claim of the line ended, the best of those aside is put forward. Whether it may be claimed is seen when it is.
 */
export class Lines {
  readonly #store: Store;
  readonly #table: Table;

  constructor(store: Store) {
    this.#store = store;
    this.#table = store.tables.lines;
  }

  /** A task is stored, or is unfinished again. */
  join(key: Buffer, place: Place): void {
    for (const line of this.#linesOf(place.request)) {
      if (line.isOrdered) this.#table.put(this.#placeIn(linePart.member, line, place), key);
    }
  }

  /** A task is over, or deleted: the next in order may be claimed. It waits no more, and is not claimed. */
  leave(place: Place): void {
    for (const line of this.#linesOf(place.request)) {
      if (!line.isOrdered) continue;
      this.#table.remove(this.#placeIn(linePart.member, line, place));
      this.#putForward(line);
    }
  }

  /** A task is ready. */
  place(key: Buffer, place: Place): void {
    this.#place(key, place);
  }

  /** A task that was ready waits no more. */
  withdraw(place: Place): void {
    const lines = this.#linesOf(place.request);
    for (const line of lines) this.#removeFrom(line, place);
    for (const line of lines) this.#putForward(line);
  }

  /** A claim has ended. The task, if it is ready again, is placed after this. */
  freed(request: TaskRequest): void {
    for (const line of this.#linesOf(request)) this.#putForward(line);
  }

  /** Whether a task that was taken out of the order may be claimed; one that may not is put aside. */
  admit(key: Buffer, place: Place): boolean {
    const lines = this.#linesOf(place.request);
    for (const line of lines) this.#removeFrom(line, place);
    const full = lines.find((line) => !this.#hasRoom(line, place));
    if (full === undefined) return true;
    this.#table.put(this.#placeIn(linePart.aside, full, place), key);
    for (const line of lines) if (line !== full) this.#putForward(line);
    return false;
  }

  /** Whether the task is aside in a line. */
  isAside(place: Place): boolean {
    return this.#linesOf(place.request).some((line) =>
      this.#table.doesExist(this.#placeIn(linePart.aside, line, place)),
    );
  }

  /** Limits have changed, or claims were taken back without a word: puts forward what may be claimed now. */
  refill(): void {
    let start = lineRange(linePart.aside).start;
    const { end } = lineRange(linePart.aside);
    for (;;) {
      const first = this.#first(start, end);
      if (first === undefined) return;
      const id = lineIdOf(first.key);
      const row = this.#store.row(first.value);
      const line = row === undefined ? undefined : this.#linesOf(row.request).find((one) => one.id.equals(id));
      if (line !== undefined) this.#putForward(line, mostRefilled);
      start = lineRange(linePart.aside, id).end;
    }
  }

  /** Gives the line that keeps the task aside, if one does. */
  #place(key: Buffer, place: Place): Line | undefined {
    const lines = this.#linesOf(place.request);
    const full = lines.find((line) => !this.#admits(line, place));
    if (full !== undefined) {
      this.#table.put(this.#placeIn(linePart.aside, full, place), key);
      return full;
    }
    for (const line of lines) {
      if (line.capacity < Number.POSITIVE_INFINITY && !line.isOrdered)
        this.#table.put(this.#placeIn(linePart.forward, line, place), key);
    }
    const { request, sequence } = place;
    this.#store.ready.put(this.#store.ledger.lane(request).number, request.priority, sequence, key);
    return undefined;
  }

  /** Whether it is among the best of the line that may be claimed, as far as they stand in the order. */
  #admits(line: Line, place: Place): boolean {
    if (line.isOrdered) return this.#hasRoom(line, place);
    if (line.capacity === Number.POSITIVE_INFINITY) return this.#isBeforeThoseAside(line, place);
    const room = line.capacity - this.#running(line);
    if (room <= 0) return false;
    const end = this.#placeIn(linePart.forward, line, place);
    const { start } = lineRange(linePart.forward, line.id, lineLaneOf(end));
    let count = 0;
    for (const _ of this.#table.getKeys({ start, end, limit: room })) count++;
    return count < room;
  }

  /** A line that has lost its limit is emptied from its head. */
  #isBeforeThoseAside(line: Line, place: Place): boolean {
    const at = this.#placeIn(linePart.aside, line, place);
    const { start } = lineRange(linePart.aside, line.id, lineLaneOf(at));
    return this.#first(start, at) === undefined;
  }

  /** Whether it may be claimed, as far as the line is concerned. */
  #hasRoom(line: Line, { sequence }: Place): boolean {
    if (this.#running(line) >= line.capacity) return false;
    return !line.isOrdered || this.#firstOf(line)?.sequence === sequence;
  }

  /** Puts so many of those aside in each lane into the order, if there is room for them. */
  #putForward(line: Line, count = 1): void {
    if (line.isOrdered) {
      const first = this.#firstOf(line);
      if (first === undefined) return;
      const at = lineKey(linePart.aside, line.id, 0, 0, first.sequence);
      if (this.#table.doesExist(at)) this.#takeForward(at, first.key);
      return;
    }
    const all = lineRange(linePart.aside, line.id);
    for (let first = this.#first(all.start, all.end); first !== undefined;) {
      const ofLane = lineRange(linePart.aside, line.id, lineLaneOf(first.key));
      this.#putForwardIn(line, ofLane, count);
      first = this.#first(ofLane.end, all.end);
    }
  }

  #putForwardIn(line: Line, { start, end }: { start: Buffer; end: Buffer }, count: number): void {
    for (let left = count; left > 0;) {
      const best = this.#first(start, end);
      if (best === undefined) return;
      const keeper = this.#takeForward(best.key, best.value);
      if (keeper?.name === line.name) return;
      if (keeper === undefined) left--;
    }
  }

  #first(start: Buffer, end: Buffer): { readonly key: Buffer; readonly value: Buffer } | undefined {
    for (const entry of this.#table.getRange({ start, end, limit: 1 })) return entry;
    return undefined;
  }

  #takeForward(at: Buffer, key: Buffer): Line | undefined {
    this.#table.remove(at);
    const row = this.#store.row(key);
    return row === undefined ? undefined : this.#place(key, row);
  }

  /** Strict order knows neither lanes nor priorities. */
  #placeIn(part: LinePart, { id, isOrdered }: Line, { request, sequence }: Place): Buffer {
    return isOrdered
      ? lineKey(part, id, 0, 0, sequence)
      : lineKey(part, id, this.#store.ledger.lane(request).number, request.priority, sequence);
  }

  #firstOf(line: Line): { readonly sequence: number; readonly key: Buffer } | undefined {
    for (const { key, value } of this.#table.getRange({ ...lineRange(linePart.member, line.id), limit: 1 })) {
      return { sequence: lineSequenceOf(key), key: value };
    }
    return undefined;
  }

  #removeFrom(line: Line, place: Place): void {
    if (!line.isOrdered) this.#table.remove(this.#placeIn(linePart.forward, line, place));
    this.#table.remove(this.#placeIn(linePart.aside, line, place));
  }

  #running(line: Line): number {
    return this.#store.claims.runningIn(line.name);
  }

  #linesOf(request: TaskRequest): readonly Line[] {
    if (!isLined(request)) return none;
    const { ledger, settings } = this.#store;
    const [ofName, ofQueue] = [settings.names?.get(request.name), ledger.knownQueue(request.queue)?.record];
    return linesOf(request, ofName, ofQueue).map((line) => ({ ...line, id: lineId(line.name) }));
  }
}

const none: readonly Line[] = [];

/** Put forward at once where a limit was raised. More is more than run at a time; the rest follows as these end. */
const mostRefilled = 1_000;
