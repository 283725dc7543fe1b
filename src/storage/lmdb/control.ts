import { DuplicateTaskError, TaskBusyError } from "../../base/errors.ts";
import { isTerminal, isWaiting, mayMove, type TaskState } from "../../task/state.ts";
import { handlerKey, type TaskLife, type TaskRequest } from "../../task/task.ts";
import type { Cancel, ConfigureQueue, Delete, Move, QueueRecord, Requeue, Unpark } from "../storage.ts";
import { isLined } from "../key-lines.ts";
import { ensureRoom } from "./enqueue.ts";
import { dropClaim } from "./leases.ts";
import { forgetNotes } from "./notes.ts";
import { parkedEnd, parkedKey, parkedStart, taskIdOf, taskKey } from "./keys.ts";
import type { TaskRow } from "./records.ts";
import type { Member } from "./segments.ts";
import type { Found, Step, Store } from "./store.ts";

export function cancel(store: Store, { ids, now, reason }: Cancel): Step<readonly (TaskState | undefined)[]> {
  return {
    apply: () =>
      ids.map((id) => {
        const key = taskKey(id);
        const found = store.find(key);
        if (found !== undefined && isWaiting(found.life.state)) {
          if (found.member !== undefined) leave(store, found.member);
          store.endWaiting(key, found.row, { state: "cancelled", at: now, reason });
        }
        return found?.life.state;
      }),
  };
}

/** A ready task gets a record of its own. */
function leave(store: Store, member: Member): void {
  store.segments.cutReady(member);
  store.putReady(store.own(member), member.segment.row(member.index));
  store.segments.tidy(member.segment);
}

export function requeue(store: Store, { ids, now }: Requeue): Step<readonly (TaskState | undefined)[]> {
  const mayRequeue = (state: TaskState): boolean => isTerminal(state) && mayMove(state, "ready");
  return {
    check() {
      const taken = new Set<string>();
      for (const id of ids) {
        const found = store.find(taskKey(id));
        if (found === undefined || !mayRequeue(found.life.state)) continue;
        const { queue, dedupeKey } = found.row.request;
        if (dedupeKey === undefined) continue;
        const place = `${queue}\0${dedupeKey}`;
        const holder = store.holderOf(found.row.request);
        if (holder !== undefined || taken.has(place)) {
          throw new DuplicateTaskError(holder ?? id, `The dedupe key ${JSON.stringify(dedupeKey)}`);
        }
        taken.add(place);
      }
    },
    apply: () =>
      ids.map((id) => {
        const key = taskKey(id);
        const found = store.find(key);
        if (found !== undefined && mayRequeue(found.life.state)) again(store, key, found.row, found.life, now);
        return found?.life.state;
      }),
  };
}

function again(store: Store, key: Buffer, row: TaskRow, ended: TaskLife, now: number): void {
  const { finishedAt: _finishedAt, reason: _reason, parked: _parked, ...kept } = ended;
  const life: TaskLife = { ...kept, state: "ready", failures: 0, crashes: 0, interruptions: 0, requeuedAt: now };
  const { expiresAt, createdAt } = row.request;
  const livedFrom = ended.requeuedAt ?? createdAt;
  const request: TaskRequest =
    expiresAt === undefined ? row.request : { ...row.request, expiresAt: now + (expiresAt - livedFrom) };
  const next = { ...row, request };
  store.tables.outcomes.remove(key);
  store.rewrite(key, next, life);
  if (isLined(request)) store.lines.join(key, next);
  store.putReady(key, next);
  store.putExpiry(key, next);
  const dedupe = store.dedupeKeyOf(request);
  if (dedupe !== undefined) store.tables.dedupe.put(dedupe, key);
  store.schedules.taskStarted(request);
  store.ledger.count(request.queue, ended.state, -1);
  store.ledger.count(request.queue, "ready", 1);
  store.journal.note("requeued", taskIdOf(key), request, ended.attempt, { at: now });
}

export function move(store: Store, { ids, queue }: Move): Step<readonly (TaskState | undefined)[]> {
  const mayMoveTo = (found: Found | undefined): found is Found =>
    found !== undefined && isWaiting(found.life.state) && found.row.request.queue !== queue;
  return {
    check() {
      const moving = new Set(ids.filter((id) => mayMoveTo(store.find(taskKey(id)))));
      const taken = new Set<string>();
      for (const id of moving) {
        const request = store.find(taskKey(id))?.row.request;
        if (request?.dedupeKey === undefined) continue;
        const holder = store.holderOf({ ...request, queue });
        if (holder !== undefined || taken.has(request.dedupeKey)) {
          throw new DuplicateTaskError(holder ?? id, `The dedupe key ${JSON.stringify(request.dedupeKey)}`);
        }
        taken.add(request.dedupeKey);
      }
      if (moving.size > 0) ensureRoom(store, new Map([[queue, moving.size]]));
    },
    apply: () =>
      ids.map((id) => {
        const key = taskKey(id);
        const found = store.find(key);
        if (mayMoveTo(found)) {
          if (found.member !== undefined) leave(store, found.member);
          moveTask(store, key, found.row, queue);
        }
        return found?.life.state;
      }),
  };
}

function moveTask(store: Store, key: Buffer, row: TaskRow, queue: string): void {
  const { ledger, tables } = store;
  const { life, sequence } = row;
  store.withdraw(row);
  ledger.count(row.request.queue, life.state, -1);
  const request: TaskRequest = { ...row.request, queue };
  const moved: TaskRow = { ...row, request, lane: ledger.lanes.of(request).number };
  store.rewrite(key, moved, life);
  const dedupe = store.dedupeKeyOf(request);
  if (dedupe !== undefined) tables.dedupe.put(dedupe, key);
  if (isLined(request)) store.lines.join(key, moved);
  store.putExpiry(key, moved);
  if (life.state === "ready" && life.parked === true) {
    tables.parked.put(parkedKey(handlerKey(request), sequence), key);
    ledger.park(handlerKey(request), 1);
  } else if (life.state === "ready") store.putReady(key, moved);
  else store.putDue(key, moved, life);
  ledger.count(queue, life.state, 1);
}

export function remove(store: Store, { ids, force, ifState }: Delete): Step<readonly boolean[]> {
  return {
    check() {
      if (force === true || ifState !== undefined) return;
      for (const id of ids) if (store.claims.get(id) !== undefined) throw new TaskBusyError(id);
    },
    apply: () =>
      ids.map((id, index) => {
        const key = taskKey(id);
        const found = store.find(key);
        if (found === undefined) return false;
        const { row, life, member } = found;
        if (ifState !== undefined && life.state !== ifState[index]) return false;
        if (life.state === "running") dropClaim(store, id);
        if (member !== undefined) removeMember(store, member, life.state);
        else if (isWaiting(life.state)) store.removeWaiting(row);
        else store.tables.outcomes.remove(key);
        if (!isTerminal(life.state)) {
          store.letGo(row);
          store.schedules.taskEnded(row.request);
        }
        store.tables.tasks.remove(key);
        store.schedules.taskForgotten(key, row.request);
        forgetNotes(store, key);
        store.ledger.count(row.request.queue, life.state, -1);
        return true;
      }),
  };
}

function removeMember({ segments }: Store, member: Member, state: TaskState): void {
  if (state === "ready") segments.cutReady(member);
  if (state === "completed") segments.cutCompleted(member);
  segments.tidy(member.segment);
}

export function unpark(store: Store, { handler, limit }: Unpark): Step<number> {
  return {
    apply() {
      const entries = [
        ...store.tables.parked.getRange({ start: parkedStart(handler), end: parkedEnd(handler), limit }),
      ];
      for (const { key: parkedAt, value: key } of entries) {
        store.tables.parked.remove(parkedAt);
        store.ledger.park(handler, -1);
        const row = store.row(key);
        if (row === undefined) continue;
        const { parked: _parked, ...life } = row.life;
        store.rewrite(key, row, life);
        store.putReady(key, row);
      }
      return entries.length;
    },
  };
}

export function configureQueue(store: Store, { queue, patch }: ConfigureQueue): Step<QueueRecord> {
  return {
    apply() {
      const record = store.ledger.configure(queue, patch);
      if (patch.rateLimit) store.ledger.rates.convert("queue", queue, patch.rateLimit);
      if (patch.concurrencyPerKey !== undefined || patch.rateLimit !== undefined) store.lines.reconfigured(queue);
      return record;
    },
  };
}
