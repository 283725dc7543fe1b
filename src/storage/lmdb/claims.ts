import type { EpochMs } from "../../base/clock.ts";
import type { AttemptFailure, StoredTask, TaskId, TaskLife, TaskRequest } from "../../task/task.ts";
import type { Claim, Claimed, Extend, Settle, Settlement } from "../storage.ts";
import { due, dueKey, laneEnd, laneStart, numberKey, numberOf, parkedKey, rankOf, readyKey, sequenceOf, taskIdOf } from "./keys.ts";
import type { Lane } from "./ledger.ts";
import { decodeData, decodeKeys, encodeData, encodeKeys } from "./records.ts";
import type { Step, Store } from "./store.ts";

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
  readonly claimedAt: EpochMs;
  until?: EpochMs;
}

/** Tasks claimed together share one record on disk, which is removed with the last of them. */
interface Batch {
  readonly number: number;
  remaining: number;
}

/** The claims of this opening. Those of earlier ones were undone when the store was opened. */
export class Claims {
  readonly #held = new Map<TaskId, Held>();
  #nextBatch = 1;

  get(id: TaskId): Held | undefined {
    return this.#held.get(id);
  }

  all(): Iterable<[TaskId, Held]> {
    return this.#held;
  }

  newBatch(): Batch {
    return { number: this.#nextBatch++, remaining: 0 };
  }

  add(id: TaskId, held: Held): void {
    held.batch.remaining++;
    this.#held.set(id, held);
  }

  /** Gives the number of the batch whose last task this was. */
  remove(id: TaskId): number | undefined {
    const held = this.#held.get(id);
    if (held === undefined) return undefined;
    this.#held.delete(id);
    return --held.batch.remaining === 0 ? held.batch.number : undefined;
  }
}

interface ClaimRecord {
  readonly owner: string;
  readonly keys: Uint8Array;
  /** Of the lease that was prolonged last. */
  readonly until?: EpochMs;
}

// ------------------------------------------------------------------------------------------------------------ claim

export function claim(store: Store, change: Claim): Step<Claimed> {
  return {
    apply() {
      const { ledger, tables, claims } = store;
      const batch = claims.newBatch();
      const tasks: StoredTask[] = [];
      const expired: TaskId[] = [];
      const keys: Buffer[] = [];
      const order = new ReadyOrder(store, change);
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
          store.endWaiting(key, row, { state: "expired", at: change.now, reason: "expired" });
          expired.push(id);
          continue;
        }
        order.started(request.queue);
        const life: TaskLife = { ...row.life, state: "running", attempt: row.life.attempt + 1, claimedBy: change.owner };
        const held: Held = { key, lane: row.lane, sequence: row.sequence, request, before: row.life, life, batch, claimedAt: change.now };
        if (change.until !== undefined) {
          held.until = change.until;
          tables.due.put(dueKey(change.until, due.lease, row.lane, row.sequence), key);
        }
        claims.add(id, held);
        keys.push(key);
        ledger.count(request.queue, "ready", -1);
        ledger.count(request.queue, "running", 1);
        store.event("started", id, request, life.attempt, { at: change.now });
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
    this.#piece = Math.max(16, Math.ceil((2 * limit) / Math.max(1, this.#candidates.length)));
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
    for (const { key, value } of this.#store.tables.ready.getRange({ start, end: laneEnd(number), limit: this.#piece })) {
      candidate.entries.push({ readyKey: key, key: value });
    }
    candidate.isExhausted = candidate.entries.length < this.#piece;
  }
}

function isBefore(a: Buffer, b: Buffer): boolean {
  const difference = rankOf(a) - rankOf(b);
  return difference === 0 ? sequenceOf(a) < sequenceOf(b) : difference < 0;
}

// ----------------------------------------------------------------------------------------------------------- settle

export function settle(store: Store, change: Settle, epoch: number): Step<readonly boolean[]> {
  return {
    bytes: change.settlements.reduce((sum, { end }) => sum + 100 + (end.to === "completed" ? end.result.length : 0), 0),
    apply: () =>
      change.settlements.map((settlement) => {
        const held = store.claims.get(settlement.id);
        const { fence } = settlement;
        if (held === undefined || fence.epoch !== epoch || fence.attempt !== held.life.attempt) {
          store.ledger.total("late");
          return false;
        }
        release(store, settlement.id, held);
        settleOne(store, settlement, held, change.now);
        return true;
      }),
  };
}

function release(store: Store, id: TaskId, held: Held): void {
  const finished = store.claims.remove(id);
  if (finished !== undefined) store.tables.claims.remove(numberKey(finished));
  if (held.until !== undefined) store.tables.due.remove(dueKey(held.until, due.lease, held.lane, held.sequence));
}

/** The newest failures that a task keeps. */
const keptFailures = 20;

const withFailure = (life: TaskLife, failure: AttemptFailure | undefined): readonly AttemptFailure[] =>
  failure === undefined ? life.failed : [...life.failed, failure].slice(-keptFailures);

function settleOne(store: Store, settlement: Settlement, held: Held, now: EpochMs): void {
  const { end, startedAt, durationMs, workerId, id } = settlement;
  const { key, request, before, life } = held;
  const timing = {
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(durationMs === undefined ? {} : { durationMs }),
    ...(workerId === undefined ? {} : { workerId }),
  };
  const { attempt } = life;
  switch (end.to) {
    case "completed": {
      const outcome = { state: "completed", attempt, finishedAt: now, result: end.result, ...timing } as const;
      store.end(key, held, "running", outcome, { state: "completed", at: now });
      return;
    }
    case "failed":
    case "cancelled": {
      const failure = end.to === "failed" ? end.failure : undefined;
      const ended: TaskLife = {
        ...unclaimed(life),
        ...tallies(end, before),
        ...timing,
        state: end.to,
        finishedAt: now,
        reason: end.reason,
        failed: withFailure(before, failure),
      };
      const outcome = { state: end.to, attempt, finishedAt: now, life: ended } as const;
      const error = failure === undefined ? {} : { error: failure.error };
      store.end(key, held, "running", outcome, { state: end.to, at: now, reason: end.reason, ...error });
      return;
    }
    case "retrying": {
      const waiting: TaskLife = {
        ...unclaimed(life),
        ...tallies(end, before),
        ...timing,
        state: "retrying",
        runAt: end.runAt,
        failed: withFailure(before, end.failure),
      };
      if (!comeBack(store, held, waiting)) return;
      store.putDue(key, held, waiting);
      store.putExpiry(key, held);
      store.ledger.count(request.queue, "running", -1);
      store.ledger.count(request.queue, "retrying", 1);
      store.ledger.total("retried");
      store.event("retrying", id, request, attempt, { at: now, reason: end.failure.reason, error: end.failure.error });
      return;
    }
    case "ready":
      backToReady(store, held, settlement, end, now, timing);
      return;
  }
}

type ReadyEnd = Extract<Settlement["end"], { to: "ready" }>;

function backToReady(store: Store, held: Held, settlement: Settlement, end: ReadyEnd, now: EpochMs, timing: Partial<TaskLife>): void {
  const { key, request, before, life, sequence } = held;
  store.ledger.count(request.queue, "running", -1);
  store.ledger.count(request.queue, "ready", 1);
  store.putExpiry(key, held);
  switch (end.cause) {
    case "unstarted":
      // As if it had not been claimed: nothing about the task has changed.
      store.putReady(key, held);
      return;
    case "parked":
      if (!comeBack(store, held, { ...before, parked: true })) return;
      store.tables.parked.put(parkedKey(request.name, sequence), key);
      store.ledger.park(request.name, 1);
      return;
    case "interrupted": {
      const attempt = settlement.startedAt === undefined ? before.attempt : life.attempt;
      const failed = withFailure(before, end.failure);
      if (!comeBack(store, held, { ...before, ...tallies(end, before), ...timing, attempt, failed })) return;
      store.putReady(key, held);
      store.ledger.total("interrupted");
      store.event("interrupted", settlement.id, request, life.attempt, { at: now, reason: "interrupted" });
    }
  }
}

const tallies = (end: Partial<Pick<TaskLife, "failures" | "crashes" | "interruptions">>, before: TaskLife): Pick<TaskLife, "failures" | "crashes" | "interruptions"> => ({
  failures: end.failures ?? before.failures,
  crashes: end.crashes ?? before.crashes,
  interruptions: end.interruptions ?? before.interruptions,
});

function unclaimed(life: TaskLife): TaskLife {
  const { runAt: _runAt, parked: _parked, claimedBy: _claimedBy, ...rest } = life;
  return rest;
}

function comeBack(store: Store, held: Held, life: TaskLife): boolean {
  const row = store.row(held.key);
  if (row === undefined) return false;
  store.rewrite(held.key, row, life);
  return true;
}

// ---------------------------------------------------------------------------------------------------------- leases

export function extend(store: Store, change: Extend, epoch: number): Step<readonly boolean[]> {
  return {
    apply: () =>
      change.leases.map(({ id, fence }) => {
        const held = store.claims.get(id);
        if (held === undefined || fence.epoch !== epoch || fence.attempt !== held.life.attempt) return false;
        if (held.until !== undefined && change.until > held.until) {
          store.tables.due.remove(dueKey(held.until, due.lease, held.lane, held.sequence));
          store.tables.due.put(dueKey(change.until, due.lease, held.lane, held.sequence), held.key);
          held.until = change.until;
          prolongRecord(store, held.batch.number, change.until);
        }
        return true;
      }),
  };
}

/** So that the next opening knows which moment to take out of the index. */
function prolongRecord(store: Store, batch: number, until: EpochMs): void {
  const bytes = store.tables.claims.get(numberKey(batch));
  if (bytes === undefined) return;
  store.tables.claims.put(numberKey(batch), encodeData({ ...decodeData<ClaimRecord>(bytes, store.place), until }));
}

/**
 * The lease ran out: an interruption. The attempt keeps its number, so that what its holder may still say is known to
 * be late. Gives the task's id, or `undefined` when the lease was prolonged or is over.
 */
export function endLease(store: Store, key: Buffer, now: EpochMs): TaskId | undefined {
  const id = taskIdOf(key);
  const held = store.claims.get(id);
  if (held?.until === undefined || held.until > now) return undefined;
  release(store, id, held);
  const interruptions = held.before.interruptions + 1;
  const { failures, crashes } = held.before;
  const end = { to: "ready", cause: "interrupted", failures, crashes, interruptions } as const;
  settleOne(store, { id, fence: { epoch: 0, attempt: 0 }, end, startedAt: held.claimedAt }, held, now);
  return id;
}

/** Drops the claim of a task that is being deleted; its outcome will come too late. */
export function dropClaim(store: Store, id: TaskId): void {
  const held = store.claims.get(id);
  if (held !== undefined) release(store, id, held);
}

// -------------------------------------------------------------------------------------------------------- recovery

/**
 * Undoes the claims of an earlier opening: what had not ended is ready again, as an interruption. A claim record
 * outlives the first tasks of its batch, so what is already back in the order, or over, is left alone.
 */
export function recoverClaims(store: Store, now: EpochMs): number {
  let interrupted = 0;
  for (const { key: number, value } of [...store.tables.claims.getRange()]) {
    const { keys, until } = decodeData<ClaimRecord>(value, store.place);
    for (const key of decodeKeys(Buffer.from(keys))) if (recover(store, key, now, until)) interrupted++;
    store.tables.claims.remove(numberKey(numberOf(number)));
  }
  return interrupted;
}

function recover(store: Store, key: Buffer, now: EpochMs, until: EpochMs | undefined): boolean {
  const row = store.row(key);
  if (row === undefined || row.life.state !== "ready" || row.life.parked === true) return false;
  if (store.tables.outcomes.doesExist(key)) return false;
  const { request, life } = row;
  if (until !== undefined) store.tables.due.remove(dueKey(until, due.lease, row.lane, row.sequence));
  const lane = store.ledger.queue(request.queue).number;
  if (store.tables.ready.doesExist(readyKey(lane, request.priority, row.sequence))) return false;
  store.rewrite(key, row, { ...life, interruptions: life.interruptions + 1 });
  store.putReady(key, row);
  store.putExpiry(key, row);
  store.ledger.count(request.queue, "running", -1);
  store.ledger.count(request.queue, "ready", 1);
  store.ledger.total("interrupted");
  store.event("interrupted", taskIdOf(key), request, life.attempt + 1, { at: now, reason: "interrupted" });
  return true;
}
