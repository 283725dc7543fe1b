import {
  noResults,
  type ScheduleChange,
  type ScheduleId,
  type ScheduleResults,
  type ScheduleState,
  type ScheduleStatus,
  type StoredSchedule,
} from "../../schedule/schedule.ts";
import type { TaskRequest } from "../../task/task.ts";
import { eventOf } from "../matching.ts";
import { afterEnd, afterStart, scheduleDue, type TaskEnd } from "../schedule-results.ts";
import { noTally, type ScheduleTally } from "../schedule-tally.ts";
import {
  changeKey,
  changeRange,
  scheduleDueKey,
  scheduleEventKey,
  scheduleNameKey,
  scheduleTaskKey,
  taskIdOf,
  taskKey,
} from "./keys.ts";
import { decodeData, encodeData } from "./records.ts";
import { decodeProgress, encodeProgress, scheduleOf, type DefinedRow, type ProgressRow } from "./schedule-rows.ts";
import type { Tables } from "./tables.ts";

/** How many changes of a schedule are kept. */
const keptChanges = 1_000;

/** A schedule that was looked at. */
interface Entry {
  readonly id: ScheduleId;
  readonly key: Buffer;
  /** What is on disk; `undefined` when it is new. */
  stored: ProgressRow | undefined;
  progress: ProgressRow;
  /** Read when it is asked for. */
  defined: DefinedRow | undefined;
  /** The transaction at work has defined it. */
  isPut: boolean;
}

interface Totals {
  readonly tally: ScheduleTally;
  readonly byStatus: Readonly<Partial<Record<ScheduleStatus, number>>>;
}

const totalsKey = Buffer.from("schedules", "utf8");
const nothing = Buffer.alloc(0);

/** What stays at hand: what is found to be due is looked at again when it fires, and when its task ends. */
const mostAtHand = { schedules: 2_000, bytes: 4_000_000 };

/**
 * The schedules of a store, as its transactions change them. What becomes of one is written once per transaction, at its
 * end. Between transactions only the totals are in memory, and the few that were looked at last.
 */
export class Schedules {
  readonly #tables: Tables;
  readonly #entries = new Map<ScheduleId, Entry>();
  /** Those that the transaction at work has changed. */
  readonly #changed = new Set<Entry>();
  /** Of the definitions that are at hand. */
  #bytes = 0;
  #totals: Totals;
  #savedTotals: Totals;

  constructor(tables: Tables) {
    this.#tables = tables;
    const bytes = tables.meta.get(totalsKey);
    this.#totals = bytes === undefined ? { tally: noTally, byStatus: {} } : decodeData<Totals>(bytes);
    this.#savedTotals = this.#totals;
  }

  get(id: ScheduleId): StoredSchedule | undefined {
    const entry = this.#entry(id);
    return entry === undefined ? undefined : scheduleOf(id, this.#definedOf(entry), entry.progress);
  }

  unfinished(id: ScheduleId): number {
    return this.#entry(id)?.progress.results.unfinished ?? 0;
  }

  named(name: string): ScheduleId | undefined {
    const key = this.#tables.scheduleNames.get(scheduleNameKey(name));
    return key === undefined ? undefined : taskIdOf(key);
  }

  get byStatus(): Totals["byStatus"] {
    return this.#totals.byStatus;
  }

  get tally(): ScheduleTally {
    return this.#totals.tally;
  }

  set tally(tally: ScheduleTally) {
    this.#totals = { ...this.#totals, tally };
  }

  /** Stores a schedule; what its tasks have become stays. @param change for its history. */
  put({ id, state, ...defined }: Omit<StoredSchedule, "results">, change?: ScheduleChange): void {
    const before = this.#entry(id);
    const wasDefined = before === undefined ? undefined : this.#definedOf(before);
    const entry: Entry = before ?? newEntry(id, state);
    const { version, createdAt, updatedAt, definition } = defined;
    this.#entries.set(id, entry);
    this.#changed.add(entry);
    entry.isPut = true;
    this.#tables.schedules.put(
      entry.key,
      encodeData({ version, createdAt, updatedAt, definition } satisfies DefinedRow),
    );
    if (wasDefined !== undefined && before !== undefined) this.#leave(before, wasDefined);
    entry.defined = defined;
    entry.progress = { ...entry.progress, state };
    this.#enter(entry, defined);
    if (change !== undefined) this.#remember(entry, change);
  }

  /** What follows from a firing. @param isCounted whether the ends of its tasks count in the totals from now on. */
  fired(id: ScheduleId, state: ScheduleState, isCounted: boolean): void {
    const entry = this.#entry(id);
    if (entry === undefined) return;
    const defined = this.#definedOf(entry);
    this.#changed.add(entry);
    const isMoved = state.status !== entry.progress.state.status;
    if (isMoved) this.#leave(entry, defined);
    entry.progress = { ...entry.progress, state, isCounted };
    if (isMoved) this.#enter(entry, defined);
  }

  /** Gives what is forgotten; `undefined` when there is none. */
  remove(id: ScheduleId): DefinedRow | undefined {
    const entry = this.#entry(id);
    if (entry === undefined) return undefined;
    const defined = this.#definedOf(entry);
    const { schedules, scheduleStates, scheduleDue: dueIndex, scheduleHistory } = this.#tables;
    this.#leave(entry, defined);
    schedules.remove(entry.key);
    scheduleStates.remove(entry.key);
    if (entry.stored?.due !== undefined) dueIndex.remove(scheduleDueKey(entry.stored.due, entry.key));
    for (const key of Array.from(scheduleHistory.getKeys(changeRange(entry.key)))) scheduleHistory.remove(key);
    this.#entries.delete(id);
    this.#changed.delete(entry);
    return defined;
  }

  /** A task was stored, which waits to be run. */
  taskStored(key: Buffer, request: TaskRequest): void {
    if (request.schedule === undefined) return;
    this.#tables.scheduleTasks.put(scheduleTaskKey(taskKey(request.schedule.id), key), nothing);
    this.taskStarted(request);
  }

  /** It is there no more. */
  taskForgotten(key: Buffer, { schedule }: TaskRequest): void {
    if (schedule !== undefined) this.#tables.scheduleTasks.remove(scheduleTaskKey(taskKey(schedule.id), key));
  }

  /** One that had ended waits to be run. */
  taskStarted({ schedule }: TaskRequest): void {
    if (schedule !== undefined) this.#update(schedule.id, afterStart);
  }

  /** One that had not ended has, or is there no more where no end is given. */
  taskEnded({ schedule }: TaskRequest, end?: TaskEnd): void {
    if (schedule !== undefined) this.#update(schedule.id, (results) => afterEnd(results, end));
  }

  /** At the end of each transaction. */
  save(): void {
    for (const entry of this.#changed) {
      const { id, key, stored, isPut } = entry;
      const due = this.#dueOf(entry);
      if (due !== stored?.due) {
        if (stored?.due !== undefined) this.#tables.scheduleDue.remove(scheduleDueKey(stored.due, key));
        if (due !== undefined) this.#tables.scheduleDue.put(scheduleDueKey(due, key), nothing);
      }
      entry.progress = { ...entry.progress, due };
      entry.stored = entry.progress;
      this.#tables.scheduleStates.put(key, encodeProgress(entry.progress));
      // What was given is the caller's.
      if (isPut) this.#entries.delete(id);
    }
    this.#changed.clear();
    if (this.#entries.size > mostAtHand.schedules || this.#bytes > mostAtHand.bytes) {
      this.#entries.clear();
      this.#bytes = 0;
    }
    if (this.#totals === this.#savedTotals) return;
    this.#tables.meta.put(totalsKey, encodeData(this.#totals));
    this.#savedTotals = this.#totals;
  }

  #dueOf(entry: Entry): number | undefined {
    const { stored, progress, isPut } = entry;
    const { state, results } = progress;
    // Whatever its tasks become, one that waits for a slot goes on to do so.
    const isStill = !isPut && stored?.state === state;
    if (isStill && (state.status !== "active" || (state.nextSlot !== undefined && state.pendingSlot === undefined)))
      return stored.due;
    const { definition, updatedAt } = this.#definedOf(entry);
    return scheduleDue({ definition, updatedAt, state, results });
  }

  #update(id: ScheduleId, change: (results: ScheduleResults) => ScheduleResults): void {
    const entry = this.#entry(id);
    if (entry === undefined) return;
    this.#changed.add(entry);
    const before = entry.progress.results;
    const results = change(before);
    entry.progress = { ...entry.progress, results };
    const succeeded = results.successCount - before.successCount;
    const failed = results.errorCount - before.errorCount;
    if (!entry.progress.isCounted || succeeded + failed === 0) return;
    const { tally } = this;
    this.tally = { ...tally, succeeded: tally.succeeded + succeeded, failed: tally.failed + failed };
  }

  #entry(id: ScheduleId): Entry | undefined {
    const known = this.#entries.get(id);
    if (known !== undefined) return known;
    const key = taskKey(id);
    const bytes = this.#tables.scheduleStates.get(key);
    if (bytes === undefined) return undefined;
    const stored = decodeProgress(bytes);
    const entry: Entry = { id, key, stored, progress: stored, defined: undefined, isPut: false };
    this.#entries.set(id, entry);
    return entry;
  }

  #definedOf(entry: Entry): DefinedRow {
    if (entry.defined !== undefined) return entry.defined;
    const bytes = this.#tables.schedules.get(entry.key);
    if (bytes === undefined) throw new Error("A schedule has a state and no definition.");
    entry.defined = decodeData<DefinedRow>(bytes);
    this.#bytes += bytes.length;
    return entry.defined;
  }

  #enter({ key, progress: { state } }: Entry, { definition }: DefinedRow): void {
    this.#tables.scheduleNames.put(scheduleNameKey(definition.name), key);
    const event = listensTo(definition, state);
    if (event !== undefined) this.#tables.scheduleEvents.put(scheduleEventKey(event, key), nothing);
    this.#count(state.status, 1);
  }

  #leave({ key, progress: { state } }: Entry, { definition }: DefinedRow): void {
    this.#tables.scheduleNames.remove(scheduleNameKey(definition.name));
    const event = listensTo(definition, state);
    if (event !== undefined) this.#tables.scheduleEvents.remove(scheduleEventKey(event, key));
    this.#count(state.status, -1);
  }

  #count(status: ScheduleStatus, by: number): void {
    const { byStatus } = this.#totals;
    this.#totals = { ...this.#totals, byStatus: { ...byStatus, [status]: (byStatus[status] ?? 0) + by } };
  }

  #remember(entry: Entry, change: ScheduleChange): void {
    const changes = entry.progress.changes + 1;
    entry.progress = { ...entry.progress, changes };
    this.#tables.scheduleHistory.put(changeKey(entry.key, changes), encodeData(change));
    if (changes > keptChanges) this.#tables.scheduleHistory.remove(changeKey(entry.key, changes - keptChanges));
  }
}

const newEntry = (id: ScheduleId, state: ScheduleState): Entry => ({
  id,
  key: taskKey(id),
  stored: undefined,
  progress: { state, results: noResults, isCounted: false, changes: 0, due: undefined },
  defined: undefined,
  isPut: true,
});

/** The event on which it fires as it is now. */
const listensTo = (definition: StoredSchedule["definition"], { status }: ScheduleState): string | undefined =>
  status === "active" ? eventOf(definition) : undefined;
