import type { EpochMs } from "../../base/clock.ts";
import {
  noResults,
  type ScheduleChange,
  type ScheduleId,
  type ScheduleResults,
  type ScheduleStatus,
  type StoredSchedule,
} from "../../schedule/schedule.ts";
import type { StoredTask } from "../../task/task.ts";
import { isTerminal } from "../../task/state.ts";
import { Heap } from "../heap.ts";
import { eventOf } from "../matching.ts";
import { afterEnd, afterStart, scheduleDue } from "../schedule-results.ts";
import { noTally, type ScheduleTally } from "../schedule-tally.ts";
import { SortedIds } from "./sorted-ids.ts";

/** How many changes of a schedule are kept. */
const keptChanges = 1_000;

/** A schedule as it is between two changes. */
interface Version {
  readonly schedule: StoredSchedule;
  /** Its last firing counted in the totals, so the ends of its tasks do. */
  readonly isCounted: boolean;
  /** Newest first. */
  readonly history: readonly ScheduleChange[];
  readonly due: EpochMs;
  /** It is what the schedule is now: not replaced, not removed. */
  isCurrent: boolean;
}

const isDueBefore = (a: Version, b: Version): boolean =>
  a.due === b.due ? a.schedule.id < b.schedule.id : a.due < b.due;

/** All schedules with their indexes, which follow from the schedules alone. */
export class Schedules {
  readonly ids: SortedIds;
  readonly #versions = new Map<ScheduleId, Version>();
  readonly #byName = new Map<string, ScheduleId>();
  readonly #byEvent = new Map<string, Set<ScheduleId>>();
  readonly #byStatus = new Map<ScheduleStatus, number>();
  readonly #due = new Heap<Version>(isDueBefore, ({ isCurrent }) => isCurrent);
  readonly #onUndo: (undo: () => void) => void;
  #tally = noTally;

  /** @param onUndo is given what undoes each change. @param earlier what the opening before this one left behind. */
  constructor(onUndo: (undo: () => void) => void, earlier?: Schedules) {
    this.ids = new SortedIds(this.#versions);
    this.#onUndo = onUndo;
    if (earlier === undefined) return;
    for (const [id, version] of earlier.#versions) this.#replace(id, { ...version });
    this.#tally = earlier.#tally;
  }

  get(id: ScheduleId): StoredSchedule | undefined {
    return this.#versions.get(id)?.schedule;
  }

  named(name: string): ScheduleId | undefined {
    return this.#byName.get(name);
  }

  /** Active ones that fire on this event. */
  onEvent(event: string): ReadonlySet<ScheduleId> {
    return this.#byEvent.get(event) ?? new Set();
  }

  history(id: ScheduleId): readonly ScheduleChange[] {
    return this.#versions.get(id)?.history ?? [];
  }

  get byStatus(): ReadonlyMap<ScheduleStatus, number> {
    return this.#byStatus;
  }

  /** When the first is due. */
  get nextDue(): EpochMs | undefined {
    return this.#due.peek()?.due;
  }

  due(now: EpochMs, limit: number): StoredSchedule[] {
    const found: Version[] = [];
    for (let first = this.#due.peek(); first !== undefined && first.due <= now; first = this.#due.peek()) {
      if (found.length === limit) break;
      this.#due.pop();
      found.push(first);
    }
    for (const version of found) this.#due.push(version);
    return found.map(({ schedule }) => schedule);
  }

  get tally(): ScheduleTally {
    return this.#tally;
  }

  set tally(tally: ScheduleTally) {
    const previous = this.#tally;
    this.#tally = tally;
    this.#onUndo(() => (this.#tally = previous));
  }

  /** Stores a schedule; what its tasks have become stays. @param change for its history. */
  put(schedule: Omit<StoredSchedule, "results">, change?: ScheduleChange): void {
    const { history = [], isCounted = false, schedule: before } = this.#versions.get(schedule.id) ?? {};
    this.#keep({
      schedule: { ...schedule, results: before?.results ?? noResults },
      isCounted,
      history: change === undefined ? history : [change, ...history].slice(0, keptChanges),
    });
  }

  /** From now on, the ends of its tasks count in the totals, or do not. */
  setCounted(id: ScheduleId, isCounted: boolean): void {
    const version = this.#versions.get(id);
    if (version !== undefined) this.#keep({ ...version, isCounted });
  }

  remove(id: ScheduleId): void {
    this.#replace(id, undefined);
  }

  /** A task has become another; `undefined` where there was none, or is none. */
  taskMoved(before: StoredTask | undefined, after: StoredTask | undefined): void {
    const [was, is] = [waitingFor(before), waitingFor(after)];
    if (was === is) return;
    if (was !== undefined) {
      const life = after?.request.schedule?.id === was ? after.life : undefined;
      this.#update(was, (results) => afterEnd(results, life));
    }
    if (is !== undefined) this.#update(is, afterStart);
  }

  #update(id: ScheduleId, change: (results: ScheduleResults) => ScheduleResults): void {
    const version = this.#versions.get(id);
    if (version === undefined) return;
    const { schedule, isCounted } = version;
    const results = change(schedule.results);
    this.#keep({ ...version, schedule: { ...schedule, results } });
    if (!isCounted) return;
    const succeeded = results.successCount - schedule.results.successCount;
    const failed = results.errorCount - schedule.results.errorCount;
    const { tally } = this;
    this.tally = { ...tally, succeeded: tally.succeeded + succeeded, failed: tally.failed + failed };
  }

  #keep(version: Omit<Version, "due" | "isCurrent">): void {
    const due = scheduleDue(version.schedule) ?? Number.POSITIVE_INFINITY;
    this.#replace(version.schedule.id, { ...version, due, isCurrent: false });
  }

  #replace(id: ScheduleId, next: Version | undefined): void {
    const previous = this.#versions.get(id);
    if (previous !== undefined) this.#leave(previous);
    if (next === undefined) this.#versions.delete(id);
    else this.#versions.set(id, next);
    if (next !== undefined) this.#enter(next);
    if (previous === undefined) this.ids.added(id);
    else if (next === undefined) this.ids.removed();
    // Another object: indexes may still hold this one, which is no longer current.
    this.#onUndo(() => this.#replace(id, previous && { ...previous }));
  }

  #enter(version: Version): void {
    version.isCurrent = true;
    const { id, definition, state } = version.schedule;
    this.#byName.set(definition.name, id);
    this.#byStatus.set(state.status, (this.#byStatus.get(state.status) ?? 0) + 1);
    if (version.due < Number.POSITIVE_INFINITY) this.#due.push(version);
    const event = eventOf(definition);
    if (event === undefined || state.status !== "active") return;
    const listeners = this.#byEvent.get(event);
    if (listeners === undefined) this.#byEvent.set(event, new Set([id]));
    else listeners.add(id);
  }

  #leave(version: Version): void {
    version.isCurrent = false;
    const { id, definition, state } = version.schedule;
    this.#byName.delete(definition.name);
    this.#byStatus.set(state.status, (this.#byStatus.get(state.status) ?? 0) - 1);
    if (version.due < Number.POSITIVE_INFINITY) this.#due.forget();
    const event = eventOf(definition);
    if (event !== undefined) this.#byEvent.get(event)?.delete(id);
  }
}

/** The schedule that waits for the end of the task. */
const waitingFor = (task: StoredTask | undefined): ScheduleId | undefined =>
  task === undefined || isTerminal(task.life.state) ? undefined : task.request.schedule?.id;
