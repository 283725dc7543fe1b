import type { EpochMs } from "../base/clock.ts";
import { awaitsEnd, dueAt, type ScheduleResults, type StoredSchedule } from "../schedule/schedule.ts";
import type { TaskState } from "../task/state.ts";

/** How a task has ended. */
export interface TaskEnd {
  readonly state: TaskState;
  readonly finishedAt?: EpochMs | undefined;
  readonly durationMs?: number | undefined;
}

/** One more of its tasks has not ended. */
export const afterStart = (results: ScheduleResults): ScheduleResults => ({
  ...results,
  unfinished: results.unfinished + 1,
});

/** One of its tasks has ended like this, or is there no more where nothing is given: that says nothing about its run. */
export function afterEnd(results: ScheduleResults, end?: TaskEnd): ScheduleResults {
  // Tasks of a schedule that was deleted were not counted for the one that has its id now.
  const unfinished = Math.max(0, results.unfinished - 1);
  if (end?.finishedAt === undefined) return { ...results, unfinished };
  const lastResult = resultOf(end);
  return {
    unfinished,
    successCount: results.successCount + (lastResult === "success" ? 1 : 0),
    errorCount: results.errorCount + (lastResult === "error" ? 1 : 0),
    totalDurationMs: results.totalDurationMs + (lastResult === "success" ? (end.durationMs ?? 0) : 0),
    lastResult,
    lastFinishedAt: end.finishedAt,
  };
}

function resultOf({ state }: TaskEnd): "success" | "error" | "cancelled" {
  if (state === "completed") return "success";
  return state === "cancelled" ? "cancelled" : "error";
}

/**
 * When a schedule is due. One that waits for the end of its tasks is due since the last of them has ended, however it
 * came to wait.
 */
export function scheduleDue(
  schedule: Pick<StoredSchedule, "definition" | "state" | "results" | "updatedAt">,
): EpochMs | undefined {
  const due = dueAt(schedule);
  const { results, state, updatedAt } = schedule;
  if (results.unfinished > 0 || !awaitsEnd(schedule)) return due;
  const endedAt = results.lastFinishedAt ?? state.lastRunAt ?? updatedAt;
  return due === undefined ? endedAt : Math.min(due, endedAt);
}
