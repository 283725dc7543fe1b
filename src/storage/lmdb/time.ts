import type { EpochMs } from "../../base/clock.ts";
import type { StoredEvent } from "../../task/event.ts";
import { isTerminal } from "../../task/state.ts";
import type { TaskId, TaskLife } from "../../task/task.ts";
import { earliest } from "../rates.ts";
import type { Advance, Advanced, Prune, Pruned } from "../storage.ts";
import { pruneKind } from "./forgetting.ts";
import { endLease } from "./leases.ts";
import {
  due,
  dueAt,
  dueKey,
  dueKindOf,
  dueLaneOf,
  numberKey,
  pruneKey,
  spanKey,
  spanOf,
  taskIdOf,
  type Span,
} from "./keys.ts";
import { forgetNotes } from "./notes.ts";
import { decodeData, decodeKeys, encodeOutcome } from "./records.ts";
import { dropAbandoned } from "./stages.ts";
import type { Step, Store } from "./store.ts";
import type { Table } from "./tables.ts";

// ---------------------------------------------------------------------------------------------------------- advance

export function advance(store: Store, { now, limit }: Advance): Step<Advanced> {
  return {
    apply() {
      const entries = dueEntries(store, now, limit);
      const expired: TaskId[] = [];
      const interrupted: TaskId[] = [];
      let ready = 0;
      for (const { dueKeyBytes, key } of entries) {
        store.tables.due.remove(dueKeyBytes);
        switch (dueKindOf(dueKeyBytes)) {
          case due.start: {
            const became = start(store, key, now);
            if (became === "ready") ready++;
            if (became === "expired") expired.push(taskIdOf(key));
            break;
          }
          case due.expiry:
            if (expire(store, key, now)) expired.push(taskIdOf(key));
            break;
          case due.lease: {
            const id = endLease(store, key, now);
            if (id === undefined) break;
            interrupted.push(id);
            if (expire(store, key, now)) expired.push(id);
          }
        }
      }
      const released = [store.ledger.rates.release(now), store.lines.release(now)].includes(true);
      const { heldUntil = Number.POSITIVE_INFINITY } = store.ledger.rates;
      return { ready, expired, interrupted, released, hasMore: entries.length === limit || heldUntil <= now };
    },
  };
}

function dueEntries(store: Store, now: EpochMs, limit: number): { dueKeyBytes: Buffer; key: Buffer }[] {
  const entries: { dueKeyBytes: Buffer; key: Buffer }[] = [];
  for (const { key, value } of store.tables.due.getRange({ end: dueKey(now + 1, due.start, 0, 0) })) {
    if (store.ledger.lanes.isHidden(dueLaneOf(key))) continue;
    entries.push({ dueKeyBytes: key, key: value });
    if (entries.length === limit) break;
  }
  return entries;
}

/** A task whose time has come is ready; `undefined` when it ended in the meantime. */
function start(store: Store, key: Buffer, now: EpochMs): "ready" | "expired" | undefined {
  const found = store.find(key);
  if (found === undefined || (found.life.state !== "scheduled" && found.life.state !== "retrying")) return undefined;
  if (expire(store, key, now)) return "expired";
  const { row, life } = found;
  const { runAt: _runAt, ...rest } = life;
  const next: TaskLife = { ...rest, state: "ready" };
  store.rewrite(key, row, next);
  store.putReady(key, row);
  store.ledger.count(row.request.queue, life.state, -1);
  store.ledger.count(row.request.queue, "ready", 1);
  return "ready";
}

/** Only a waiting task expires: what runs may finish. */
function expire(store: Store, key: Buffer, now: EpochMs): boolean {
  const found = store.find(key);
  if (found === undefined || found.life.state === "running" || isTerminal(found.life.state)) return false;
  if ((found.row.request.expiresAt ?? Number.POSITIVE_INFINITY) > now) return false;
  store.endWaiting(key, found.row, { state: "expired", at: now });
  return true;
}

export function nextAdvance(store: Store): EpochMs | undefined {
  const { heldUntil } = store.ledger.rates;
  for (const key of store.tables.due.getKeys()) {
    if (!store.ledger.lanes.isHidden(dueLaneOf(key))) return earliest(dueAt(key), heldUntil);
  }
  return heldUntil;
}

// ------------------------------------------------------------------------------------------------------------ prune

export function prune(store: Store, { now, limit }: Prune): Step<Pruned> {
  return {
    apply() {
      dropAbandoned(store, limit);
      const pruned = { tasks: 0, results: 0 };
      let left = limit;
      for (const { key, value } of store.tables.prune.getRange({ end: pruneKey(now + 1, 0), limit: 64 })) {
        if (left <= 0) break;
        const at = dueAt(key);
        const kind = value[0] === pruneKind.result ? pruneKind.result : pruneKind.task;
        const keys = decodeKeys(value.subarray(1));
        store.tables.prune.remove(key);
        for (let next = keys.shift(); next !== undefined; next = keys.shift()) {
          const span = spanOf(next);
          left -= span === undefined ? 1 : span.to - span.from;
          if (kind === pruneKind.task)
            pruned.tasks += span === undefined ? forgetTask(store, next, at) : forgetSpan(store, span, at);
          else pruned.results += span === undefined ? forgetResult(store, next, at) : forgetResults(store, span, at);
          if (left <= 0) break;
        }
        store.forgetting.put(at, kind, keys);
      }
      const events = forgetEvents(store.tables.events, now - store.settings.retention.eventsMs, limit);
      const next = nextPrune(store);
      return { ...pruned, events, hasMore: events === limit || (next !== undefined && next <= now) };
    },
  };
}

/** A task that was requeued, and has not ended or ended later, is not yet due. */
function forgetTask(store: Store, key: Buffer, at: EpochMs): number {
  const found = store.find(key);
  if (found?.outcome === undefined || found.outcome.finishedAt > at) return 0;
  const keptUntil = endOfRecord(store, found.outcome.finishedAt, found.outcome.state, found.row.request.resultTtlMs);
  if (keptUntil > at) {
    // The retention is longer than it was when the task ended.
    store.forgetting.put(keptUntil, pruneKind.task, [key]);
    return 0;
  }
  store.tables.tasks.remove(key);
  store.schedules.taskForgotten(key, found.row.request);
  store.tables.outcomes.remove(key);
  forgetNotes(store, key);
  store.ledger.count(found.row.request.queue, found.outcome.state, -1);
  return 1;
}

/** Of a span that completed: those that are still there. */
function forgetSpan(store: Store, span: Span, at: EpochMs): number {
  let forgotten = 0;
  for (const { from, completion } of store.segments.completionsIn(span)) {
    const segment = store.segments.get(span.segment);
    const { queue, resultTtlMs } = segment.request;
    const keptUntil = endOfRecord(store, completion.finishedAt, "completed", resultTtlMs);
    const size = completion.tasks.length;
    if (keptUntil > at) {
      store.forgetting.put(keptUntil, pruneKind.task, [spanKey({ ...span, from, to: from + size })]);
      continue;
    }
    for (let index = from; store.isNoted && index < from + size; index++) forgetNotes(store, segment.keyOf(index));
    store.segments.forget(segment, from);
    store.ledger.count(queue, "completed", -size);
    forgotten += size;
  }
  return forgotten;
}

function endOfRecord(store: Store, finishedAt: EpochMs, state: string, resultTtlMs: number | undefined): EpochMs {
  const { completedMs, failedMs } = store.settings.retention;
  return Math.ceil(finishedAt + Math.max(state === "failed" ? failedMs : completedMs, resultTtlMs ?? 0));
}

function forgetResult(store: Store, key: Buffer, at: EpochMs): number {
  const found = store.find(key);
  const { outcome } = found ?? {};
  const ttl = found?.row.request.resultTtlMs;
  if (outcome?.result === undefined || ttl === undefined || Math.ceil(outcome.finishedAt + ttl) > at) return 0;
  const { result: _result, ...rest } = outcome;
  store.tables.outcomes.put(key, encodeOutcome(rest));
  return 1;
}

function forgetResults(store: Store, span: Span, at: EpochMs): number {
  let forgotten = 0;
  for (const { from, completion } of store.segments.completionsIn(span)) {
    const segment = store.segments.get(span.segment);
    const ttl = segment.request.resultTtlMs;
    if (ttl === undefined || Math.ceil(completion.finishedAt + ttl) > at) continue;
    const tasks = completion.tasks.map(({ result: _result, ...rest }) => rest);
    forgotten += completion.tasks.filter(({ result }) => result !== undefined).length;
    store.segments.complete(segment, from, { ...completion, tasks });
  }
  return forgotten;
}

export function forgetEvents(events: Table, upTo: EpochMs, limit: number): number {
  const sequences: number[] = [];
  for (const { value } of events.getRange({ limit })) {
    const event = decodeData<StoredEvent>(value);
    if (event.at > upTo) break;
    sequences.push(event.sequence);
  }
  for (const sequence of sequences) events.remove(numberKey(sequence));
  return sequences.length;
}

/** When the next record or result is to be forgotten. Events are looked through whenever that happens, or by the clock. */
export function nextPrune(store: Store): EpochMs | undefined {
  if (store.ledger.lanes.firstAbandoned() !== undefined) return 0;
  let next: EpochMs | undefined;
  for (const key of store.tables.prune.getKeys({ limit: 1 })) next = dueAt(key);
  for (const { value } of store.tables.events.getRange({ limit: 1 })) {
    const oldest = decodeData<StoredEvent>(value).at + store.settings.retention.eventsMs;
    next = Math.min(next ?? oldest, oldest);
  }
  return next;
}
