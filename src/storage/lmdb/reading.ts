import type { StoredEvent } from "../../task/event.ts";
import type { StoredTask } from "../../task/task.ts";
import type { EventQuery, TaskPage, TaskQuery } from "../storage.ts";
import { isEventMatch, isTaskMatch } from "../matching.ts";
import { keyAfter, numberKey, scheduleTaskRange, taskIdOf, taskInSchedule, taskKey } from "./keys.ts";
import { decodeData } from "./records.ts";
import type { Member } from "./segments.ts";
import type { Found, Store } from "./store.ts";
import type { Table } from "./tables.ts";

/** How many records are looked at before the event loop gets a turn. */
const piece = 1_000;
const largestPage = 1_000;

const toStored = (key: Buffer, { row, life }: Found): StoredTask => ({
  id: taskIdOf(key),
  request: row.request,
  life,
  args: row.args,
});

export function get(store: Store, id: string): StoredTask | undefined {
  const key = taskKey(id);
  const found = store.find(key);
  return found === undefined ? undefined : toStored(key, found);
}

/**
 * Looks through the tasks in order of key, a piece at a time, so that a filter that matches little does not hold up
 * the supervisor. What is claimed is looked up by heart.
 */
export async function list(store: Store, query: TaskQuery): Promise<TaskPage> {
  if (isHopeless(store, query)) return { tasks: [] };
  const tasks: StoredTask[] = [];
  const limit = Math.min(query.limit, largestPage);
  let start = query.cursor === undefined ? Buffer.from([0]) : keyAfter(taskKey(query.cursor));
  for (;;) {
    const places = nextPlaces(store, query, start);
    for (const { key, member } of places) {
      const found = member === undefined ? store.find(key) : store.findMember(member);
      if (found === undefined || !isTaskMatch({ request: found.row.request, life: found.life }, query)) continue;
      if (tasks.length === limit) return { tasks, cursor: tasks.at(-1)?.id ?? "" };
      tasks.push(toStored(key, found));
    }
    const last = places.at(-1);
    if (last === undefined) return { tasks };
    start = keyAfter(last.key);
    await new Promise(setImmediate);
  }
}

/** Where a task may be. */
interface TaskPlace {
  readonly key: Buffer;
  readonly member?: Member;
}

/** No queue that it asks for has a task in a state that it asks for. */
function isHopeless(store: Store, { states, queue }: TaskQuery): boolean {
  for (const [name, counts] of store.ledger.counts().queues) {
    if (queue !== undefined && queue !== name) continue;
    if (states === undefined || states.some((state) => (counts[state] ?? 0) > 0)) return false;
  }
  return true;
}

/** The next places from `start` on, in order of key; none at the end. */
function nextPlaces(store: Store, { states, scheduleId }: TaskQuery, start: Buffer): TaskPlace[] {
  if (scheduleId !== undefined) {
    const range = { ...scheduleTaskRange(taskKey(scheduleId), start), limit: piece };
    return Array.from(store.tables.scheduleTasks.getKeys(range), (key) => ({ key: taskInSchedule(key) }));
  }
  const inOrder = (a: TaskPlace, b: TaskPlace): number => a.key.compare(b.key);
  if (states?.every((state) => state === "running") === true) {
    const held = Array.from(store.claims.all(), ([, { key }]) => ({ key })).filter(
      ({ key }) => key.compare(start) >= 0,
    );
    return held.sort(inOrder).slice(0, piece);
  }
  const alone = Array.from(store.tables.tasks.getKeys({ start, limit: piece }), (key) => ({ key }));
  const places = [...alone, ...membersFrom(store, start)].sort(inOrder);
  // What lies behind the end of a piece may have to let others of the other kind go first.
  return places.slice(0, piece);
}

/** Tasks of segments from `start` on: at least `piece` of them, or all. One that has left has another place, or none. */
function membersFrom(store: Store, start: Buffer): TaskPlace[] {
  const places: TaskPlace[] = [];
  for (const segment of store.segments.from(start)) {
    for (let index = 0; index < segment.count; index++) {
      const key = segment.keyOf(index);
      if (key.compare(start) >= 0 && !store.tables.tasks.doesExist(key))
        places.push({ key, member: { segment, index } });
    }
    if (places.length >= piece) break;
  }
  return places;
}

export async function queryEvents(events: Table, query: EventQuery): Promise<readonly StoredEvent[]> {
  const kept: StoredEvent[] = [];
  const limit = Math.min(query.limit, largestPage);
  let start = numberKey((query.after ?? 0) + 1);
  for (;;) {
    const page = [...events.getRange({ start, limit: piece })];
    for (const { value } of page) {
      const event = decodeData<StoredEvent>(value);
      if (isEventMatch(event, query)) kept.push(event);
      if (kept.length === limit) return kept;
    }
    const last = page.at(-1);
    if (last === undefined || page.length < piece) return kept;
    start = keyAfter(last.key);
    await new Promise(setImmediate);
  }
}
