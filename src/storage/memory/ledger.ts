import type { EpochMs } from "../../base/clock.ts";
import type { StoredSchedule } from "../../schedule/schedule.ts";
import {
  isKept,
  type ScheduleEvent,
  type ScheduleEventType,
  type TaskEvent,
  type TaskEventType,
} from "../../task/event.ts";
import { isTerminal, type TaskState } from "../../task/state.ts";
import { handlerKey, type Payload, type StoredTask, type TaskId, type TaskRequest } from "../../task/task.ts";
import { isLined, linesOf, type KeyLine } from "../key-lines.ts";
import { newQueue } from "../queue-record.ts";
import { KeyRates } from "../key-rates.ts";
import { Rates } from "../rates.ts";
import { Turns } from "../routing.ts";
import type { NewTask, QueueRecord, StorageSettings, Totals } from "../storage.ts";
import { EventLog } from "./event-log.ts";
import { Heap } from "../heap.ts";
import { Lines } from "./lines.ts";
import type { KeptNotes } from "./notes.ts";
import { Ready } from "./ready.ts";
import { Schedules } from "./schedules.ts";
import { SortedIds } from "./sorted-ids.ts";

/** A task as it is between two changes. Indexes hold versions, and drop those that are no longer current. */
export interface Version {
  readonly task: StoredTask;
  /** The order tasks were accepted in. */
  readonly sequence: number;
  /** When the claim of a running task ends. */
  readonly leaseEnd: EpochMs | undefined;
  readonly result: Payload | undefined;
  /** When time alone changes it next: `advance` for unfinished tasks, `prune` for finished ones. */
  readonly due: EpochMs;
  /** It is what the task is now: not replaced, not removed. */
  isCurrent: boolean;
}

export interface Queue {
  record: QueueRecord;
  readonly counts: Map<TaskState, number>;
  /** Who has a dedupe key. */
  readonly keys: Map<string, TaskId>;
}

/** Ready tasks of one queue, name and executor. */
export interface Lane {
  readonly queue: string;
  readonly name: string;
  readonly executor: string | undefined;
  readonly ready: Ready;
}

const isCurrent = (version: Version): boolean => version.isCurrent;
const isDueBefore = (a: Version, b: Version): boolean => a.due < b.due;

export const countOf = (queue: Queue | undefined, state: TaskState): number => queue?.counts.get(state) ?? 0;

/**
 * All tasks with their indexes, which follow from the tasks alone: `put` and `remove` keep them, and undoing a change
 * is putting back what was there.
 */
export class Ledger {
  /** Attempts of running tasks that were deleted, by id. */
  readonly buried = new Map<TaskId, number>();
  readonly epoch: number;
  readonly settings: StorageSettings;
  readonly queues = new Map<string, Queue>();
  readonly lanes = new Map<string, Lane>();
  /** Running tasks by name. */
  readonly runningAs = new Map<string, number>();
  readonly rates: Rates;
  readonly lines: Lines;
  readonly turns: Turns;
  /** By what they wait for, see `handlerKey`. */
  readonly parked = new Map<string, Set<Version>>();
  readonly stages = new Map<string, readonly (readonly NewTask[])[]>();
  readonly events: EventLog;
  readonly notes: Map<TaskId, KeptNotes>;
  readonly schedules: Schedules;
  /** What `advance` is for, soonest first. */
  readonly waiting: Heap<Version>;
  /** What `prune` is for, soonest first. */
  readonly finished: Heap<Version>;
  readonly ids: SortedIds;
  totals: { -readonly [K in keyof Totals]: Totals[K] };
  readonly #versions = new Map<TaskId, Version>();
  #lastSequence: number;
  #undo: (() => void)[] = [];

  /** @param earlier what the opening before this one left behind. */
  constructor(settings: StorageSettings, earlier?: Ledger) {
    this.settings = settings;
    this.waiting = new Heap(isDueBefore, isCurrent);
    this.finished = new Heap(isDueBefore, isCurrent);
    this.ids = new SortedIds(this.#versions);
    this.epoch = (earlier?.epoch ?? 0) + 1;
    this.events = earlier?.events ?? new EventLog();
    this.notes = new Map(earlier?.notes);
    this.schedules = new Schedules((undo) => this.#undo.push(undo), earlier?.schedules);
    this.totals = earlier?.totals ?? { enqueued: 0, completed: 0, failed: 0, retried: 0, interrupted: 0, late: 0 };
    this.#lastSequence = earlier?.nextSequence() ?? 0;
    this.turns = new Turns(settings.routing);
    this.rates = new Rates(earlier?.rates.all(), undefined, new KeyRates(earlier?.rates.keys.all()));
    this.rates.convertNames(settings.names);
    this.lines = new Lines(this.rates.keys, ({ task: { request } }) => {
      if (!isLined(request)) return none;
      return linesOf(request, settings.names?.get(request.name), this.queues.get(request.queue)?.record);
    });
    for (const { record } of earlier?.queues.values() ?? []) this.queue(record.name).record = record;
    for (const version of earlier?.versions() ?? []) this.#place(version);
    this.#undo = [];
  }

  get(id: TaskId): Version | undefined {
    return this.#versions.get(id);
  }

  versions(): Iterable<Version> {
    return this.#versions.values();
  }

  put(version: Omit<Version, "due" | "isCurrent">): void {
    const { task } = version;
    const before = this.get(task.id)?.task;
    this.#place(version);
    this.schedules.taskMoved(before, task);
  }

  #place({ task, sequence, leaseEnd, result }: Omit<Version, "due" | "isCurrent">): void {
    const due = isTerminal(task.life.state)
      ? Math.min(this.#resultEnd(task, result), this.recordEnd(task))
      : nextMove(task, leaseEnd);
    this.#replace(task.id, { task, sequence, leaseEnd, result, due, isCurrent: false });
  }

  remove(id: TaskId): void {
    const before = this.get(id)?.task;
    this.#replace(id, undefined);
    this.schedules.taskMoved(before, undefined);
    if (this.notes.has(id)) this.keepNotes(id, undefined);
  }

  keepNotes(id: TaskId, notes: KeptNotes | undefined): void {
    const previous = this.notes.get(id);
    assign(this.notes, id, notes);
    this.#undo.push(() => assign(this.notes, id, previous));
  }

  nextSequence(): number {
    this.#lastSequence += 1;
    return this.#lastSequence;
  }

  /** The queue of this name; it is made where there is none. */
  queue(name: string): Queue {
    const known = this.queues.get(name);
    if (known !== undefined) return known;
    const queue: Queue = { record: newQueue(name), counts: new Map(), keys: new Map() };
    this.queues.set(name, queue);
    this.#undo.push(() => this.queues.delete(name));
    return queue;
  }

  configure(queue: Queue, record: QueueRecord): void {
    const previous = queue.record;
    queue.record = record;
    this.#undo.push(() => (queue.record = previous));
    this.lines.reconfigured();
  }

  #laneOf({ task }: Version): Lane {
    const { queue, name, executor } = task.request;
    const key = `${queue}\0${name}\0${executor ?? ""}`;
    let lane = this.lanes.get(key);
    if (lane === undefined) {
      lane = { queue, name, executor, ready: new Ready() };
      this.lanes.set(key, lane);
    }
    return lane;
  }

  /** What is gathered under this name; `undefined` forgets it. */
  stage(name: string, pieces: readonly (readonly NewTask[])[] | undefined): void {
    const previous = this.stages.get(name);
    assign(this.stages, name, pieces);
    this.#undo.push(() => assign(this.stages, name, previous));
  }

  /** Keeps an event, if the settings say so. */
  note(
    type: TaskEventType,
    { id, request, life }: StoredTask,
    at: EpochMs,
    why?: Pick<TaskEvent, "reason" | "error">,
  ): void {
    if (!isKept(type, this.settings.events)) return;
    const { name, queue } = request;
    const event = { type, at, taskId: id, name, queue, attempt: life.attempt, ...why };
    this.events.append(event, this.settings.onEvents !== undefined);
  }

  /** Keeps an event of a schedule, if the settings say so. */
  noteSchedule(
    type: ScheduleEventType,
    { id, definition }: Pick<StoredSchedule, "id" | "definition">,
    at: EpochMs,
    what?: Pick<ScheduleEvent, "count" | "error">,
  ): void {
    if (!isKept(type, this.settings.events)) return;
    const event = { type, at, scheduleId: id, name: definition.name, ...what };
    this.events.append(event, this.settings.onEvents !== undefined);
  }

  /** When nothing is left to keep of a finished task. */
  recordEnd({ request, life }: StoredTask): EpochMs {
    return (life.finishedAt ?? 0) + Math.max(this.#retentionOf(life.state), request.resultTtlMs ?? 0);
  }

  /** Does `work` and tells what happened; where it throws, everything is as it was before. */
  atomically<T>(work: () => T): T {
    const totals = { ...this.totals };
    const undoEvents = this.events.mark();
    let answer: T;
    try {
      answer = work();
    } catch (error) {
      // Undoing is replacing too, so the list grows while it is worked off.
      const done = this.#undo;
      this.#undo = [];
      for (const undo of done.reverse()) undo();
      this.totals = totals;
      undoEvents();
      throw error;
    } finally {
      this.#undo = [];
    }
    const events = this.events.takeToTell();
    if (events.length > 0) this.settings.onEvents?.(events);
    return answer;
  }

  #resultEnd({ request, life }: StoredTask, result: Payload | undefined): EpochMs {
    if (result === undefined) return Number.POSITIVE_INFINITY;
    return (life.finishedAt ?? 0) + (request.resultTtlMs ?? this.#retentionOf(life.state));
  }

  #retentionOf(state: TaskState): number {
    const { completedMs, failedMs } = this.settings.retention;
    return state === "failed" ? failedMs : completedMs;
  }

  #replace(id: TaskId, next: Version | undefined): void {
    const previous = this.#versions.get(id);
    assign(this.#versions, id, next);
    if (previous !== undefined) this.#leave(previous);
    if (next !== undefined) this.#enter(next);
    if (previous === undefined) this.ids.added(id);
    else if (next === undefined) this.ids.removed();
    // Another object: indexes may still hold this one, which is no longer current.
    this.#undo.push(() => this.#replace(id, previous && { ...previous }));
  }

  #enter(version: Version): void {
    version.isCurrent = true;
    const { id, request, life } = version.task;
    const queue = this.queue(request.queue);
    this.#count(version, 1);
    if (life.parked === true) this.#parkedFor(request).add(version);
    else if (life.state === "ready") this.#laneOf(version).ready.push(version);
    if (version.due < Number.POSITIVE_INFINITY) this.#timesOf(life.state).push(version);
    if (isTerminal(life.state)) return;
    if (request.dedupeKey !== undefined) queue.keys.set(request.dedupeKey, id);
    this.lines.enter(version, life.state === "running");
  }

  #leave(version: Version): void {
    version.isCurrent = false;
    const { request, life } = version.task;
    const queue = this.queue(request.queue);
    this.#count(version, -1);
    if (life.parked === true) this.#parkedFor(request).delete(version);
    else if (life.state === "ready") this.#laneOf(version).ready.forget(version);
    if (version.due < Number.POSITIVE_INFINITY) this.#timesOf(life.state).forget();
    if (isTerminal(life.state)) return;
    if (request.dedupeKey !== undefined) queue.keys.delete(request.dedupeKey);
    this.lines.leave(version, life.state === "running");
  }

  #count({ task: { request, life } }: Version, by: number): void {
    const { counts } = this.queue(request.queue);
    counts.set(life.state, (counts.get(life.state) ?? 0) + by);
    if (life.state === "running") this.runningAs.set(request.name, (this.runningAs.get(request.name) ?? 0) + by);
  }

  /** A task that was claimed did not start: rate limits count it no more. */
  unstarted(request: TaskRequest): void {
    this.rates.unstarted(request, this.settings.names?.get(request.name), this.queue(request.queue).record);
  }

  #timesOf(state: TaskState): Heap<Version> {
    return isTerminal(state) ? this.finished : this.waiting;
  }

  #parkedFor(request: TaskRequest): Set<Version> {
    const handler = handlerKey(request);
    let versions = this.parked.get(handler);
    if (versions === undefined) {
      versions = new Set();
      this.parked.set(handler, versions);
    }
    return versions;
  }
}

const nextMove = ({ request, life }: StoredTask, leaseEnd: EpochMs | undefined): EpochMs =>
  life.state === "running"
    ? (leaseEnd ?? Number.POSITIVE_INFINITY)
    : Math.min(life.runAt ?? Number.POSITIVE_INFINITY, request.expiresAt ?? Number.POSITIVE_INFINITY);

function assign<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

const none: readonly KeyLine[] = [];
