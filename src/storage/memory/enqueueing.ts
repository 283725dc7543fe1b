import { DuplicateTaskError, QueueFullError } from "../../base/errors.ts";
import { newLife, type StoredTask, type TaskId, type TaskRequest } from "../../task/task.ts";
import { isTerminal, taskStates } from "../../task/state.ts";
import type { Enqueue, NewTask, Publish, Stage } from "../storage.ts";
import { countOf, type Ledger, type Queue } from "./ledger.ts";

export const enqueue = (ledger: Ledger, { tasks }: Pick<Enqueue, "tasks">): (TaskId | undefined)[] =>
  tasks.map((task) => enqueueOne(ledger, task, tasks));

export function stage(ledger: Ledger, change: Stage): void {
  ledger.stage(change.stage, [...(ledger.stages.get(change.stage) ?? []), change.tasks]);
}

export function publish(ledger: Ledger, change: Publish): void {
  const pieces = ledger.stages.get(change.stage) ?? [];
  ledger.stage(change.stage, undefined);
  if (change.how === "appear") enqueue(ledger, { tasks: pieces.flat() });
}

export const unfinishedStates = taskStates.filter((state) => !isTerminal(state));

function enqueueOne(ledger: Ledger, task: NewTask, all: readonly NewTask[]): TaskId | undefined {
  const { id, request, onConflict = "error" } = task;
  if (ledger.get(id) !== undefined) throw new DuplicateTaskError(id, `The id ${JSON.stringify(id)}`);
  const holder = holderOf(ledger, request);
  if (holder === undefined) ensureRoom(ledger.queue(request.queue), () => sizeIn(request.queue, all));
  const stored = store(ledger, task);
  if (holder !== undefined && stored === undefined && onConflict !== "skip") {
    throw new DuplicateTaskError(holder, `The dedupe key ${JSON.stringify(request.dedupeKey)}`);
  }
  return stored;
}

const holderOf = (ledger: Ledger, { queue, dedupeKey }: TaskRequest): TaskId | undefined =>
  dedupeKey === undefined ? undefined : ledger.queue(queue).keys.get(dedupeKey);

/** Stores a task with a new id, or does what it says about the one with its dedupe key; `undefined` where that stays. */
export function store(ledger: Ledger, task: NewTask): TaskId | undefined {
  const { id, request, onConflict } = task;
  const holder = holderOf(ledger, request);
  if (holder === undefined) {
    ledger.totals.enqueued += 1;
    return put(ledger, id, task);
  }
  if (onConflict === "return") return holder;
  const before = ledger.get(holder)?.task.life;
  if (onConflict !== "replace" || before?.state === "running") return undefined;
  ledger.keepNotes(holder, undefined);
  return put(ledger, holder, task, before?.attempt);
}

/** Whether one more fits. @param added how many are on their way, for the message. */
export function ensureRoom(queue: Queue, added: () => number): void {
  const { name, maxSize } = queue.record;
  if (maxSize === undefined) return;
  const unfinished = unfinishedStates.reduce((sum, state) => sum + countOf(queue, state), 0);
  if (unfinished >= maxSize) throw new QueueFullError(name, maxSize, added());
}

/** Tasks with one dedupe key are one task. */
function sizeIn(queue: string, all: readonly NewTask[]): number {
  const mine = all.filter(({ request }) => request.queue === queue);
  return new Set(mine.map(({ id, request: { dedupeKey } }) => (dedupeKey === undefined ? id : `key ${dedupeKey}`)))
    .size;
}

function put(ledger: Ledger, id: TaskId, { request, args }: NewTask, attempt = 0): TaskId {
  const life = newLife(request);
  const task: StoredTask = { id, request, life: attempt === 0 ? life : { ...life, attempt }, args };
  ledger.put({ task, sequence: ledger.nextSequence(), leaseEnd: undefined, result: undefined });
  ledger.note("enqueued", task, request.createdAt);
  return id;
}
