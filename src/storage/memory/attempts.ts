import type { EpochMs } from "../../base/clock.ts";
import type { AttemptFailure, Fence, StoredTask, TaskId, TaskLife } from "../../task/task.ts";
import type { AttemptEnd, Claim, Claimed, Extend, Settle, Settlement } from "../storage.ts";
import { Heap } from "./heap.ts";
import { countOf, isLaneBefore, type Lane, type Ledger, type Version } from "./ledger.ts";
import { expire, move, noLongerRunning, noteInterruption } from "./moves.ts";

export function claim(ledger: Ledger, { limit, now, owner, queues, until }: Claim): Claimed {
  const tasks: StoredTask[] = [];
  const expired: TaskId[] = [];
  const lanes = new Heap(isLaneBefore);
  for (const lane of ledger.lanes.values()) {
    if ((queues === undefined || queues.includes(lane.record.name)) && mayGive(lane)) lanes.push(lane);
  }
  while (tasks.length < limit) {
    const lane = lanes.pop();
    const version = lane?.ready.peek();
    if (lane === undefined || version === undefined) break;
    const { request, life } = version.task;
    if (request.expiresAt !== undefined && request.expiresAt <= now) {
      expired.push(expire(ledger, version, now));
    } else {
      const running: TaskLife = {
        ...life,
        state: "running",
        attempt: Math.max(life.attempt, ledger.buried.get(version.task.id) ?? 0) + 1,
        claimedBy: owner,
      };
      const task: StoredTask = { ...version.task, life: running };
      ledger.put({ ...version, task, leaseEnd: until });
      ledger.note("started", task, now);
      tasks.push(task);
    }
    if (mayGive(lane)) lanes.push(lane);
  }
  return { tasks, expired };
}

function mayGive(lane: Lane): boolean {
  const { isPaused, concurrency = Number.POSITIVE_INFINITY } = lane.record;
  return !isPaused && countOf(lane, "running") < concurrency && lane.ready.peek() !== undefined;
}

export const settle = (ledger: Ledger, { now, settlements }: Settle): boolean[] =>
  settlements.map((settlement) => {
    const version = claimOf(ledger, settlement);
    if (version === undefined) ledger.totals.late += 1;
    else finish(ledger, version, settlement, now);
    return version !== undefined;
  });

export const extend = (ledger: Ledger, { leases, until }: Extend): boolean[] =>
  leases.map((lease) => {
    const version = claimOf(ledger, lease);
    // A claim without a lease lasts longer than any.
    if (version?.leaseEnd !== undefined && version.leaseEnd < until) ledger.put({ ...version, leaseEnd: until });
    return version !== undefined;
  });

const claimOf = (ledger: Ledger, { id, fence }: { id: TaskId; fence: Fence }): Version | undefined => {
  const version = ledger.get(id);
  if (version === undefined || fence.epoch !== ledger.epoch) return undefined;
  const { state, attempt } = version.task.life;
  return state === "running" && attempt === fence.attempt ? version : undefined;
};

function finish(ledger: Ledger, version: Version, settlement: Settlement, now: EpochMs): void {
  const { end } = settlement;
  const { task } = version;
  const claimed = noLongerRunning(task.life);
  const measures = measured(settlement);
  if (end.to === "completed") {
    // A handler that gave nothing leaves nothing.
    const result = end.result.length === 0 ? undefined : end.result;
    move(ledger, version, { ...claimed, ...measures, state: "completed", finishedAt: now }, result);
    ledger.totals.completed += 1;
    return ledger.note("completed", task, now);
  }
  const life: TaskLife = { ...claimed, ...measures, ...tallied(end), failed: history(claimed, end) };
  switch (end.to) {
    case "failed":
      move(ledger, version, { ...life, state: "failed", finishedAt: now, reason: end.reason });
      ledger.totals.failed += 1;
      return ledger.note("failed", task, now, { reason: end.reason, error: end.failure.error });
    case "retrying":
      move(ledger, version, { ...life, state: "retrying", runAt: end.runAt });
      ledger.totals.retried += 1;
      return ledger.note("retrying", task, now, { reason: end.failure.reason, error: end.failure.error });
    case "cancelled":
      move(ledger, version, { ...life, state: "cancelled", finishedAt: now, reason: end.reason });
      return ledger.note("cancelled", task, now, { reason: end.reason });
    case "ready":
      return comeBack(ledger, version, life, settlement, end, now);
  }
}

function comeBack(
  ledger: Ledger,
  version: Version,
  life: TaskLife,
  { startedAt }: Settlement,
  end: AttemptEnd & { to: "ready" },
  now: EpochMs,
): void {
  const { task } = version;
  const untouched: TaskLife = { ...noLongerRunning(task.life), state: "ready", attempt: task.life.attempt - 1 };
  switch (end.cause) {
    case "unstarted":
      return move(ledger, version, untouched);
    case "parked":
      return move(ledger, version, { ...untouched, parked: true });
    case "interrupted":
      move(ledger, version, { ...life, state: "ready", attempt: (startedAt === undefined ? untouched : life).attempt });
      return noteInterruption(ledger, task, now, end.failure);
  }
}

function measured({ startedAt, durationMs, workerId }: Settlement): Partial<TaskLife> {
  const measures: { -readonly [K in keyof TaskLife]?: TaskLife[K] } = {};
  if (startedAt !== undefined) measures.startedAt = startedAt;
  if (durationMs !== undefined) measures.durationMs = durationMs;
  if (workerId !== undefined) measures.workerId = workerId;
  return measures;
}

function tallied(end: AttemptEnd): Partial<TaskLife> {
  if (!("failures" in end || "crashes" in end || "interruptions" in end)) return {};
  const { failures, crashes, interruptions } = end;
  return {
    ...(failures === undefined ? undefined : { failures }),
    ...(crashes === undefined ? undefined : { crashes }),
    ...(interruptions === undefined ? undefined : { interruptions }),
  };
}

/** How many failed attempts a task keeps. */
const keptFailures = 20;

const history = (life: TaskLife, end: AttemptEnd): readonly AttemptFailure[] =>
  "failure" in end && end.failure !== undefined ? [...life.failed, end.failure].slice(-keptFailures) : life.failed;
