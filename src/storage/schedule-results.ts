import type { EpochMs } from "../base/clock.ts";
import { awaitsEnd, dueAt, type ScheduleResults, type StoredSchedule } from "../schedule/schedule.ts";
import { isTerminal } from "../task/state.ts";
import type { TaskLife } from "../task/task.ts";

type TaskEnd = Pick<TaskLife, "state" | "finishedAt" | "durationMs">;

/** One more of its tasks has not ended. */
export const afterStart = (results: ScheduleResults): ScheduleResults => ({
  ...results,
  unfinished: results.unfinished + 1,
});

/** One of its tasks has ended like this, or is there no more where nothing is given: that says nothing about its run. */
export function afterEnd(results: ScheduleResults, life?: TaskEnd): ScheduleResults {
  // Tasks of a schedule that was deleted were not counted for the one that has its id now.
  const unfinished = Math.max(0, results.unfinished - 1);
  if (life?.finishedAt === undefined || !isTerminal(life.state)) return { ...results, unfinished };
  const lastResult = resultOf(life);
  return {
    unfinished,
    successCount: results.successCount + (lastResult === "success" ? 1 : 0),
    errorCount: results.errorCount + (lastResult === "error" ? 1 : 0),
    totalDurationMs: results.totalDurationMs + (lastResult === "success" ? (life.durationMs ?? 0) : 0),
    lastResult,
    lastFinishedAt: life.finishedAt,
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
export function scheduleDue(schedule: Omit<StoredSchedule, "id">): EpochMs | undefined {
  const due = dueAt(schedule);
  const { results, state, updatedAt } = schedule;
  if (results.unfinished > 0 || !awaitsEnd(schedule)) return due;
  const endedAt = results.lastFinishedAt ?? state.lastRunAt ?? updatedAt;
  return due === undefined ? endedAt : Math.min(due, endedAt);
}
