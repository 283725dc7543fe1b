import type { EpochMs } from "../../base/clock.ts";
import type { StoredTask, TaskId, TaskLife } from "../../task/task.ts";
import type { Claim, Claimed } from "../storage.ts";
import { isLined } from "../key-lines.ts";
import { earliest } from "../rates.ts";
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
        putAside: 0,
      };
      store.lines.release(change.now);
      const order = new ReadyOrder(store, change);
      while (round.tasks.length < change.limit && passedOver(round) < mostPassedOver) {
        const taken = order.take(change.limit - round.tasks.length);
        if (taken === undefined) break;
        const { key, span, lane } = taken;
        if (span === undefined) order.started(lane, claimTask(round, key) ? 1 : 0);
        else order.started(lane, claimSpan(round, span));
      }
      const { tasks, expired } = round;
      // A claim that got all it wanted is followed by another.
      const heldUntil = tasks.length < change.limit ? heldUntilAfter(round, order) : undefined;
      return { tasks, expired, ...(heldUntil === undefined ? {} : { heldUntil }) };
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
  /** How many had to wait for others with their keys. */
  putAside: number;
}

/** A limit that is new over a long backlog is met in steps, and so is a backlog that has expired. */
const mostPassedOver = 2_000;

const passedOver = ({ putAside, expired }: Round): number => putAside + expired.length;

function heldUntilAfter(round: Round, order: ReadyOrder): EpochMs | undefined {
  const { store, change } = round;
  if (passedOver(round) < mostPassedOver) return earliest(order.heldUntil(), store.ledger.rates.keys.heldUntil);
  store.ledger.rates.holdUntil(change.now);
  return change.now;
}

/** Claims a task that was taken out of the order; gives whether it could be. */
function claimTask(round: Round, key: Buffer): boolean {
  const { store, change, batch, tasks, expired } = round;
  const { claims, ledger, tables } = store;
  const row = store.row(key);
  if (row === undefined) return false;
  const { request } = row;
  if (isLined(request) && !store.lines.admit(key, row, change.now)) {
    round.putAside++;
    return false;
  }
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
  if (isLined(request)) store.lines.started(held, change.now);
  ledger.count(request.queue, "ready", -1);
  ledger.count(request.queue, "running", 1);
  store.journal.note("started", id, request, life.attempt, { at: change.now });
  tasks.push({ id, request, life, args: row.args });
  return true;
}

/** Claims neighbours that were taken out of the order; gives how many. */
function claimSpan(round: Round, span: Span): number {
  const { store, change, tasks } = round;
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
  store.claims.addSpan(ids, segment, span.from, life, change.owner);
  store.ledger.count(request.queue, "ready", -size);
  store.ledger.count(request.queue, "running", size);
  if (store.journal.keeps("started")) {
    for (const id of ids) store.journal.note("started", id, request, life.attempt, { at: change.now });
  }
  return size;
}
