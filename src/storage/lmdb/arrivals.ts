import { newLife } from "../../task/task.ts";
import { isLined } from "../key-lines.ts";
import type { NewTask } from "../storage.ts";
import { taskKey } from "./keys.ts";
import { encodeTask } from "./records.ts";
import { largestSegment } from "./segment.ts";
import type { Store } from "./store.ts";
import type { NewIds } from "./stored-ids.ts";

/** Some tasks that are to be stored, from the one at `at` on. */
export interface Arrivals {
  readonly tasks: readonly NewTask[];
  readonly ids: NewIds;
  readonly at: number;
}

/** Roughly what a record, its index entry and its outcome add around the arguments. */
const overhead = 300;

/** About how many bytes the tasks add to the file. */
export const sizeOf = (tasks: readonly NewTask[]): number =>
  tasks.reduce((sum, { args }) => sum + args.length + overhead, 0);

/** Writes the next new task, or the next few as a segment; gives how many. @param isHidden the lane is of a stage. */
export function put(store: Store, arrivals: Arrivals, lane: number, isHidden = false): number {
  const { tasks, ids, at } = arrivals;
  const size = sizeOfSegment(arrivals);
  const part = tasks.slice(at, at + size);
  const [task] = part as [NewTask];
  if (size === 1) {
    putTask(store, task, lane, isHidden);
    store.schedules.taskStored(taskKey(task.id), task.request);
    return 1;
  }
  const sequence = store.ledger.nextSequence(size);
  const bytes = ids.bytes.subarray(at * 16, (at + size) * 16);
  store.segments.put({ lane, sequence, request: task.request, ids: bytes, args: part.map(({ args }) => args) });
  return size;
}

/** How many of the next tasks may lie in one segment: those of one request that are ready, with ids that rise. */
function sizeOfSegment({ tasks, ids, at }: Arrivals): number {
  const request = tasks[at]?.request;
  if (request === undefined || request.dedupeKey !== undefined || request.expiresAt !== undefined) return 1;
  if (isLined(request) || request.schedule !== undefined) return 1;
  if (newLife(request).state !== "ready") return 1;
  let bytes = 0;
  let end = at;
  for (; end < tasks.length && end - at < largestSegment.tasks; end++) {
    const task = tasks[end];
    if (task?.request !== request || ids.areRising[end] !== true) break;
    bytes += task.args.length;
    if (bytes > largestSegment.bytes) break;
  }
  return Math.max(1, end - at);
}

/** Writes a task as a record of its own. @param attempt the last that its id has had. */
export function putTask(
  store: Store,
  { id, request, args }: NewTask,
  lane: number,
  isHidden = false,
  attempt = 0,
): void {
  const { tables, ledger } = store;
  const key = taskKey(id);
  const sequence = ledger.nextSequence();
  const life = newLife(request);
  const row = { lane, sequence, request, args };
  tables.tasks.put(key, encodeTask(attempt === 0 ? row : { ...row, life: { ...life, attempt } }));
  if (isLined(request)) store.lines.join(key, row);
  if (life.state === "scheduled") store.putDue(key, row, life);
  // While nobody sees them, all stand in their lane, where they are found to be dropped.
  else if (isLined(request) && !isHidden) store.lines.place(key, row);
  else store.ready.put(lane, request.priority, sequence, key);
  store.putExpiry(key, { request, lane, sequence });
  const dedupe = store.dedupeKeyOf(request);
  if (dedupe !== undefined) tables.dedupe.put(dedupe, key);
}
