import type { EpochMs } from "../base/clock.ts";
import { afterFiring } from "../schedule/firing.ts";
import type { ScheduleState, StoredSchedule } from "../schedule/schedule.ts";
import type { ScheduleEventType } from "../task/event.ts";
import type { TaskId } from "../task/task.ts";
import type { Firing } from "./schedule-storage.ts";
import type { NewTask } from "./storage.ts";

/** What a storage does for a firing. */
export interface FiringHost {
  exists(id: TaskId): boolean;
  /** Stores the task, with whatever comes of that; `undefined` where its dedupe key keeps it out. */
  store(task: NewTask): TaskId | undefined;
  /** How many tasks of the schedule have not ended, as of now. */
  unfinished(): number;
}

/** What came of a firing. */
export interface CarriedOut {
  readonly stored: (TaskId | undefined)[];
  readonly fired: number;
  readonly missed: number;
  readonly skipped: number;
  /** As it was, where there was no plan. */
  readonly state: ScheduleState;
  /** In their order. */
  readonly events: readonly { readonly type: ScheduleEventType; readonly count?: number }[];
}

/** Stores the tasks of a firing and says what follows from it: the same in every storage. */
export function carryOut(
  schedule: StoredSchedule,
  { plan, tasks, force = false }: Firing,
  now: EpochMs,
  host: FiringHost,
): CarriedOut {
  const { definition, state } = schedule;
  const mayOverlap = force || definition.overlap === "allow";
  const stored = tasks.map((task) => {
    if (host.exists(task.id)) return task.id;
    return mayOverlap || host.unfinished() === 0 ? host.store(task) : undefined;
  });
  const fired = stored.filter((id) => id !== undefined).length;
  if (plan === undefined) return { stored, fired, missed: 0, skipped: 0, state, events: counted({ fired }) };
  // Where nothing is unfinished, a task was kept out by another's dedupe key: there is no end for its slot to wait for.
  const isEndless = fired < stored.length && definition.overlap === "coalesce" && host.unfinished() === 0;
  const given = isEndless ? { definition: { ...definition, overlap: "skip" as const }, state } : schedule;
  const next = afterFiring(given, plan, stored, now);
  const missed = next.missedCount - state.missedCount;
  const skipped = next.skippedCount - state.skippedCount;
  const hasEnded = next.status !== state.status && (next.status === "completed" || next.status === "expired");
  const ending = hasEnded ? ([{ type: `schedule.${next.status}` }] as const) : [];
  return { stored, fired, missed, skipped, state: next, events: [...counted({ fired, missed, skipped }), ...ending] };
}

const counted = (counts: { readonly [Type in "fired" | "missed" | "skipped"]?: number }): CarriedOut["events"] =>
  (["fired", "missed", "skipped"] as const).flatMap((type) => {
    const count = counts[type] ?? 0;
    return count === 0 ? [] : [{ type: `schedule.${type}` as const, count }];
  });
