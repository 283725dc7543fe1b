import type { EpochMs } from "../../base/clock.ts";
import { handlerKey, type AttemptFailure, type Payload, type TaskId, type TaskLife } from "../../task/task.ts";
import type { Settle, Settlement } from "../storage.ts";
import { isLined } from "../key-lines.ts";
import { HeldMember, type Held } from "./claims.ts";
import type { CompletedTask } from "./completion.ts";
import { due, dueKey, parkedKey, spanKey, taskIdOf } from "./keys.ts";
import { largestSegment } from "./segment.ts";
import type { Step, Store } from "./store.ts";

export function settle(store: Store, change: Settle, epoch: number): Step<readonly boolean[]> {
  return {
    bytes: change.settlements.reduce((sum, { end }) => sum + 100 + (end.to === "completed" ? end.result.length : 0), 0),
    apply() {
      const neighbours = new Neighbours(store, change.now);
      const answers = change.settlements.map((settlement) => {
        const held = store.claims.get(settlement.id);
        const { fence, end } = settlement;
        if (held === undefined || fence.epoch !== epoch || fence.attempt !== held.life.attempt) {
          store.ledger.total("late");
          return false;
        }
        if (held instanceof HeldMember && end.to === "completed") {
          neighbours.add(held, settlement, end.result);
        } else {
          release(store, settlement.id, held);
          settleOne(store, settlement, held, change.now);
        }
        return true;
      });
      neighbours.flush();
      return answers;
    },
  };
}

/** Takes a claim back, from memory and from disk. */
export function release(store: Store, id: TaskId, held: Held): void {
  store.claims.remove(id, held);
  if (held instanceof HeldMember) store.claims.removeSpan(held.segment, held.index, held.index + 1, held.batch);
  if (held.until !== undefined) store.tables.due.remove(dueKey(held.until, due.lease, held.lane, held.sequence));
  if (isLined(held.request)) store.lines.freed(held.request);
}

/** Gathers tasks of a segment that completed one after the other: they become one record. */
class Neighbours {
  readonly #store: Store;
  readonly #now: EpochMs;
  #first: HeldMember | undefined;
  #workerId: string | undefined;
  #tasks: CompletedTask[] = [];
  #bytes = 0;

  constructor(store: Store, now: EpochMs) {
    this.#store = store;
    this.#now = now;
  }

  add(held: HeldMember, { id, startedAt, durationMs, workerId }: Settlement, result: Payload): void {
    if (!this.#isNext(held, workerId)) {
      this.flush();
      this.#first = held;
      this.#workerId = workerId;
    }
    this.#store.claims.remove(id, held);
    this.#tasks.push({ startedAt, durationMs, result });
    this.#bytes += result.length;
  }

  #isNext({ segment, index, batch }: HeldMember, workerId: string | undefined): boolean {
    const first = this.#first;
    return (
      first !== undefined &&
      first.segment === segment &&
      first.batch === batch &&
      first.index + this.#tasks.length === index &&
      this.#bytes < largestSegment.bytes &&
      this.#workerId === workerId
    );
  }

  flush(): void {
    if (this.#first === undefined) return;
    const store = this.#store;
    const { segment, index: from, batch } = this.#first;
    const { request } = segment;
    const size = this.#tasks.length;
    const to = from + size;
    const ending = { state: "completed", at: this.#now } as const;
    store.segments.complete(segment, from, { finishedAt: this.#now, workerId: this.#workerId, tasks: this.#tasks });
    store.claims.removeSpan(segment, from, to, batch);
    store.ledger.count(request.queue, "running", -size);
    store.ledger.count(request.queue, "completed", size);
    store.ledger.total("completed", size);
    store.forgetting.later(spanKey({ segment: segment.key, from, to }), request, ending);
    if (store.journal.keeps("completed")) {
      for (let index = from; index < to; index++)
        store.journal.note("completed", segment.idOf(index), request, 1, ending);
    }
    this.#first = undefined;
    this.#tasks = [];
    this.#bytes = 0;
  }
}

/** The newest failures that a task keeps. */
const keptFailures = 20;

const withFailure = (life: TaskLife, failure: AttemptFailure | undefined): readonly AttemptFailure[] =>
  failure === undefined ? life.failed : [...life.failed, failure].slice(-keptFailures);

/** What the end of an attempt, whose claim was taken back, means for its task. */
function settleOne(store: Store, settlement: Settlement, held: Held, now: EpochMs): void {
  if (held instanceof HeldMember) {
    if (settlement.end.to === "ready" && settlement.end.cause === "unstarted") return putBack(store, held);
    store.own(held);
    store.segments.tidy(held.segment);
  }
  const { end, startedAt, durationMs, workerId, id } = settlement;
  const { key, request, before, life } = held;
  const { attempt } = life;
  // Every task passes here.
  if (end.to === "completed") {
    const { result } = end;
    const tookMs = durationMs ?? life.durationMs;
    const outcome = { state: end.to, attempt, finishedAt: now, startedAt, durationMs: tookMs, workerId, result };
    store.end(key, held, "running", outcome, { state: end.to, at: now });
    return;
  }
  const timing = {
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(durationMs === undefined ? {} : { durationMs }),
    ...(workerId === undefined ? {} : { workerId }),
  };
  switch (end.to) {
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
      store.journal.note("retrying", id, request, attempt, {
        at: now,
        reason: end.failure.reason,
        error: end.failure.error,
      });
      return;
    }
    case "ready":
      backToReady(store, held, settlement, end, now, timing);
      return;
  }
}

/** As if it had not been claimed: nothing about the task has changed. */
function putBack(store: Store, held: HeldMember): void {
  countReady(store, held);
  store.unstarted(held.request);
  store.segments.putReady(held);
}

type ReadyEnd = Extract<Settlement["end"], { to: "ready" }>;

function backToReady(
  store: Store,
  held: Held,
  settlement: Settlement,
  end: ReadyEnd,
  now: EpochMs,
  timing: Partial<TaskLife>,
): void {
  const { key, request, before, life, sequence } = held;
  switch (end.cause) {
    case "unstarted":
      countReady(store, held);
      store.unstarted(request);
      store.putReady(key, held);
      return;
    case "parked":
      countReady(store, held);
      store.unstarted(request);
      if (!comeBack(store, held, { ...before, parked: true })) return;
      store.tables.parked.put(parkedKey(handlerKey(request), sequence), key);
      store.ledger.park(handlerKey(request), 1);
      return;
    case "interrupted": {
      const attempt = settlement.startedAt === undefined ? before.attempt : life.attempt;
      const failed = withFailure(before, end.failure);
      interrupt(store, held, { ...before, ...tallies(end, before), ...timing, attempt, failed }, now);
    }
  }
}

function countReady(store: Store, { key, request, lane, sequence }: Held): void {
  store.ledger.count(request.queue, "running", -1);
  store.ledger.count(request.queue, "ready", 1);
  store.putExpiry(key, { request, lane, sequence });
}

/** A task whose claim was taken back is ready again, with this life, at its old place. */
export function interrupt(store: Store, held: Held, life: TaskLife, now: EpochMs): void {
  const { key, request } = held;
  countReady(store, held);
  if (!comeBack(store, held, life)) return;
  store.putReady(key, held);
  store.ledger.total("interrupted");
  store.journal.note("interrupted", taskIdOf(key), request, held.life.attempt, { at: now, reason: "interrupted" });
}

const tallies = (
  end: Partial<Pick<TaskLife, "failures" | "crashes" | "interruptions">>,
  before: TaskLife,
): Pick<TaskLife, "failures" | "crashes" | "interruptions"> => ({
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
