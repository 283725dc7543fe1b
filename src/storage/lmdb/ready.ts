import { laneEnd, laneStart, priorityOf, rankOf, readyKey, sequenceOf, spanOf, type Span } from "./keys.ts";
import type { Table } from "./tables.ts";

/** What stands in a lane: a task, or neighbours in a segment. */
export interface Entry {
  readonly at: Buffer;
  readonly rank: number;
  /** Of the first task. */
  readonly sequence: number;
  readonly key: Buffer;
  readonly span: Span | undefined;
}

/** The first entries of a lane, from `next` on, as they are in the table. */
interface Head {
  entries: Entry[];
  next: number;
  /** Nothing stands behind the last of them. */
  isWhole: boolean;
}

const none: readonly number[] = [];

/** How many entries are read together, and the most that are kept. */
const piece = 64;
const longestHead = 512;

const entryOf = (at: Buffer, key: Buffer): Entry => ({
  at,
  rank: rankOf(at),
  sequence: sequenceOf(at),
  key,
  span: spanOf(key),
});

/** Which of two entries is to be claimed first: by priority, then by age. */
export const isEntryBefore = (a: Pick<Entry, "rank" | "sequence">, b: Pick<Entry, "rank" | "sequence">): boolean =>
  a.rank === b.rank ? a.sequence < b.sequence : a.rank < b.rank;

/**
 * The ready tasks, in their lanes. The head of each lane that was looked into is known by heart, so that to look at
 * hundreds of lanes, most of them empty, reads nothing.
 */
export class Ready {
  readonly #table: Table;
  readonly #heads = new Map<number, Head>();
  readonly #touched = new Set<number>();

  constructor(table: Table) {
    this.#table = table;
  }

  put(lane: number, priority: number, sequence: number, key: Buffer): void {
    const at = readyKey(lane, priority, sequence);
    this.#table.put(at, key);
    this.#touched.add(lane);
    const head = this.#heads.get(lane);
    if (head === undefined) return;
    const entry = entryOf(at, key);
    const { entries } = head;
    const place = placeOf(head, entry);
    if (place === entries.length && (!head.isWhole || entries.length - head.next >= longestHead)) {
      head.isWhole = false;
      return;
    }
    if (place === entries.length) entries.push(entry);
    else entries.splice(place, entries[place]?.at.equals(at) === true ? 1 : 0, entry);
    if (entries.length - head.next <= 2 * longestHead) return;
    entries.length = head.next + longestHead;
    head.isWhole = false;
  }

  /** The lanes into which something was put since this was last asked. */
  takeTouched(): readonly number[] {
    if (this.#touched.size === 0) return none;
    const touched = [...this.#touched];
    this.#touched.clear();
    return touched;
  }

  remove(lane: number, priority: number, sequence: number): void {
    const at = readyKey(lane, priority, sequence);
    this.#table.remove(at);
    const head = this.#heads.get(lane);
    if (head === undefined) return;
    const place = placeOf(head, { rank: rankOf(at), sequence });
    if (head.entries[place]?.sequence !== sequence) return;
    if (place === head.next) goOn(head);
    else head.entries.splice(place, 1);
  }

  /** Takes out what is first in the lane, or first of its priority. */
  take(lane: number, entry: Entry): void {
    const head = this.#heads.get(lane);
    if (head?.entries[head.next] === entry) {
      this.#table.remove(entry.at);
      goOn(head);
    } else this.remove(lane, priorityOf(entry.rank), entry.sequence);
  }

  has(lane: number, priority: number, sequence: number): boolean {
    return this.#table.doesExist(readyKey(lane, priority, sequence));
  }

  /** The first of the lane; it stays. */
  first(lane: number): Entry | undefined {
    let head = this.#heads.get(lane);
    if (head === undefined || (head.next === head.entries.length && !head.isWhole)) {
      head = this.#read(lane);
      this.#heads.set(lane, head);
    }
    return head.entries[head.next];
  }

  /** The first of every priority in the lane. Reads them. */
  *firstOfEach(lane: number): Iterable<Entry> {
    for (let start = laneStart(lane), end = laneEnd(lane); ;) {
      const entry = this.#firstIn(start, end);
      if (entry === undefined) return;
      yield entry;
      start = readyKey(lane, priorityOf(entry.rank + 1), 0);
    }
  }

  /** The first of this priority in the lane. Reads it. */
  firstOf(lane: number, priority: number): Entry | undefined {
    return this.#firstIn(readyKey(lane, priority, 0), readyKey(lane, priority - 1, 0));
  }

  #firstIn(start: Buffer, end: Buffer): Entry | undefined {
    for (const { key, value } of this.#table.getRange({ start, end, limit: 1 })) return entryOf(key, value);
    return undefined;
  }

  /** The lane will not be looked into again. */
  forget(lane: number): void {
    this.#heads.delete(lane);
  }

  #read(lane: number): Head {
    const range = { start: laneStart(lane), end: laneEnd(lane), limit: piece };
    const entries = Array.from(this.#table.getRange(range), ({ key, value }) => entryOf(key, value));
    return { entries, next: 0, isWhole: entries.length < piece };
  }
}

/** The first is taken out. What was taken is dropped from time to time: a lane that never backs up is never read anew. */
function goOn(head: Head): void {
  head.next++;
  if (head.next < head.entries.length && head.next < longestHead) return;
  head.entries = head.entries.slice(head.next);
  head.next = 0;
}

/** Where the entry stands, or would, among those that are known by heart. */
function placeOf({ entries, next }: Head, entry: Pick<Entry, "rank" | "sequence">): number {
  let low = next;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isEntryBefore(entries[middle] as Entry, entry)) low = middle + 1;
    else high = middle;
  }
  return low;
}
