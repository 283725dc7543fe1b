import type { EpochMs } from "../../base/clock.ts";
import type { ScheduleChange, ScheduleId, StoredSchedule } from "../../schedule/schedule.ts";
import { isScheduleMatch } from "../matching.ts";
import { firedLastDay } from "../schedule-tally.ts";
import type { SchedulePage, ScheduleQuery, ScheduleTotals } from "../schedule-storage.ts";
import {
  changeRange,
  keyAfter,
  scheduleDueAt,
  scheduleDueEnd,
  scheduleEventRange,
  scheduleInDue,
  scheduleInEvent,
  scheduleNameKey,
  taskIdOf,
  taskKey,
} from "./keys.ts";
import { decodeData } from "./records.ts";
import { decodeProgress, scheduleOf, type DefinedRow } from "./schedule-rows.ts";
import type { Store } from "./store.ts";
import type { Tables } from "./tables.ts";

/** How many records are looked at before the event loop gets a turn. */
const piece = 1_000;
const largestPage = 1_000;

/** Looks through what may be asked for in order of key, a piece at a time; by its state first, which is small. */
export async function findSchedules({ tables }: Store, query: ScheduleQuery): Promise<SchedulePage> {
  const schedules: StoredSchedule[] = [];
  const limit = Math.min(query.limit, largestPage);
  const few = fewKeys(tables, query);
  let start = query.cursor === undefined ? Buffer.from([0]) : keyAfter(taskKey(query.cursor));
  for (;;) {
    const keys = few === undefined ? nextKeys(tables, query, start) : few.filter((key) => key.compare(start) >= 0);
    for (const key of keys) {
      const schedule = load(tables, key, query);
      if (schedule === undefined || !isScheduleMatch(schedule, query)) continue;
      const last = schedules.at(-1);
      if (schedules.length >= limit && last !== undefined) return { schedules, cursor: last.id };
      schedules.push(schedule);
    }
    const last = keys.at(-1);
    if (few !== undefined || last === undefined) return { schedules };
    start = keyAfter(last);
    await new Promise(setImmediate);
  }
}

/** The keys of what may be asked for, in order, where the query says which. */
function fewKeys({ scheduleNames }: Tables, { ids, name }: ScheduleQuery): Buffer[] | undefined {
  if (ids !== undefined) return [...new Set(ids)].map(taskKey).sort((a, b) => a.compare(b));
  if (name === undefined) return undefined;
  const key = scheduleNames.get(scheduleNameKey(name));
  return key === undefined ? [] : [key];
}

function nextKeys(tables: Tables, { event }: ScheduleQuery, start: Buffer): Buffer[] {
  if (event === undefined) return [...tables.scheduleStates.getKeys({ start, limit: piece })];
  const range = { ...scheduleEventRange(event, start), limit: piece };
  return Array.from(tables.scheduleEvents.getKeys(range), (key) => scheduleInEvent(event, key));
}

function load(tables: Tables, key: Buffer, { statuses }: ScheduleQuery): StoredSchedule | undefined {
  const bytes = tables.scheduleStates.get(key);
  if (bytes === undefined) return undefined;
  const progress = decodeProgress(bytes);
  if (statuses?.includes(progress.state.status) === false) return undefined;
  const defined = tables.schedules.get(key);
  return defined === undefined ? undefined : scheduleOf(taskIdOf(key), decodeData<DefinedRow>(defined), progress);
}

export function dueSchedules({ tables, schedules }: Store, now: EpochMs, limit: number): StoredSchedule[] {
  const keys = [...tables.scheduleDue.getKeys({ end: scheduleDueEnd(now), limit })];
  return keys.flatMap((key) => schedules.get(taskIdOf(scheduleInDue(key))) ?? []);
}

/** When the first schedule is due. */
export function nextScheduleDue({ tables }: Store): EpochMs | undefined {
  for (const key of tables.scheduleDue.getKeys({ limit: 1 })) return scheduleDueAt(key);
  return undefined;
}

export function historyOf({ tables }: Store, id: ScheduleId, limit: number): ScheduleChange[] {
  const { start, end } = changeRange(taskKey(id));
  const entries = tables.scheduleHistory.getRange({ start: end, end: start, reverse: true, limit });
  return Array.from(entries, ({ value }) => decodeData<ScheduleChange>(value));
}

export function totalsOf({ schedules: { byStatus, tally } }: Store, now: EpochMs): ScheduleTotals {
  const { hours: _hours, ...totals } = tally;
  const statuses = Object.entries(byStatus).filter(([, count]) => count > 0);
  return { byStatus: Object.fromEntries(statuses), ...totals, firedLastDay: firedLastDay(tally, now) };
}
