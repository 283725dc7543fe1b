import { DuplicateTaskError, QueueFullError } from "../../base/errors.ts";
import { isKept } from "../../task/event.ts";
import type { TaskState } from "../../task/state.ts";
import { newLife, type TaskId } from "../../task/task.ts";
import type { Enqueue, NewTask, Publish, Stage } from "../storage.ts";
import { due, dueKindOf, dueLaneOf, isUuidKey, laneEnd, laneStart, readyKey, taskIdOf, taskKey } from "./keys.ts";
import { encodeTask } from "./records.ts";
import type { Step, Store } from "./store.ts";

/** What becomes of a new task whose id or dedupe key is not free. */
type Decision = "store" | { readonly skip: true } | { readonly existing: TaskId; readonly replace: boolean };

/** Roughly what a record, its index entry and its outcome add around the arguments. */
const overhead = 300;
const sizeOf = (tasks: readonly NewTask[]): number => tasks.reduce((sum, { args }) => sum + args.length + overhead, 0);

export function enqueue(store: Store, change: Enqueue): Step<readonly (TaskId | undefined)[]> {
  const { tasks } = change;
  const keys = tasks.map(({ id }) => taskKey(id));
  let decisions: readonly Decision[] = [];
  return {
    bytes: sizeOf(tasks),
    addsWork: true,
    check() {
      decisions = decide(store, tasks, keys);
      ensureRoom(store, perQueue(tasks, decisions));
    },
    apply: () =>
      tasks.map((task, index) => {
        const decision = decisions[index] ?? "store";
        if (decision === "store") {
          put(store, task, keys[index] ?? taskKey(task.id), store.ledger.queue(task.request.queue).number, true);
          return task.id;
        }
        if ("skip" in decision) return undefined;
        if (decision.replace) replace(store, decision.existing, task);
        return decision.existing;
      }),
  };
}

function decide(store: Store, tasks: readonly NewTask[], keys: readonly Buffer[]): Decision[] {
  const taken = new Map<string, TaskId>();
  let newest = store.newestKey;
  return tasks.map((task, index): Decision => {
    const { id, request, onConflict = "error" } = task;
    const key = keys[index] ?? taskKey(id);
    if (isUuidKey(key) && key.compare(newest) > 0) {
      newest = key;
    } else if (store.tables.tasks.doesExist(key) || tasks.findIndex((other) => other.id === id) < index) {
      throw new DuplicateTaskError(id, `The id ${JSON.stringify(id)}`);
    }
    if (request.dedupeKey === undefined) return "store";
    const place = `${request.queue}\0${request.dedupeKey}`;
    const holder = taken.get(place) ?? store.holderOf(request);
    if (holder === undefined) {
      taken.set(place, id);
      return "store";
    }
    switch (onConflict) {
      case "skip":
        return { skip: true };
      case "return":
        return { existing: holder, replace: false };
      case "replace":
        if (store.claims.get(holder) === undefined) return { existing: holder, replace: true };
        break;
      case "error":
        break;
    }
    throw new DuplicateTaskError(holder, `The dedupe key ${JSON.stringify(request.dedupeKey)}`);
  });
}

function perQueue(tasks: readonly NewTask[], decisions: readonly Decision[]): Map<string, number> {
  const added = new Map<string, number>();
  tasks.forEach(({ request }, index) => {
    if (decisions[index] === "store") added.set(request.queue, (added.get(request.queue) ?? 0) + 1);
  });
  return added;
}

function ensureRoom(store: Store, added: ReadonlyMap<string, number>): void {
  for (const [queue, count] of added) {
    const maxSize = store.ledger.knownQueue(queue)?.record.maxSize;
    if (maxSize !== undefined && store.ledger.unfinished(queue) + count > maxSize)
      throw new QueueFullError(queue, maxSize, count);
  }
}

/** Writes a new task; gives the state it starts in. */
function put(
  store: Store,
  { id, request, args }: NewTask,
  key: Buffer,
  lane: number,
  isVisible: boolean,
  attempt = 0,
): TaskState {
  const { tables, ledger } = store;
  const sequence = ledger.nextSequence();
  const life = newLife(request);
  const row = { lane, sequence, request, args };
  tables.tasks.put(key, encodeTask(attempt === 0 ? row : { ...row, life: { ...life, attempt } }));
  if (isUuidKey(key) && key.compare(store.newestKey) > 0) store.newestKey = key;
  if (life.state === "scheduled") store.putDue(key, { lane, sequence }, life);
  else tables.ready.put(readyKey(lane, request.priority, sequence), key);
  store.putExpiry(key, { request, lane, sequence });
  if (isVisible) {
    const dedupe = store.dedupeKeyOf(request);
    if (dedupe !== undefined) tables.dedupe.put(dedupe, key);
    ledger.count(request.queue, life.state, 1);
    ledger.total("enqueued");
    if (store.notes("enqueued")) store.event("enqueued", id, request, attempt, { at: request.createdAt });
  }
  return life.state;
}

/** The task keeps its id, its key and the number of its last attempt; everything else is as if it were new. */
function replace(store: Store, existing: TaskId, task: NewTask): void {
  const key = taskKey(existing);
  const row = store.row(key);
  if (row === undefined) return;
  store.removeWaiting(row);
  store.removeExpiry(row);
  store.ledger.count(row.request.queue, row.life.state, -1);
  store.ledger.total("enqueued", -1);
  const lane = store.ledger.queue(task.request.queue).number;
  put(store, { ...task, id: existing }, key, lane, true, row.life.attempt);
}

export function stage(store: Store, change: Stage): Step<void> {
  return {
    bytes: sizeOf(change.tasks),
    addsWork: true,
    apply() {
      for (const task of change.tasks) {
        const lane = store.ledger.stageLane(change.stage, task.request.queue);
        const state = put(store, task, taskKey(task.id), lane, false);
        store.ledger.countStaged(change.stage, task.request.queue, state);
      }
    },
  };
}

export function publish(store: Store, change: Publish): Step<void> {
  return {
    addsWork: change.how === "appear",
    check() {
      if (change.how === "appear") ensureRoom(store, store.ledger.staged(change.stage));
    },
    apply() {
      if (change.how === "drop") {
        dropStage(store, change.stage);
        return;
      }
      if (isKept("enqueued", store.settings.events)) noteStaged(store, change.stage);
      store.ledger.publish(change.stage);
    },
  };
}

function noteStaged(store: Store, name: string): void {
  const rows = store.ledger
    .hiddenLanes(name)
    .flatMap(({ number }) =>
      stagedIn(store, number, Number.POSITIVE_INFINITY).map((key) => ({ key, row: store.row(key) })),
    );
  rows.sort((a, b) => (a.row?.sequence ?? 0) - (b.row?.sequence ?? 0));
  for (const { key, row } of rows) {
    if (row !== undefined) store.event("enqueued", taskIdOf(key), row.request, 0, { at: row.request.createdAt });
  }
}

/**
 * Forgets at most `limit` tasks of a stage, or of every stage that an earlier opening left unpublished.
 *
 * @returns whether there are more.
 */
export function dropStage(store: Store, name?: string, limit: number = Number.POSITIVE_INFINITY): boolean {
  const { tables, ledger } = store;
  let left = limit;
  for (const lane of ledger.hiddenLanes(name)) {
    for (const key of stagedIn(store, lane.number, left)) {
      const row = store.row(key);
      if (row === undefined) continue;
      store.removeWaiting(row);
      store.removeExpiry(row);
      tables.tasks.remove(key);
      left--;
    }
    if (left <= 0) return true;
    ledger.dropLane(lane.number);
  }
  if (name !== undefined) ledger.forgetStage(name);
  return false;
}

function stagedIn(store: Store, lane: number, limit: number): Buffer[] {
  const keys: Buffer[] = [];
  const range = { start: laneStart(lane), end: laneEnd(lane), ...(Number.isFinite(limit) ? { limit } : {}) };
  for (const { value } of store.tables.ready.getRange(range)) keys.push(Buffer.from(value));
  if (keys.length >= limit) return keys;
  for (const { key, value } of store.tables.due.getRange()) {
    if (dueLaneOf(key) === lane && dueKindOf(key) === due.start) keys.push(Buffer.from(value));
    if (keys.length >= limit) break;
  }
  return keys;
}
