import { DuplicateTaskError, QueueFullError } from "../../base/errors.ts";
import { newLife, type StoredTask, type TaskId } from "../../task/task.ts";
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
  const queue = ledger.queue(request.queue);
  const holder = request.dedupeKey === undefined ? undefined : queue.keys.get(request.dedupeKey);
  if (holder === undefined) {
    ensureRoom(queue, () => sizeIn(request.queue, all));
    ledger.totals.enqueued += 1;
    return put(ledger, id, task);
  }
  switch (onConflict) {
    case "skip":
      return undefined;
    case "return":
      return holder;
    case "replace":
      if (ledger.get(holder)?.task.life.state !== "running") {
        ledger.keepNotes(holder, undefined);
        return put(ledger, holder, task, ledger.get(holder)?.task.life.attempt);
      }
      break;
    case "error":
      break;
  }
  throw new DuplicateTaskError(holder, `The dedupe key ${JSON.stringify(request.dedupeKey)}`);
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
