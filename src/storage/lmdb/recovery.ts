import type { EpochMs } from "../../base/clock.ts";
import type { TaskLife } from "../../task/task.ts";
import { isLined } from "../key-lines.ts";
import type { ClaimRecord } from "./claims.ts";
import { due, dueKey, numberKey, numberOf, spanOf, taskIdOf } from "./keys.ts";
import { decodeData, decodeKeys } from "./records.ts";
import type { Segment } from "./segment.ts";
import type { Store } from "./store.ts";

/**
 * Undoes the claims of an earlier opening: what had not ended is ready again, as an interruption. A claim record
 * outlives the first tasks of its batch, so what is already back in the order, or over, is left alone.
 */
export function recoverClaims(store: Store, now: EpochMs): number {
  let interrupted = 0;
  const segments = new Set<Segment>();
  for (const { key: number, value } of Array.from(store.tables.claims.getRange())) {
    const { keys, until } = decodeData<ClaimRecord>(value);
    for (const key of decodeKeys(Buffer.from(keys))) {
      for (const task of tasksOf(store, key, segments)) if (recover(store, task, now, until)) interrupted++;
    }
    store.tables.claims.remove(numberKey(numberOf(number)));
  }
  // Not before: other claims may have taken from the same.
  for (const segment of segments) store.segments.tidy(segment);
  return interrupted;
}

/** The task; or those of a span, each with a record of its own from now on. */
function tasksOf(store: Store, key: Buffer, segments: Set<Segment>): Buffer[] {
  const span = spanOf(key);
  if (span === undefined) return [key];
  const segment = store.segments.get(span.segment);
  const keys: Buffer[] = [];
  for (let index = span.from; index < span.to; index++) keys.push(store.own({ segment, index }));
  segments.add(segment);
  return keys;
}

function recover(store: Store, key: Buffer, now: EpochMs, until: EpochMs | undefined): boolean {
  const row = store.row(key);
  if (row === undefined || row.life.state !== "ready" || row.life.parked === true) return false;
  if (store.tables.outcomes.doesExist(key)) return false;
  const { request, life } = row;
  if (until !== undefined) store.tables.due.remove(dueKey(until, due.lease, row.lane, row.sequence));
  if (store.isWaiting(row)) return false;
  if (isLined(request)) store.lines.freed(request);
  const interruptions = life.interruptions + 1;
  store.ledger.total("interrupted");
  if (interruptions > (request.maxInterruptions ?? Number.POSITIVE_INFINITY)) {
    const reason = "interrupted";
    const ended: TaskLife = { ...life, state: "failed", interruptions, finishedAt: now, reason };
    const outcome = { state: "failed", attempt: life.attempt, finishedAt: now, life: ended } as const;
    store.end(key, row, "running", outcome, { state: "failed", at: now, reason });
    return true;
  }
  store.rewrite(key, row, { ...life, interruptions });
  store.putReady(key, row);
  store.putExpiry(key, row);
  store.ledger.count(request.queue, "running", -1);
  store.ledger.count(request.queue, "ready", 1);
  store.journal.note("interrupted", taskIdOf(key), request, life.attempt + 1, { at: now, reason: "interrupted" });
  return true;
}
