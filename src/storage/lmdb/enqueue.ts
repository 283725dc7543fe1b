import { writeUuid } from "../../base/id.ts";
import { DuplicateTaskError, QueueFullError } from "../../base/errors.ts";
import { isKept } from "../../task/event.ts";
import type { TaskState } from "../../task/state.ts";
import { newLife, type TaskId } from "../../task/task.ts";
import type { Enqueue, NewTask, Publish, Stage } from "../storage.ts";
import { isLined } from "../key-lines.ts";
import { due, dueKindOf, dueLaneOf, firstOfOthers, laneEnd, laneStart, spanOf, taskIdOf, taskKey } from "./keys.ts";
import { forgetNotes } from "./notes.ts";
import { encodeTask, type TaskRow } from "./records.ts";
import { largestSegment } from "./segment.ts";
import type { Step, Store } from "./store.ts";

/** What becomes of a new task whose id or dedupe key is not free. */
type Decision = "store" | { readonly skip: true } | { readonly existing: TaskId; readonly replace: boolean };

/** Roughly what a record, its index entry and its outcome add around the arguments. */
const overhead = 300;
const sizeOf = (tasks: readonly NewTask[]): number => tasks.reduce((sum, { args }) => sum + args.length + overhead, 0);

export function enqueue(store: Store, change: Enqueue): Step<readonly (TaskId | undefined)[]> {
  const { tasks } = change;
  let ids = risingIds([], "");
  let newest = "";
  let decisions: readonly Decision[] = [];
  return {
    bytes: sizeOf(tasks),
    addsWork: true,
    check() {
      newest = store.newestId;
      ids = risingIds(tasks, newest);
      decisions = decide(store, tasks, ids);
      ensureRoom(store, perQueue(tasks, decisions));
    },
    apply() {
      // Others of the same list may have been stored since.
      if (store.newestId !== newest) ids = risingIds(tasks, store.newestId);
      const answers: (TaskId | undefined)[] = [];
      while (answers.length < tasks.length) {
        const at = answers.length;
        const [task, decision = "store"] = [tasks[at] as NewTask, decisions[at]];
        if (decision === "store") {
          const size = put(store, { tasks, ids, at }, store.ledger.lane(task.request).number);
          for (let index = at; index < at + size; index++) answers.push(tasks[index]?.id);
        } else if ("skip" in decision) {
          answers.push(undefined);
        } else {
          if (decision.replace) replace(store, decision.existing, task);
          answers.push(decision.existing);
        }
      }
      return answers;
    },
  };
}

/** The ids of new tasks as bytes, and which of them are greater than every id before. */
interface RisingIds {
  readonly bytes: Buffer;
  readonly isRising: readonly boolean[];
}

function risingIds(tasks: readonly NewTask[], newestId: TaskId): RisingIds {
  const bytes = Buffer.allocUnsafe(tasks.length * 16);
  let newest = newestId;
  const isRising = tasks.map(({ id }, index) => {
    // Texts of UUIDs lie in the order of their bytes.
    if (!writeUuid(id, bytes, index * 16) || (bytes[index * 16] ?? 0) >= firstOfOthers || id <= newest) return false;
    newest = id;
    return true;
  });
  return { bytes, isRising };
}

function decide(store: Store, tasks: readonly NewTask[], { isRising }: RisingIds): Decision[] {
  const taken = new Map<string, TaskId>();
  let seen: Set<TaskId> | undefined;
  return tasks.map((task, index): Decision => {
    const { id, request, onConflict = "error" } = task;
    if (isRising[index] !== true) {
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

/** Some tasks that are to be stored, from the one at `at` on. */
interface Arrivals {
  readonly tasks: readonly NewTask[];
  readonly ids: RisingIds;
  readonly at: number;
}

/** Writes the next new task, or the next few as a segment; gives how many. @param hiddenIn the stage that hides them. */
function put(store: Store, arrivals: Arrivals, lane: number, hiddenIn?: string): number {
  const { tasks, ids, at } = arrivals;
  const size = sizeOfSegment(arrivals);
  const part = tasks.slice(at, at + size);
  const [task] = part as [NewTask];
  const { request } = task;
  const state = size > 1 ? "ready" : putTask(store, task, lane);
  if (size > 1) {
    const sequence = store.ledger.nextSequence(size);
    const bytes = ids.bytes.subarray(at * 16, (at + size) * 16);
    store.segments.put({ lane, sequence, request, ids: bytes, args: part.map(({ args }) => args) });
  }
  if (ids.isRising[at + size - 1] === true) store.newestId = tasks[at + size - 1]?.id ?? "";
  if (hiddenIn === undefined) welcome(store, part, state);
  else store.ledger.countStaged(hiddenIn, request.queue, state, size);
  return size;
}

/** How many of the next tasks may lie in one segment: those of one request that are ready, with ids that rise. */
function sizeOfSegment({ tasks, ids, at }: Arrivals): number {
  const request = tasks[at]?.request;
  if (request === undefined || request.dedupeKey !== undefined || request.expiresAt !== undefined) return 1;
  if (isLined(request)) return 1;
  if (newLife(request).state !== "ready") return 1;
  let bytes = 0;
  let end = at;
  for (; end < tasks.length && end - at < largestSegment.tasks; end++) {
    const task = tasks[end];
    if (task?.request !== request || ids.isRising[end] !== true) break;
    bytes += task.args.length;
    if (bytes > largestSegment.bytes) break;
  }
  return Math.max(1, end - at);
}

/** Writes a task as a record of its own; gives the state it starts in. */
function putTask(store: Store, { id, request, args }: NewTask, lane: number, attempt = 0): TaskState {
  const { tables, ledger } = store;
  const key = taskKey(id);
  const sequence = ledger.nextSequence();
  const life = newLife(request);
  const row = { lane, sequence, request, args };
  tables.tasks.put(key, encodeTask(attempt === 0 ? row : { ...row, life: { ...life, attempt } }));
  if (isLined(request)) store.lines.join(key, row);
  if (life.state === "scheduled") store.putDue(key, row, life);
  else if (isLined(request)) store.lines.place(key, row);
  else store.ready.put(lane, request.priority, sequence, key);
  store.putExpiry(key, { request, lane, sequence });
  const dedupe = store.dedupeKeyOf(request);
  if (dedupe !== undefined) tables.dedupe.put(dedupe, key);
  return life.state;
}

/** Counts and notes tasks of one request that were enqueued. */
function welcome(store: Store, tasks: readonly NewTask[], state: TaskState, attempt = 0): void {
  const [task] = tasks;
  if (task === undefined) return;
  store.ledger.count(task.request.queue, state, tasks.length);
  store.ledger.total("enqueued", tasks.length);
  if (!store.notes("enqueued")) return;
  for (const { id, request } of tasks) store.event("enqueued", id, request, attempt, { at: request.createdAt });
}

/** The task keeps its id, its key and the number of its last attempt; everything else is as if it were new. */
function replace(store: Store, existing: TaskId, task: NewTask): void {
  const key = taskKey(existing);
  const row = store.row(key);
  if (row === undefined) return;
  store.withdraw(row);
  forgetNotes(store, key);
  store.ledger.count(row.request.queue, row.life.state, -1);
  store.ledger.total("enqueued", -1);
  const lane = store.ledger.lane(task.request).number;
  const again = { ...task, id: existing };
  welcome(store, [again], putTask(store, again, lane, row.life.attempt), row.life.attempt);
}

export function stage(store: Store, change: Stage): Step<void> {
  return {
    bytes: sizeOf(change.tasks),
    addsWork: true,
    apply() {
      const { tasks, stage: name } = change;
      const ids = risingIds(tasks, store.newestId);
      for (let at = 0; at < tasks.length;) {
        const lane = store.ledger.stageLane(name, (tasks[at] as NewTask).request);
        at += put(store, { tasks, ids, at }, lane, name);
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
    .flatMap(({ number }) => [...stagedIn(store, number)])
    .flatMap((key) => rowsOf(store, key));
  rows.sort((a, b) => a.row.sequence - b.row.sequence);
  for (const { id, row } of rows) store.event("enqueued", id, row.request, 0, { at: row.request.createdAt });
}

/** The task with this key; or those of a span. */
function rowsOf(store: Store, key: Buffer): { id: TaskId; row: TaskRow }[] {
  const span = spanOf(key);
  if (span === undefined) {
    const row = store.row(key);
    return row === undefined ? [] : [{ id: taskIdOf(key), row }];
  }
  const segment = store.segments.get(span.segment);
  return Array.from({ length: segment.count }, (_, index) => ({ id: segment.idOf(index), row: segment.row(index) }));
}

/**
 * Forgets at most about `limit` tasks of a stage, or of every stage that an earlier opening left unpublished.
 *
 * @returns whether there are more.
 */
export function dropStage(store: Store, name?: string, limit: number = Number.POSITIVE_INFINITY): boolean {
  const { ledger } = store;
  let left = limit;
  for (const lane of ledger.hiddenLanes(name)) {
    for (const key of stagedIn(store, lane.number)) {
      if (left <= 0) return true;
      left -= dropStaged(store, key);
    }
    ledger.dropLane(lane.number);
    store.ready.forget(lane.number);
  }
  if (name !== undefined) ledger.forgetStage(name);
  return false;
}

/** Forgets a task, or a segment: none of it was ever claimed. Gives how many tasks that were. */
function dropStaged(store: Store, key: Buffer): number {
  const span = spanOf(key);
  if (span === undefined) {
    const row = store.row(key);
    if (row === undefined) return 1;
    store.removeWaiting(row);
    store.removeExpiry(row);
    store.tables.tasks.remove(key);
    return 1;
  }
  const segment = store.segments.get(span.segment);
  store.segments.takeSpan(segment.lane, span);
  store.segments.drop(segment);
  return segment.count;
}

/** The keys of tasks, and spans, of a lane that is hidden. Read in pieces, because what is read may be removed meanwhile. */
function* stagedIn(store: Store, lane: number): Iterable<Buffer> {
  const { ready, due: dueTable } = store.tables;
  let start = laneStart(lane);
  for (let page; (page = [...ready.getRange({ start, end: laneEnd(lane), limit: stagedPiece })]).length > 0;) {
    for (const { value } of page) yield value;
    start = Buffer.concat([page.at(-1)?.key ?? start, Buffer.from([0])]);
  }
  const scheduled: Buffer[] = [];
  for (const { key, value } of dueTable.getRange()) {
    if (dueLaneOf(key) === lane && dueKindOf(key) === due.start) scheduled.push(value);
  }
  yield* scheduled;
}

const stagedPiece = 1_000;
