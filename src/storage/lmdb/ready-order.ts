import type { Claim } from "../storage.ts";
import { laneEnd, laneStart, rankOf, sequenceOf, spanOf, type Span } from "./keys.ts";
import type { Lane } from "./ledger.ts";
import type { Store } from "./store.ts";

/** What was taken out of the order: a task, or neighbours in a segment. */
export interface Taken {
  readonly queue: string;
  readonly key: Buffer;
  readonly span?: Span;
}

/** What stands in a lane, in its order. */
interface Entry {
  at: Buffer;
  readonly rank: number;
  /** Of the first task. */
  sequence: number;
  readonly key: Buffer;
  span: Span | undefined;
}

interface Candidate {
  readonly lane: Lane;
  /** What stands at the head of the lane, read in pieces. */
  entries: Entry[];
  next: number;
  isExhausted: boolean;
}

/** How many entries of a lane are read at first, and at most, together. */
const piece = { least: 16, most: 512 } as const;

/**
 * Ready tasks over all lanes that may give any, best first: by priority, then by age. Lanes are read in pieces, so a
 * claim over many lanes reads each about once, and a claim from one lane is one range.
 */
export class ReadyOrder {
  readonly #store: Store;
  readonly #candidates: Candidate[] = [];
  /** How many more may run, by queue; none where any number may. */
  readonly #room = new Map<string, number>();
  #piece: number = piece.least;

  constructor(store: Store, { queues }: Claim) {
    this.#store = store;
    const { ledger } = store;
    for (const lane of ledger.openLanes()) {
      if (queues !== undefined && !queues.includes(lane.queue)) continue;
      if (ledger.countOf(lane.queue, "ready") === 0) continue;
      const { isPaused, concurrency } = ledger.queue(lane.queue).record;
      if (isPaused) continue;
      if (concurrency !== undefined) this.#room.set(lane.queue, concurrency - ledger.countOf(lane.queue, "running"));
      this.#candidates.push({ lane, entries: [], next: 0, isExhausted: false });
    }
  }

  /** Takes the best that is left out of the order: a task, or up to `most` neighbours. */
  take(most: number): Taken | undefined {
    let best: Candidate | undefined;
    let bestEntry: Entry | undefined;
    for (const candidate of this.#candidates) {
      const room = this.#room.get(candidate.lane.queue);
      if (room !== undefined && room <= 0) continue;
      const entry = this.#headOf(candidate);
      if (entry === undefined) continue;
      if (bestEntry !== undefined && !isBefore(entry, bestEntry)) continue;
      best = candidate;
      bestEntry = entry;
    }
    if (best === undefined || bestEntry === undefined) return undefined;
    const { queue } = best.lane;
    const { key, span } = bestEntry;
    if (span === undefined) {
      best.next++;
      this.#store.tables.ready.remove(bestEntry.at);
      return { queue, key };
    }
    // Sequences of a segment have no gaps: no task of another lane belongs between two of its tasks.
    const room = this.#room.get(queue) ?? Number.POSITIVE_INFINITY;
    const to = Math.min(span.to, span.from + Math.min(most, room));
    this.#takeSpan(best, bestEntry, span, to);
    return { queue, key, span: { ...span, to } };
  }

  /** So many of what was taken will run. */
  started(queue: string, size: number): void {
    const room = this.#room.get(queue);
    if (room !== undefined) this.#room.set(queue, room - size);
  }

  /** A lane of a published stage is gone for good once it is empty: what comes back goes to its queue's own. */
  close(): void {
    for (const candidate of this.#candidates) {
      if (this.#headOf(candidate) === undefined && !this.#store.ledger.isOwnLane(candidate.lane)) {
        this.#store.ledger.dropLane(candidate.lane.number);
      }
    }
  }

  #takeSpan(candidate: Candidate, entry: Entry, span: Span, to: number): void {
    const { segments, tables } = this.#store;
    tables.ready.remove(entry.at);
    if (to === span.to) {
      candidate.next++;
      return;
    }
    entry.sequence += to - span.from;
    entry.span = { ...span, from: to };
    entry.at = segments.putSpan(candidate.lane.number, entry.span);
  }

  #headOf(candidate: Candidate): Entry | undefined {
    if (candidate.next === candidate.entries.length && !candidate.isExhausted) this.#readOn(candidate);
    return candidate.entries[candidate.next];
  }

  #readOn(candidate: Candidate): void {
    const last = candidate.entries.at(-1);
    const { number } = candidate.lane;
    const start = last === undefined ? laneStart(number) : Buffer.concat([last.at, Buffer.from([0])]);
    const limit = this.#piece;
    this.#piece = Math.min(limit * 4, piece.most);
    candidate.entries = Array.from(
      this.#store.tables.ready.getRange({ start, end: laneEnd(number), limit }),
      ({ key: at, value: key }) => ({ at, rank: rankOf(at), sequence: sequenceOf(at), key, span: spanOf(key) }),
    );
    candidate.next = 0;
    candidate.isExhausted = candidate.entries.length < limit;
  }
}

const isBefore = (a: Entry, b: Entry): boolean => (a.rank === b.rank ? a.sequence < b.sequence : a.rank < b.rank);
