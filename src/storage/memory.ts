import { ClosedError } from "../base/errors.ts";
import type { EpochMs } from "../base/clock.ts";
import type { ScheduleChange, ScheduleId, StoredSchedule } from "../schedule/schedule.ts";
import type { StoredEvent } from "../task/event.ts";
import { taskStates } from "../task/state.ts";
import type { Payload, StoredTask, TaskId } from "../task/task.ts";
import { claim, extend, settle } from "./memory/attempts.ts";
import { enqueue, publish, stage } from "./memory/enqueueing.ts";
import { countOf, Ledger } from "./memory/ledger.ts";
import { interrupt } from "./memory/moves.ts";
import { noNotes, note } from "./memory/notes.ts";
import { deleteSchedules, findSchedules, fire, putSchedule } from "./memory/scheduling.ts";
import { advance, cancel, configureQueue, forget, moveTo, prune, requeue, unpark } from "./memory/upkeep.ts";
import { isTaskMatch } from "./matching.ts";
import { firedLastDay } from "./schedule-tally.ts";
import type { SchedulePage, ScheduleQuery, ScheduleTotals } from "./schedule-storage.ts";
import type {
  AnswerTo,
  Change,
  Counts,
  EventQuery,
  Opened,
  QueueRecord,
  StateCounts,
  Storage,
  StorageSettings,
  TaskNotes,
  TaskPage,
  TaskQuery,
} from "./storage.ts";

/**
 * A storage in this thread's memory: `close` forgets everything. Opening it again without closing it is what a crash
 * is to other storages: claims are taken back, what was staged is gone. Payloads are kept as they are given, not
 * copied.
 */
export const memoryStorage = (): Storage => new MemoryStorage();

const longestPage = 1_000;

class MemoryStorage implements Storage {
  #current: Ledger | undefined;
  #isClosed = false;

  async open(settings: StorageSettings): Promise<Opened> {
    if (this.#isClosed) throw new ClosedError("The storage");
    const ledger = new Ledger(settings, this.#current);
    const claimed = [...ledger.versions()].filter(({ task }) => task.life.state === "running");
    // Whether these were started is not known, so the attempt is not counted.
    ledger.atomically(() => {
      for (const version of claimed) interrupt(ledger, version, settings.now, version.task.life.attempt - 1);
    });
    this.#current = ledger;
    return { epoch: ledger.epoch, interrupted: claimed.length };
  }

  async commit<const C extends readonly Change[]>(changes: C): Promise<{ -readonly [K in keyof C]: AnswerTo<C[K]> }> {
    const ledger = this.#ledger();
    const answers: unknown = ledger.atomically(() => changes.map((change) => apply(ledger, change)));
    return answers as { -readonly [K in keyof C]: AnswerTo<C[K]> };
  }

  async get(ids: readonly TaskId[]): Promise<(StoredTask | undefined)[]> {
    const ledger = this.#ledger();
    return ids.map((id) => ledger.get(id)?.task);
  }

  async list(query: TaskQuery): Promise<TaskPage> {
    const ledger = this.#ledger();
    const limit = Math.min(query.limit, longestPage);
    const tasks: StoredTask[] = [];
    for (const id of ledger.ids.after(query.cursor)) {
      const task = ledger.get(id)?.task;
      if (task === undefined || !isTaskMatch(task, query)) continue;
      const last = tasks.at(-1);
      if (tasks.length >= limit && last !== undefined) return { tasks, cursor: last.id };
      tasks.push(task);
    }
    return { tasks };
  }

  async result(id: TaskId): Promise<Payload | undefined> {
    return this.#ledger().get(id)?.result;
  }

  async notes(id: TaskId): Promise<TaskNotes> {
    const { checkpoints: _checkpoints, ...notes } = this.#ledger().notes.get(id) ?? noNotes;
    return notes;
  }

  async checkpoint(id: TaskId, key: string): Promise<Payload | undefined> {
    return this.#ledger().notes.get(id)?.checkpoints.get(key);
  }

  async events(query: EventQuery): Promise<readonly StoredEvent[]> {
    return this.#ledger().events.query({ ...query, limit: Math.min(query.limit, longestPage) });
  }

  async schedules(query: ScheduleQuery): Promise<SchedulePage> {
    return findSchedules(this.#ledger(), query, Math.min(query.limit, longestPage));
  }

  async dueSchedules(now: EpochMs, limit: number): Promise<readonly StoredSchedule[]> {
    return this.#ledger().schedules.due(now, limit);
  }

  async scheduleHistory(id: ScheduleId, limit: number): Promise<readonly ScheduleChange[]> {
    return this.#ledger().schedules.history(id).slice(0, limit);
  }

  async scheduleTotals(now: EpochMs): Promise<ScheduleTotals> {
    const { byStatus, tally } = this.#ledger().schedules;
    const { hours: _hours, ...totals } = tally;
    const statuses = [...byStatus].filter(([, count]) => count > 0);
    return { byStatus: Object.fromEntries(statuses), ...totals, firedLastDay: firedLastDay(tally, now) };
  }

  async counts(): Promise<Counts> {
    const { queues: known, totals } = this.#ledger();
    const queues = new Map<string, StateCounts>();
    for (const [name, queue] of known) {
      const states = taskStates.filter((state) => countOf(queue, state) > 0);
      if (states.length > 0)
        queues.set(name, Object.fromEntries(states.map((state) => [state, countOf(queue, state)])));
    }
    const parked = [...(await this.parked()).values()].reduce((sum, count) => sum + count, 0);
    return { queues, parked, totals: { ...totals } };
  }

  async queues(): Promise<readonly QueueRecord[]> {
    return [...this.#ledger().queues.values()].map(({ record }) => record);
  }

  async parked(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    for (const [handler, { size }] of this.#ledger().parked) if (size > 0) counts.set(handler, size);
    return counts;
  }

  async nextDue(): ReturnType<Storage["nextDue"]> {
    const { waiting, finished, events, settings, rates, schedules } = this.#ledger();
    const none = Number.POSITIVE_INFINITY;
    const advanceAt = Math.min(waiting.peek()?.due ?? none, rates.heldUntil ?? none);
    const eventAt = events.oldestAt();
    const pruneAt = Math.min(
      finished.peek()?.due ?? none,
      eventAt === undefined ? none : eventAt + settings.retention.eventsMs,
    );
    return {
      ...(advanceAt === none ? undefined : { advance: advanceAt }),
      ...(pruneAt === none ? undefined : { prune: pruneAt }),
      ...(schedules.nextDue === undefined ? undefined : { schedule: schedules.nextDue }),
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#current = undefined;
  }

  #ledger(): Ledger {
    if (this.#current === undefined) throw new ClosedError("The storage");
    return this.#current;
  }
}

function apply(ledger: Ledger, change: Change): unknown {
  switch (change.type) {
    case "enqueue":
      return enqueue(ledger, change);
    case "claim":
      return claim(ledger, change);
    case "settle":
      return settle(ledger, change);
    case "note":
      return note(ledger, change);
    case "advance":
      return advance(ledger, change);
    case "cancel":
      return cancel(ledger, change);
    case "requeue":
      return requeue(ledger, change);
    case "move":
      return moveTo(ledger, change);
    case "delete":
      return forget(ledger, change);
    case "unpark":
      return unpark(ledger, change);
    case "stage":
      return stage(ledger, change);
    case "publish":
      return publish(ledger, change);
    case "extend":
      return extend(ledger, change);
    case "configureQueue":
      return configureQueue(ledger, change);
    case "putSchedule":
      return putSchedule(ledger, change);
    case "deleteSchedules":
      return deleteSchedules(ledger, change);
    case "fire":
      return fire(ledger, change);
    case "prune":
      return prune(ledger, change);
  }
}
