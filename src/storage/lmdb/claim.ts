import type { StoredTask, TaskId, TaskLife } from "../../task/task.ts";
import type { Claim, Claimed } from "../storage.ts";
import type { Batch, Held } from "./claims.ts";
import { due, dueKey, taskIdOf, type Span } from "./keys.ts";
import { ReadyOrder } from "./ready-order.ts";
import type { Step, Store } from "./store.ts";

export function claim(store: Store, change: Claim): Step<Claimed> {
  return {
    apply() {
      const round: Round = {
        store,
        change,
        batch: store.claims.newBatch(change.owner, change.until),
        tasks: [],
        expired: [],
      };
      const order = new ReadyOrder(store, change);
      while (round.tasks.length < change.limit) {
        const taken = order.take(change.limit - round.tasks.length);
        if (taken === undefined) break;
        const { key, span, queue } = taken;
        if (span === undefined) order.started(queue, claimTask(round, key) ? 1 : 0);
        else order.started(queue, claimSpan(round, span));
      }
      order.close();
      return { tasks: round.tasks, expired: round.expired };
    },
  };
}

/** A claim in the making. */
interface Round {
  readonly store: Store;
  readonly change: Claim;
  readonly batch: Batch;
  readonly tasks: StoredTask[];
  readonly expired: TaskId[];
}

/** Claims a task that was taken out of the order; gives whether it could be. */
function claimTask({ store, change, batch, tasks, expired }: Round, key: Buffer): boolean {
  const { claims, ledger, tables } = store;
  const row = store.row(key);
  if (row === undefined) return false;
  const { request } = row;
  const id = taskIdOf(key);
  if (request.expiresAt !== undefined && request.expiresAt <= change.now) {
    store.endWaiting(key, row, { state: "expired", at: change.now });
    expired.push(id);
    return false;
  }
  const life: TaskLife = {
    ...row.life,
    state: "running",
    attempt: claims.lastAttempt(id, row.life.attempt) + 1,
    claimedBy: change.owner,
  };
  const { lane, sequence } = row;
  const held: Held = { key, lane, sequence, request, before: row.life, life, batch };
  if (change.until !== undefined) {
    held.until = change.until;
    tables.due.put(dueKey(change.until, due.lease, lane, sequence), key);
  }
  claims.add(id, held);
  ledger.count(request.queue, "ready", -1);
  ledger.count(request.queue, "running", 1);
  store.event("started", id, request, life.attempt, { at: change.now });
  tasks.push({ id, request, life, args: row.args });
  return true;
}

/** Claims neighbours that were taken out of the order; gives how many. */
function claimSpan(round: Round, span: Span): number {
  const { store, change, batch, tasks } = round;
  const segment = store.segments.get(span.segment);
  const { request } = segment;
  const size = span.to - span.from;
  if (change.until !== undefined) {
    // Each lease ends by itself.
    for (let index = span.from; index < span.to; index++) claimTask(round, store.own({ segment, index }));
    store.segments.tidy(segment);
    return size;
  }
  const life: TaskLife = Object.freeze({ ...segment.life, state: "running", attempt: 1, claimedBy: change.owner });
  const ids: TaskId[] = [];
  for (let index = span.from; index < span.to; index++) {
    const id = segment.idOf(index);
    ids.push(id);
    tasks.push({ id, request, life, args: segment.argsOf(index) });
  }
  store.claims.addSpan(ids, segment, span.from, life, batch);
  store.ledger.count(request.queue, "ready", -size);
  store.ledger.count(request.queue, "running", size);
  if (store.notes("started")) {
    for (const id of ids) store.event("started", id, request, life.attempt, { at: change.now });
  }
  return size;
}
