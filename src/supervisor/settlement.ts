import type { EpochMs } from "../base/clock.ts";
import { CancelledError, StalledError, TimeoutError } from "../base/errors.ts";
import { judge, type AttemptFault } from "../task/retry.ts";
import { toTaskError } from "../task/task-error.ts";
import type { AttemptFailure, Payload, StoredTask, TaskError } from "../task/task.ts";
import type { AttemptReport } from "../executor/executor.ts";
import type { AttemptEnd, Settlement } from "../storage/storage.ts";

/** Why a task was told to stop. */
export type StopCause =
  | { readonly type: "cancel"; readonly reason: string }
  | { readonly type: "timeout" | "stall"; readonly ms: number };

/** What a report means for the task. Pure: the moment and the random number are given. */
export function settlementFor(
  task: StoredTask,
  report: AttemptReport,
  stop: StopCause | undefined,
  at: { readonly epoch: number; readonly now: EpochMs; readonly random: number },
): Settlement {
  const { startedAt, durationMs, workerId } = report;
  return {
    id: task.id,
    fence: { epoch: at.epoch, attempt: task.life.attempt },
    end: endFor(task, report, stop, at),
    startedAt,
    durationMs,
    workerId,
  };
}

function endFor(
  task: StoredTask,
  { end }: AttemptReport,
  stop: StopCause | undefined,
  at: { readonly now: EpochMs; readonly random: number },
): AttemptEnd {
  // A value that arrived in spite of a cancellation is a value: the work was done.
  if (end.type === "value") return completedEnd(task, end.result);
  if (stop?.type === "cancel") return { to: "cancelled", reason: stop.reason };
  switch (end.type) {
    case "unstarted":
      return { to: "ready", cause: "unstarted" };
    case "stopped": {
      // Nobody asked the task itself: its worker was ended for another reason.
      if (stop === undefined) return failureEnd(task, { reason: "interrupted", isRetryable: true }, interruption, at);
      return failureEnd(task, { reason: reasonOf(stop), isRetryable: true }, errorOf(stop), at);
    }
    case "fault": {
      const isLate = stop !== undefined && end.fault.reason === "error";
      if (isLate) return failureEnd(task, { ...end.fault, reason: reasonOf(stop) }, errorOf(stop), at);
      return failureEnd(task, end.fault, end.error, at);
    }
  }
}

type Overdue = Extract<StopCause, { ms: number }>;

const reasonOf = ({ type }: Overdue): "timeout" | "stalled" => (type === "stall" ? "stalled" : "timeout");

const errorOf = ({ type, ms }: Overdue): TaskError =>
  toTaskError(type === "stall" ? new StalledError(ms) : new TimeoutError(ms));

export function completedEnd({ request }: StoredTask, result: Payload): AttemptEnd {
  const { resultTtlMs } = request;
  return resultTtlMs === undefined ? { to: "completed", result } : { to: "completed", result, resultTtlMs };
}

const interruption: TaskError = toTaskError(new CancelledError("The worker was ended before the task was done."));

/** What becomes of a task after a fault. */
export function failureEnd(
  task: StoredTask,
  fault: AttemptFault,
  error: TaskError,
  { now, random }: { readonly now: EpochMs; readonly random: number },
): AttemptEnd {
  const verdict = judge(task.request, task.life, fault, now, random);
  const { failures, crashes, interruptions } = verdict;
  const reason = verdict.to === "failed" ? verdict.reason : fault.reason;
  const failure: AttemptFailure = { attempt: task.life.attempt, at: now, reason, error };
  const tallies = { failures, crashes, interruptions };
  switch (verdict.to) {
    case "failed":
      return { to: "failed", reason: verdict.reason, failure, ...tallies };
    case "retrying":
      return { to: "retrying", runAt: verdict.runAt, failure, ...tallies };
    case "ready":
      return { to: "ready", cause: "interrupted", ...tallies };
  }
}
