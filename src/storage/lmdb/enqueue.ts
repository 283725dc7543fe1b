import { DuplicateTaskError, QueueFullError } from "../../base/errors.ts";
import { newLife, type TaskId } from "../../task/task.ts";
import type { Enqueue, NewTask } from "../storage.ts";
import { put, putTask, sizeOf } from "./arrivals.ts";
import { taskKey } from "./keys.ts";
import { forgetNotes } from "./notes.ts";
import type { Step, Store } from "./store.ts";
import type { NewIds } from "./stored-ids.ts";

/** What becomes of a new task whose id or dedupe key is not free. */
type Decision = "store" | { readonly skip: true } | { readonly existing: TaskId; readonly replace: boolean };

export function enqueue(store: Store, change: Enqueue): Step<readonly (TaskId | undefined)[]> {
  const { tasks } = change;
  let ids = store.ids.look([]);
  let last = 0;
  let decisions: readonly Decision[] = [];
  return {
    bytes: sizeOf(tasks),
    addsWork: true,
    check() {
      last = store.ledger.lastSequence;
      ids = store.ids.look(tasks);
      decisions = decide(store, tasks, ids);
      ensureRoom(store, perQueue(tasks, decisions));
    },
    apply() {
      // Others of the same list may have been stored since.
      if (store.ledger.lastSequence !== last) ids = store.ids.look(tasks);
      const answers: (TaskId | undefined)[] = [];
      while (answers.length < tasks.length) {
        const at = answers.length;
        const [task, decision = "store"] = [tasks[at] as NewTask, decisions[at]];
        if (decision === "store") {
          const size = put(store, { tasks, ids, at }, store.ledger.lanes.of(task.request).number);
          const stored = tasks.slice(at, at + size);
          welcome(store, stored);
          for (const { id } of stored) answers.push(id);
        } else if ("skip" in decision) {
          answers.push(undefined);
        } else {
          if (decision.replace) replace(store, decision.existing, task);
          answers.push(decision.existing);
        }
      }
      store.ids.add(ids);
      return answers;
    },
  };
}

/** Stores a task with a new id, or does what it says about the one with its dedupe key; `undefined` where that stays. */
export function storeOne(store: Store, task: NewTask): TaskId | undefined {
  const { id, request, onConflict } = task;
  const holder = store.holderOf(request);
  if (holder === undefined) {
    putTask(store, task, store.ledger.lanes.of(request).number);
    store.schedules.taskStored(taskKey(id), request);
    welcome(store, [task]);
    store.ids.addOne(id);
    return id;
  }
  if (onConflict === "return") return holder;
  if (onConflict !== "replace" || store.claims.get(holder) !== undefined) return undefined;
  replace(store, holder, task);
  return holder;
}

function decide(store: Store, tasks: readonly NewTask[], { areRising }: NewIds): Decision[] {
  const taken = new Map<string, TaskId>();
  let seen: Set<TaskId> | undefined;
  return tasks.map((task, index): Decision => {
    const { id, request, onConflict = "error" } = task;
    if (areRising[index] !== true) {
      seen ??= new Set(tasks.slice(0, index).map((earlier) => earlier.id));
      if (seen.has(id) || store.exists(taskKey(id))) {
        throw new DuplicateTaskError(id, `The id ${JSON.stringify(id)}`);
      }
    }
    seen?.add(id);
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

export function ensureRoom(store: Store, added: ReadonlyMap<string, number>): void {
  for (const [queue, count] of added) {
    const maxSize = store.ledger.knownQueue(queue)?.record.maxSize;
    if (maxSize !== undefined && store.ledger.unfinished(queue) + count > maxSize)
      throw new QueueFullError(queue, maxSize, count);
  }
}

/** Counts and notes tasks of one request that were enqueued. */
function welcome(store: Store, tasks: readonly NewTask[], attempt = 0): void {
  const [task] = tasks;
  if (task === undefined) return;
  store.ledger.count(task.request.queue, newLife(task.request).state, tasks.length);
  store.ledger.total("enqueued", tasks.length);
  if (!store.journal.keeps("enqueued")) return;
  for (const { id, request } of tasks) store.journal.note("enqueued", id, request, attempt, { at: request.createdAt });
}

/** The task keeps its id, its key and the number of its last attempt; everything else is as if it were new. */
function replace(store: Store, existing: TaskId, task: NewTask): void {
  const key = taskKey(existing);
  const row = store.row(key);
  if (row === undefined) return;
  store.withdraw(row);
  if (row.request.schedule?.id !== task.request.schedule?.id) {
    store.schedules.taskEnded(row.request);
    store.schedules.taskForgotten(key, row.request);
    store.schedules.taskStored(key, task.request);
  }
  forgetNotes(store, key);
  store.ledger.count(row.request.queue, row.life.state, -1);
  store.ledger.total("enqueued", -1);
  const lane = store.ledger.lanes.of(task.request).number;
  const again = { ...task, id: existing };
  putTask(store, again, lane, false, row.life.attempt);
  welcome(store, [again], row.life.attempt);
}
