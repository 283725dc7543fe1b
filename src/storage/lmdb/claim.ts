import type { StoredTask, TaskId, TaskLife } from "../../task/task.ts";
import type { Claim, Claimed } from "../storage.ts";
import type { ClaimRecord, Held } from "./claims.ts";
import { due, dueKey, laneEnd, laneStart, numberKey, rankOf, sequenceOf, taskIdOf } from "./keys.ts";
import type { Lane } from "./ledger.ts";
import { encodeData, encodeKeys } from "./records.ts";
import type { Step, Store } from "./store.ts";

export function claim(store: Store, change: Claim): Step<Claimed> {
  return {
    apply() {
      const { ledger, tables, claims } = store;
      const batch = claims.newBatch();
      const tasks: StoredTask[] = [];
      const expired: TaskId[] = [];
      const keys: Buffer[] = [];
      const order = new ReadyOrder(store, change);
      const notesStarts = store.notes("started");
      while (tasks.length < change.limit) {
        const next = order.take();
        if (next === undefined) break;
        const { key } = next;
        tables.ready.remove(next.readyKey);
        const row = store.row(key);
        if (row === undefined) continue;
        const { request } = row;
        const id = taskIdOf(key);
        if (request.expiresAt !== undefined && request.expiresAt <= change.now) {
          store.endWaiting(key, row, { state: "expired", at: change.now });
          expired.push(id);
          continue;
        }
        order.started(request.queue);
        const life: TaskLife = {
          ...row.life,
          state: "running",
          attempt: claims.lastAttempt(id, row.life.attempt) + 1,
          claimedBy: change.owner,
        };
        const held: Held = {
          key,
          lane: row.lane,
          sequence: row.sequence,
          request,
          before: row.life,
          life,
          batch,
        };
        if (change.until !== undefined) {
          held.until = change.until;
          tables.due.put(dueKey(change.until, due.lease, row.lane, row.sequence), key);
        }
        claims.add(id, held);
        keys.push(key);
        ledger.count(request.queue, "ready", -1);
        ledger.count(request.queue, "running", 1);
        if (notesStarts) store.event("started", id, request, life.attempt, { at: change.now });
        tasks.push({ id, request, life, args: row.args });
      }
      order.close();
      if (keys.length > 0) {
        const until = change.until === undefined ? {} : { until: change.until };
        const record: ClaimRecord = { owner: change.owner, keys: encodeKeys(keys), ...until };
        tables.claims.put(numberKey(batch.number), encodeData(record));
      }
      return { tasks, expired };
    },
  };
}

interface Candidate {
  readonly lane: Lane;
  /** What stands at the head of the lane, read in pieces. */
  entries: { readonly readyKey: Buffer; readonly key: Buffer }[];
  next: number;
  isExhausted: boolean;
}

/**
 * Ready tasks over all lanes that may give any, best first: by priority, then by age. Lanes are read in pieces, so a
 * claim over many lanes reads each about once, and a claim from one lane is one range.
 */
class ReadyOrder {
  readonly #store: Store;
  readonly #candidates: Candidate[] = [];
  readonly #room = new Map<string, number>();
  readonly #piece: number;

  constructor(store: Store, { queues, limit }: Claim) {
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
    this.#piece = Math.max(16, Math.ceil(limit / Math.max(1, this.#candidates.length)));
  }

  /** The best that is left; it counts against its queue's room only when `started`. */
  take(): { readonly readyKey: Buffer; readonly key: Buffer } | undefined {
    let best: Candidate | undefined;
    let bestEntry: { readonly readyKey: Buffer; readonly key: Buffer } | undefined;
    for (const candidate of this.#candidates) {
      const room = this.#room.get(candidate.lane.queue);
      if (room !== undefined && room <= 0) continue;
      const entry = this.#headOf(candidate);
      if (entry !== undefined && (bestEntry === undefined || isBefore(entry.readyKey, bestEntry.readyKey))) {
        best = candidate;
        bestEntry = entry;
      }
    }
    if (best !== undefined) best.next++;
    return bestEntry;
  }

  started(queue: string): void {
    const room = this.#room.get(queue);
    if (room !== undefined) this.#room.set(queue, room - 1);
  }

  /** A lane of a published stage is gone for good once it is empty: what comes back goes to its queue's own. */
  close(): void {
    for (const candidate of this.#candidates) {
      if (this.#headOf(candidate) === undefined && !this.#store.ledger.isOwnLane(candidate.lane)) {
        this.#store.ledger.dropLane(candidate.lane.number);
      }
    }
  }

  #headOf(candidate: Candidate): { readonly readyKey: Buffer; readonly key: Buffer } | undefined {
    if (candidate.next === candidate.entries.length && !candidate.isExhausted) this.#readOn(candidate);
    return candidate.entries[candidate.next];
  }

  #readOn(candidate: Candidate): void {
    const last = candidate.entries.at(-1);
    const { number } = candidate.lane;
    const start = last === undefined ? laneStart(number) : Buffer.concat([last.readyKey, Buffer.from([0])]);
    candidate.entries = [];
    candidate.next = 0;
    for (const { key, value } of this.#store.tables.ready.getRange({
      start,
      end: laneEnd(number),
      limit: this.#piece,
    })) {
      candidate.entries.push({ readyKey: key, key: value });
    }
    candidate.isExhausted = candidate.entries.length < this.#piece;
  }
}

function isBefore(a: Buffer, b: Buffer): boolean {
  const difference = rankOf(a) - rankOf(b);
  return difference === 0 ? sequenceOf(a) < sequenceOf(b) : difference < 0;
}
