import { DuplicateTaskError, TaskBusyError } from "../../base/errors.ts";
import type { EpochMs } from "../../base/clock.ts";
import { isTerminal, isWaiting, mayMove, type TaskState } from "../../task/state.ts";
import type { StoredTask, TaskId } from "../../task/task.ts";
import type {
  Advance,
  Advanced,
  Cancel,
  ConfigureQueue,
  Delete,
  Move,
  Prune,
  Pruned,
  QueueRecord,
  Requeue,
  Unpark,
} from "../storage.ts";
import { ensureRoom } from "./enqueueing.ts";
import type { Ledger, Version } from "./ledger.ts";
import { configured } from "../queue-record.ts";
import { expire, interrupt, move, noLongerWaiting } from "./moves.ts";

export function advance(ledger: Ledger, { now, limit }: Advance): Advanced {
  const expired: TaskId[] = [];
  const interrupted: TaskId[] = [];
  let ready = 0;
  let done = 0;
  for (; done < limit; done += 1) {
    const version = ledger.waiting.peek();
    if (version === undefined || version.due > now) break;
    const { id, request, life } = version.task;
    if (life.state === "running") {
      // The attempt keeps its number: the old claim's fence must never be current again.
      interrupt(ledger, version, now, life.attempt);
      interrupted.push(id);
    } else if (request.expiresAt !== undefined && request.expiresAt <= now) {
      expired.push(expire(ledger, version, now));
    } else {
      move(ledger, version, { ...noLongerWaiting(life), state: "ready" });
      ready += 1;
    }
  }
  const released = [ledger.rates.release(now), ledger.lines.release(now)].includes(true);
  return { ready, expired, interrupted, released, hasMore: done === limit };
}

export const cancel = (ledger: Ledger, { ids, now, reason }: Cancel): (TaskState | undefined)[] =>
  ids.map((id) => {
    const version = ledger.get(id);
    if (version === undefined) return undefined;
    const { state } = version.task.life;
    if (isWaiting(state)) {
      move(ledger, version, { ...noLongerWaiting(version.task.life), state: "cancelled", finishedAt: now, reason });
      ledger.note("cancelled", version.task, now, { reason });
    }
    return state;
  });

export const requeue = (ledger: Ledger, { ids, now }: Requeue): (TaskState | undefined)[] =>
  ids.map((id) => {
    const version = ledger.get(id);
    if (version === undefined) return undefined;
    const { state } = version.task.life;
    if (isTerminal(state) && mayMove(state, "ready")) beginAnew(ledger, version, now);
    return state;
  });

export const moveTo = (ledger: Ledger, { ids, queue }: Move): (TaskState | undefined)[] => {
  const before = ids.map((id) => ledger.get(id)?.task.life.state);
  for (const id of new Set(ids)) {
    const version = ledger.get(id);
    if (version === undefined || !isWaiting(version.task.life.state) || version.task.request.queue === queue) continue;
    const { dedupeKey } = version.task.request;
    const target = ledger.queue(queue);
    const holder = dedupeKey === undefined ? undefined : target.keys.get(dedupeKey);
    if (holder !== undefined) throw new DuplicateTaskError(holder, `The dedupe key ${JSON.stringify(dedupeKey)}`);
    ensureRoom(target, () => ids.length);
    ledger.put({ ...version, task: { ...version.task, request: { ...version.task.request, queue } } });
  }
  return before;
};

export const forget = (ledger: Ledger, { ids, force = false, ifState }: Delete): boolean[] =>
  ids.map((id, index) => {
    const version = ledger.get(id);
    if (version === undefined) return false;
    const { state, attempt } = version.task.life;
    if (ifState !== undefined && ifState[index] !== state) return false;
    if (state === "running" && !force) throw new TaskBusyError(id);
    // Should the id be used again, what this attempt may still say must be known to be late.
    if (state === "running") ledger.buried.set(id, attempt);
    ledger.remove(id);
    return true;
  });

export function unpark(ledger: Ledger, { handler, limit }: Unpark): number {
  let count = 0;
  for (const version of ledger.parked.get(handler) ?? []) {
    if (count === limit) break;
    move(ledger, version, noLongerWaiting(version.task.life));
    count += 1;
  }
  return count;
}

export function configureQueue(ledger: Ledger, { queue, patch }: ConfigureQueue): QueueRecord {
  const known = ledger.queue(queue);
  const record = configured(known.record, patch);
  ledger.configure(known, record);
  if (patch.rateLimit) ledger.rates.convert("queue", queue, patch.rateLimit);
  return record;
}

export function prune(ledger: Ledger, { now, limit }: Prune): Pruned {
  let tasks = 0;
  let results = 0;
  while (tasks < limit && results < limit) {
    const version = ledger.finished.peek();
    if (version === undefined || version.due > now) break;
    if (ledger.recordEnd(version.task) <= now) {
      ledger.remove(version.task.id);
      tasks += 1;
    } else {
      ledger.put({ ...version, result: undefined });
      results += 1;
    }
  }
  const events = ledger.events.dropUntil(now - ledger.settings.retention.eventsMs, limit);
  return { tasks, results, events, hasMore: tasks === limit || results === limit || events === limit };
}

function beginAnew(ledger: Ledger, { task: ended, sequence }: Version, now: EpochMs): void {
  const { dedupeKey, queue, createdAt, expiresAt } = ended.request;
  const holder = dedupeKey === undefined ? undefined : ledger.queue(queue).keys.get(dedupeKey);
  if (holder !== undefined) throw new DuplicateTaskError(holder, `The dedupe key ${JSON.stringify(dedupeKey)}`);
  const { finishedAt: _finishedAt, reason: _reason, requeuedAt: livedFrom = createdAt, ...life } = ended.life;
  const task: StoredTask = {
    ...ended,
    request: expiresAt === undefined ? ended.request : { ...ended.request, expiresAt: now + expiresAt - livedFrom },
    life: { ...life, state: "ready", failures: 0, crashes: 0, interruptions: 0, requeuedAt: now },
  };
  ledger.put({ task, sequence, leaseEnd: undefined, result: undefined });
  ledger.note("requeued", task, now);
}
