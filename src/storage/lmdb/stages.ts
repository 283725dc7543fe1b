import { newLife, type TaskId } from "../../task/task.ts";
import type { Publish, Stage } from "../storage.ts";
import { put, sizeOf } from "./arrivals.ts";
import { ensureRoom } from "./enqueue.ts";
import { keyAfter, laneEnd, laneStart, spanOf, taskIdOf, taskKey } from "./keys.ts";
import { decodeData, decodeKeys, encodeData, encodeKeys, type TaskRow } from "./records.ts";
import type { Step, Store } from "./store.ts";

/** About how many tasks of a stage that was given up are forgotten in one transaction. */
export const dropStep = 5_000;

export function stage(store: Store, change: Stage): Step<void> {
  return {
    bytes: sizeOf(change.tasks),
    addsWork: true,
    apply() {
      const { tasks, stage: name } = change;
      const { lanes } = store.ledger;
      const ids = store.ids.look(tasks);
      const waiting = new Map<number, Buffer[]>();
      let at = 0;
      for (let task = tasks[at]; task !== undefined; task = tasks[at]) {
        const { id, request } = task;
        const lane = lanes.ofStage(name, request);
        const size = put(store, { tasks, ids, at }, lane, true);
        const { state } = newLife(request);
        lanes.countStaged(name, request.queue, state, size);
        if (state !== "ready") add(waiting, lane, taskKey(id));
        at += size;
      }
      store.ids.add(ids);
      for (const [lane, keys] of waiting) putList(store, lane, keys);
    },
  };
}

export function publish(store: Store, change: Publish): Step<void> {
  const { stage: name } = change;
  const { ledger } = store;
  if (change.how === "drop") {
    return {
      apply() {
        ledger.lanes.abandon(name);
        dropAbandoned(store, dropStep);
      },
    };
  }
  return {
    addsWork: true,
    check() {
      const added = Array.from(ledger.lanes.staged(name), ([queue, sizes]): [string, number] => {
        return [queue, [...sizes.values()].reduce((sum, size) => sum + size, 0)];
      });
      ensureRoom(store, new Map(added));
    },
    apply() {
      const lanes = ledger.lanes.inStage(name);
      if (store.journal.keeps("enqueued")) noteStaged(store, lanes);
      for (const lane of lanes) for (const key of listsOf(store, lane)) store.tables.meta.remove(key);
      ledger.publish(name);
    },
  };
}

function noteStaged(store: Store, lanes: readonly number[]): void {
  const rows = lanes.flatMap((lane) => [...stagedIn(store, lane)]).flatMap((key) => rowsOf(store, key));
  rows.sort((a, b) => a.row.sequence - b.row.sequence);
  for (const { id, row } of rows) store.journal.note("enqueued", id, row.request, 0, { at: row.request.createdAt });
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

/** Forgets at most about `limit` tasks of stages that were given up, now or by the end of an earlier opening. */
export function dropAbandoned(store: Store, limit: number): void {
  const { lanes } = store.ledger;
  let left = limit;
  for (let lane = lanes.firstAbandoned(); lane !== undefined; lane = lanes.firstAbandoned()) {
    for (const key of readyIn(store, lane)) {
      if (left <= 0) return;
      left -= dropStaged(store, key);
    }
    // What the next step reads is only what this one leaves.
    for (const at of listsOf(store, lane)) {
      if (left <= 0) return;
      const keys = listAt(store, at);
      const room = left;
      for (const key of keys.slice(0, room)) left -= dropStaged(store, key);
      if (keys.length > room) {
        putListAt(store, at, keys.slice(room));
        return;
      }
      store.tables.meta.remove(at);
    }
    lanes.drop(lane);
    store.ready.forget(lane);
  }
}

/** Forgets a task, or a segment: none of it was ever claimed. Gives how many tasks that were. */
function dropStaged(store: Store, key: Buffer): number {
  const span = spanOf(key);
  if (span === undefined) {
    const row = store.row(key);
    if (row === undefined) return 0;
    store.withdraw(row);
    store.tables.tasks.remove(key);
    return 1;
  }
  const segment = store.segments.get(span.segment);
  store.segments.takeSpan(segment.lane, span);
  store.segments.drop(segment);
  return segment.count;
}

/** The keys of tasks, and spans, of a lane that is hidden. */
function* stagedIn(store: Store, lane: number): Iterable<Buffer> {
  yield* readyIn(store, lane);
  for (const at of listsOf(store, lane)) yield* listAt(store, at);
}

/** Those that are ready. Read in pieces, because what is read may be removed meanwhile. */
function* readyIn(store: Store, lane: number): Iterable<Buffer> {
  let start = laneStart(lane);
  for (let page; (page = [...store.tables.ready.getRange({ start, end: laneEnd(lane), limit: piece })]).length > 0;) {
    for (const { value } of page) yield value;
    start = keyAfter(page.at(-1)?.key ?? start);
  }
}

const piece = 1_000;

/** Tasks that wait for their time stand in no lane, so they are listed for as long as they are hidden. */
function putList(store: Store, lane: number, keys: readonly Buffer[]): void {
  putListAt(store, Buffer.from(`${listPrefix(lane)}${store.ledger.nextSequence()}`, "utf8"), keys);
}

const putListAt = (store: Store, at: Buffer, keys: readonly Buffer[]): void =>
  void store.tables.meta.put(at, encodeData(encodeKeys(keys)));

function listAt(store: Store, at: Buffer): readonly Buffer[] {
  const list = store.tables.meta.get(at);
  return list === undefined ? [] : decodeKeys(Buffer.from(decodeData<Uint8Array>(list)));
}

/** Where its lists are. Read one by one, because what is read may be removed meanwhile. */
function* listsOf(store: Store, lane: number): Iterable<Buffer> {
  const prefix = Buffer.from(listPrefix(lane), "utf8");
  const end = Buffer.concat([prefix, Buffer.from([0xff])]);
  const firstFrom = (start: Buffer): Buffer | undefined => [...store.tables.meta.getKeys({ start, end, limit: 1 })][0];
  for (let at = firstFrom(prefix); at !== undefined; at = firstFrom(keyAfter(at))) yield at;
}

const listPrefix = (lane: number): string => `staged:${lane}:`;

function add(keys: Map<number, Buffer[]>, lane: number, key: Buffer): void {
  const known = keys.get(lane);
  if (known === undefined) keys.set(lane, [key]);
  else known.push(key);
}
