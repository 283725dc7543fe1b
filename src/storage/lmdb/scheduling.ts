import { DuplicateNameError, VersionConflictError } from "../../base/errors.ts";
import type { ScheduleId } from "../../schedule/schedule.ts";
import type { TaskId } from "../../task/task.ts";
import { carryOut, type CarriedOut } from "../carry-out.ts";
import { tallied } from "../schedule-tally.ts";
import type { DeleteSchedules, Fire, Firing, PutSchedule } from "../schedule-storage.ts";
import { sizeOf } from "./arrivals.ts";
import { storeOne } from "./enqueue.ts";
import { taskKey } from "./keys.ts";
import type { Schedules } from "./schedules.ts";
import type { Step, Store } from "./store.ts";

/** Roughly what the records of a schedule and their index entries take, without what callers give. */
const overhead = 1_500;

/** The schedules as a list of changes will leave them, as far as that decides whether one of it is refused. */
export class ScheduleChecks {
  readonly #schedules: Schedules;
  readonly #versions = new Map<ScheduleId, { readonly version: number; readonly name: string } | undefined>();
  readonly #owners = new Map<string, ScheduleId | undefined>();

  constructor(schedules: Schedules) {
    this.#schedules = schedules;
  }

  /** @throws DuplicateNameError, VersionConflictError. */
  put({ schedule: { id, version, definition }, ifVersion }: PutSchedule): void {
    const { name } = definition;
    const before = this.#find(id);
    const found = before?.version ?? 0;
    if (found !== ifVersion) throw new VersionConflictError(id, ifVersion, found);
    const owner = this.#owners.has(name) ? this.#owners.get(name) : this.#schedules.named(name);
    if (owner !== undefined && owner !== id) throw new DuplicateNameError(name);
    if (before !== undefined) this.#owners.set(before.name, undefined);
    this.#owners.set(name, id);
    this.#versions.set(id, { version, name });
  }

  remove(ids: readonly ScheduleId[]): void {
    for (const id of ids) {
      const before = this.#find(id);
      if (before !== undefined) this.#owners.set(before.name, undefined);
      this.#versions.set(id, undefined);
    }
  }

  #find(id: ScheduleId): { readonly version: number; readonly name: string } | undefined {
    if (this.#versions.has(id)) return this.#versions.get(id);
    const stored = this.#schedules.get(id);
    return stored === undefined ? undefined : { version: stored.version, name: stored.definition.name };
  }
}

/** @param checks of the list that it is in. */
export function putSchedule(store: Store, change: PutSchedule, checks: ScheduleChecks): Step<void> {
  const { schedule, event, error, now = schedule.updatedAt } = change;
  const { args } = schedule.definition;
  return {
    // Its history keeps it twice more.
    bytes: overhead + args.length * (change.change === undefined ? 1 : 3),
    addsWork: true,
    check: () => checks.put(change),
    apply() {
      store.schedules.put(schedule, change.change);
      if (event !== undefined) store.journal.noteSchedule(event, schedule, now, error === undefined ? {} : { error });
    },
  };
}

/** @param checks of the list that it is in. */
export function deleteSchedules(
  store: Store,
  { ids, now }: DeleteSchedules,
  checks: ScheduleChecks,
): Step<readonly boolean[]> {
  return {
    check: () => checks.remove(ids),
    apply: () =>
      ids.map((id) => {
        const removed = store.schedules.remove(id);
        if (removed !== undefined) store.journal.noteSchedule("schedule.deleted", { id, ...removed }, now);
        return removed !== undefined;
      }),
  };
}

export function fire(store: Store, change: Fire): Step<readonly ((TaskId | undefined)[] | undefined)[]> {
  const { firings } = change;
  return {
    bytes: firings.reduce((sum, { tasks }) => sum + overhead + sizeOf(tasks), 0),
    addsWork: true,
    apply() {
      const { schedules } = store;
      const ids = firings.flatMap(({ tasks }) => tasks.map(({ id }) => id));
      const areApart = store.ids.areApart(ids);
      const exists = (id: TaskId): boolean =>
        areApart ? store.tables.tasks.doesExist(taskKey(id)) : store.exists(taskKey(id));
      const all = { fired: 0, missed: 0, skipped: 0 };
      const answers = firings.map((firing) => {
        const done = fireOne(store, firing, change, exists);
        if (done === undefined) return undefined;
        all.fired += done.fired;
        all.missed += done.missed;
        all.skipped += done.skipped;
        return done.stored;
      });
      if (change.isCounted) schedules.tally = tallied(schedules.tally, all, change.now);
      return answers;
    },
  };
}

function fireOne(
  store: Store,
  firing: Firing,
  { now, isCounted }: Fire,
  exists: (id: TaskId) => boolean,
): CarriedOut | undefined {
  const { schedules } = store;
  const { id } = firing;
  const before = schedules.get(id);
  if (before === undefined || before.version !== firing.version) return undefined;
  const done = carryOut(before, firing, now, {
    exists,
    store: (task) => storeOne(store, task),
    unfinished: () => schedules.unfinished(id),
  });
  schedules.fired(id, done.state, isCounted);
  for (const { type, ...what } of done.events) store.journal.noteSchedule(type, before, now, what);
  return done;
}
