import type { EpochMs } from "../../base/clock.ts";
import { judge } from "../../task/retry.ts";
import type { AttemptFailure, Payload, StoredTask, TaskId, TaskLife } from "../../task/task.ts";
import type { Ledger, Version } from "./ledger.ts";

/** Gives the task a new life, in which nobody has claimed it. */
export function move(ledger: Ledger, { task, sequence }: Version, life: TaskLife, result?: Payload): void {
  const { id, request, args } = task;
  ledger.put({ task: { id, request, life, args }, sequence, leaseEnd: undefined, result });
}

/** A life without what only waiting tasks have. */
export function noLongerWaiting(life: TaskLife): TaskLife {
  const { runAt: _runAt, parked: _parked, ...rest } = life;
  return rest;
}

/** A life without what only running tasks have. */
export function noLongerRunning(life: TaskLife): TaskLife {
  const { claimedBy: _, ...rest } = life;
  return rest;
}

/** Ends a waiting task whose time to live is over. */
export function expire(ledger: Ledger, version: Version, now: EpochMs): TaskId {
  move(ledger, version, { ...noLongerWaiting(version.task.life), state: "expired", finishedAt: now });
  ledger.note("expired", version.task, now);
  return version.task.id;
}

/**
 * Takes a claim back because nobody will settle it. A task that was interrupted more often than it may be fails by it.
 *
 * @param attempt what the task's attempt is then.
 */
export function interrupt(ledger: Ledger, version: Version, now: EpochMs, attempt: number): void {
  const { task } = version;
  const verdict = judge(task.request, task.life, { reason: "interrupted", isRetryable: true }, now, 0);
  const life = { ...noLongerRunning(task.life), attempt, interruptions: verdict.interruptions };
  if (verdict.to !== "failed") {
    move(ledger, version, { ...life, state: "ready" });
    noteInterruption(ledger, task, now);
    return;
  }
  const { reason } = verdict;
  const failed: TaskLife = { ...life, state: "failed", finishedAt: now, reason };
  move(ledger, version, failed);
  ledger.totals.interrupted += 1;
  ledger.totals.failed += 1;
  ledger.note("failed", { ...task, life: failed }, now, { reason });
}

/** @param task as it was claimed. */
export function noteInterruption(ledger: Ledger, task: StoredTask, now: EpochMs, failure?: AttemptFailure): void {
  ledger.totals.interrupted += 1;
  const error = failure === undefined ? undefined : { error: failure.error };
  ledger.note("interrupted", task, now, { reason: failure?.reason ?? "interrupted", ...error });
}
