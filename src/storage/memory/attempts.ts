import type { EpochMs } from "../../base/clock.ts";
import type { AttemptFailure, Fence, StoredTask, TaskId, TaskLife } from "../../task/task.ts";
import type { AttemptEnd, Claim, Claimed, Extend, Settle, Settlement } from "../storage.ts";
import { agedPriority, waitingSince } from "../aging.ts";
import { ClaimRoom } from "../claim-room.ts";
import { earliest } from "../rates.ts";
import { countOf, type Lane, type Ledger, type Version } from "./ledger.ts";
import { expire, move, noLongerRunning, noteInterruption } from "./moves.ts";

export function claim(ledger: Ledger, change: Claim): Claimed {
  const { limit, now, owner, until } = change;
  const tasks: StoredTask[] = [];
  const expired: TaskId[] = [];
  const room = new ClaimRoom(change, {
    settings: ledger.settings,
    rates: ledger.rates,
    record: (queue) => ledger.queues.get(queue)?.record,
    runningIn: (queue) => countOf(ledger.queues.get(queue), "running"),
    runningAs: (name) => ledger.runningAs.get(name) ?? 0,
  });
  ledger.lines.release(now);
  while (tasks.length < limit) {
    const best = bestOf(ledger, room, now);
    if (best === undefined) break;
    const { lane, version } = best;
    if (!ledger.lines.admit(lane, version, now)) continue;
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
      room.started(lane, 1);
      ledger.lines.started(version, now);
      ledger.turns.took(request.queue, ledger.queues.get(request.queue)?.record.weight);
    }
  }
  // A claim that got all it wanted is followed by another.
  const heldUntil = tasks.length < limit ? earliest(room.heldUntil(), ledger.rates.keys.heldUntil) : undefined;
  return { tasks, expired, ...(heldUntil === undefined ? {} : { heldUntil }) };
}

/** The best of the ready tasks that may be claimed, of the queue whose turn it is. */
function bestOf({ lanes, queues, turns }: Ledger, room: ClaimRoom, now: EpochMs): Candidate | undefined {
  const best = new Map<string, Candidate>();
  for (const lane of lanes.values()) {
    const step = queues.get(lane.queue)?.record.agingStepMs;
    for (const version of lane.ready.firstOfEach()) {
      if (room.of(lane) <= 0) break;
      const { request, life } = version.task;
      const { priority: own } = request;
      const priority = step === undefined ? own : agedPriority(own, waitingSince(request, life), step, now);
      const candidate = { lane, version, priority };
      const group = turns.isByPriority ? "" : lane.queue;
      const rival = best.get(group);
      if (rival === undefined || isBefore(candidate, rival)) best.set(group, candidate);
    }
  }
  const next = turns.next(best.keys());
  return next === undefined ? undefined : best.get(next);
}

interface Candidate {
  readonly lane: Lane;
  readonly version: Version;
  /** As it has risen where tasks age. */
  readonly priority: number;
}

const isBefore = (a: Candidate, b: Candidate): boolean =>
  a.priority === b.priority ? a.version.sequence < b.version.sequence : a.priority > b.priority;

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

export const claimOf = (ledger: Ledger, { id, fence }: { id: TaskId; fence: Fence }): Version | undefined => {
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
      ledger.unstarted(task.request);
      return move(ledger, version, untouched);
    case "parked":
      ledger.unstarted(task.request);
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
