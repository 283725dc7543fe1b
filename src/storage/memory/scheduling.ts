import { DuplicateNameError, VersionConflictError } from "../../base/errors.ts";
import type { ScheduleId, StoredSchedule } from "../../schedule/schedule.ts";
import type { TaskId } from "../../task/task.ts";
import { carryOut } from "../carry-out.ts";
import { isScheduleMatch } from "../matching.ts";
import { tallied } from "../schedule-tally.ts";
import type { DeleteSchedules, Fire, Firing, PutSchedule, SchedulePage, ScheduleQuery } from "../schedule-storage.ts";
import { store } from "./enqueueing.ts";
import type { Ledger } from "./ledger.ts";

export function putSchedule(ledger: Ledger, { schedule, ifVersion, change, event, now, error }: PutSchedule): void {
  const { schedules } = ledger;
  const { id, definition, updatedAt } = schedule;
  const version = schedules.get(id)?.version ?? 0;
  if (version !== ifVersion) throw new VersionConflictError(id, ifVersion, version);
  if ((schedules.named(definition.name) ?? id) !== id) throw new DuplicateNameError(definition.name);
  schedules.put(schedule, change);
  if (event !== undefined) ledger.noteSchedule(event, schedule, now ?? updatedAt, error === undefined ? {} : { error });
}

export const deleteSchedules = (ledger: Ledger, { ids, now }: DeleteSchedules): boolean[] =>
  ids.map((id) => {
    const schedule = ledger.schedules.get(id);
    if (schedule === undefined) return false;
    ledger.schedules.remove(id);
    ledger.noteSchedule("schedule.deleted", schedule, now);
    return true;
  });

export const fire = (ledger: Ledger, change: Fire): ((TaskId | undefined)[] | undefined)[] =>
  change.firings.map((firing) => fireOne(ledger, firing, change));

function fireOne(ledger: Ledger, firing: Firing, { now, isCounted }: Fire): (TaskId | undefined)[] | undefined {
  const { schedules } = ledger;
  const before = schedules.get(firing.id);
  if (before === undefined || before.version !== firing.version) return undefined;
  schedules.setCounted(firing.id, isCounted);
  const done = carryOut(before, firing, now, {
    exists: (id) => ledger.get(id) !== undefined,
    store: (task) => store(ledger, task),
    unfinished: () => schedules.get(firing.id)?.results.unfinished ?? 0,
  });
  if (firing.plan !== undefined) schedules.put({ ...before, state: done.state });
  for (const { type, ...what } of done.events) ledger.noteSchedule(type, before, now, what);
  if (isCounted) schedules.tally = tallied(schedules.tally, done, now);
  return done.stored;
}

export function findSchedules({ schedules }: Ledger, query: ScheduleQuery, limit: number): SchedulePage {
  const found: StoredSchedule[] = [];
  for (const id of candidates(schedules, query)) {
    const schedule = schedules.get(id);
    if (schedule === undefined || !isScheduleMatch(schedule, query)) continue;
    const last = found.at(-1);
    if (found.length >= limit && last !== undefined) return { schedules: found, cursor: last.id };
    found.push(schedule);
  }
  return { schedules: found };
}

/** Schedules behind the cursor, in order, of which some may not be asked for. */
function candidates(
  schedules: Ledger["schedules"],
  { ids, name, event, cursor = "" }: ScheduleQuery,
): Iterable<ScheduleId> {
  const few =
    ids ?? (name === undefined ? undefined : [schedules.named(name) ?? ""]) ?? (event && schedules.onEvent(event));
  if (few === undefined || few === "") return schedules.ids.after(cursor);
  return [...new Set(few)].filter((id) => id > cursor).sort();
}
