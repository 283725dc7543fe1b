import type { Self } from "../actor/actor.ts";
import type { Settlement } from "../storage/storage.ts";
import type { TaskId } from "../task/task.ts";
import { cancelAgain } from "./control.ts";
import { drained } from "./draining.ts";
import { takeNotes } from "./noting.ts";
import { settledOutcome } from "./outcome.ts";
import type { EndedAttempt, QueueMessage, TaskOutcome } from "./protocol.ts";
import {
  becameReady,
  commit,
  forgetSoon,
  poke,
  retryLeases,
  retryWaitingForRoom,
  tellScheduler,
  wakeBy,
  type Inbox,
  type QueueState,
} from "./queue-state.ts";
import { settlementFor, type StopCause } from "./settlement.ts";

/** While all workers have work and nobody waits, ends are stored at most every so many milliseconds, or so many together. */
const gathering = { ms: 5, most: 64 } as const;

/** Stores the ends of attempts, and claims what takes their places, in one transaction. */
export function handleAttemptsEnded(
  state: QueueState,
  { ended, wanted, isBusy }: Extract<QueueMessage, { type: "attemptsEnded" }>,
  self: Self<Inbox>,
): void {
  state.demand.add(wanted);
  state.ended.push(...ended);
  const sinceMs = self.clock.now() - state.settledAt;
  // Clocks may be set back.
  const isSoon = sinceMs >= 0 && sinceMs < gathering.ms;
  const mayGather = isBusy && isSoon && state.ended.length < gathering.most && !state.isStopping;
  if (!mayGather || ended.some((attempt) => isUrgent(state, attempt))) settleEnded(state, self);
  else if (!state.isGathering) {
    state.isGathering = true;
    self.setTimer("settleEnded", state.settledAt + gathering.ms, { type: "settleEnded" });
  }
}

/** Somebody waits to hear of it, or it is more than an outcome to be written down. */
const isUrgent = ({ waiters, stops }: QueueState, { task, report }: EndedAttempt): boolean =>
  report.end.type !== "value" || waiters.has(task.id) || stops.has(task.id);

/** Somebody waits for these tasks now: the ends of those that run are not gathered. */
export function hurry(state: QueueState, self: Self<Inbox>, ids: readonly TaskId[]): void {
  const running = ids.filter((id) => state.claimed.has(id));
  if (running.length === 0) return;
  state.dispatcher().tell({ type: "hurry", ids: running });
  if (state.ended.some(({ task }) => state.waiters.has(task.id))) settleEnded(state, self);
}

/** Stores the ends that were gathered. */
export function settleEnded(state: QueueState, self: Self<Inbox>): void {
  state.isGathering = false;
  state.settledAt = self.clock.now();
  const ended = state.ended.splice(0);
  if (ended.length > 0) settleAttempts(state, self, ended);
  else poke(state, self);
}

/**
 * What was claimed for an earlier life of the dispatcher, and is not with an executor, never started: it was only in
 * the memory of an actor that crashed.
 */
export function handleDispatcherStarted(
  state: QueueState,
  { life, running, wanted, workers }: Extract<QueueMessage, { type: "dispatcherStarted" }>,
  self: Self<Inbox>,
): void {
  state.dispatcherLife = life;
  if (state.breakers.statesAt(self.clock.now()).size > 0) breakersMove(state, undefined, self);
  state.demand.restart(wanted, workers);
  const known = new Set(state.ended.map(({ task }) => task.id));
  const lost = [...state.claimed.values()].filter(({ id }) => !running.has(id) && !known.has(id));
  const ended = lost.map((task): EndedAttempt => ({ task, report: { id: task.id, end: { type: "unstarted" } } }));
  if (ended.length > 0) settleAttempts(state, self, ended);
  else poke(state, self);
  drained(state, self);
}

/** An older version of the program stored them: they are set aside until a handler has their name again. */
export function park(state: QueueState, { tasks }: Extract<Inbox, { type: "park" }>, self: Self<Inbox>): void {
  const settlements = tasks.map(({ id, life }) => ({
    id,
    fence: { epoch: state.epoch, attempt: life.attempt },
    end: { to: "ready", cause: "parked" } as const,
  }));
  settle(state, self, settlements, () => undefined);
}

function settleAttempts(state: QueueState, self: Self<Inbox>, ended: readonly EndedAttempt[]): void {
  const now = self.clock.now();
  let hasOpened = false;
  const settlements = ended.map((attempt) => {
    const { task, report } = attempt;
    state.claimed.delete(task.id);
    const stop = stopCause(state, attempt);
    const settlement = settlementFor(task, report, stop, { epoch: state.epoch, now, random: self.random() });
    const isPutOff = report.end.type === "fault" && report.end.fault.retryDelayMs !== undefined;
    if (!isPutOff && state.breakers.ended(task.request.name, settlement.end, now)) hasOpened = true;
    return settlement;
  });
  if (hasOpened) breakersMove(state, undefined, self);
  settle(state, self, settlements, () => {
    if (ended.some(({ task }) => task.request.schedule !== undefined)) tellScheduler(state);
    // What comes back may have outlived its time meanwhile.
    for (const { task, report } of ended) {
      const { expiresAt } = task.request;
      if (report.end.type !== "value" && expiresAt !== undefined) wakeBy(state, self, expiresAt);
    }
  });
}

/** A breaker has opened, or its time is over: the dispatcher is told what it must not start, and claims look again. */
export function breakersMove(state: QueueState, _message: Inbox | undefined, self: Self<Inbox>): void {
  const now = self.clock.now();
  state.dispatcher().tell({ type: "hold", names: state.breakers.openAt(now) });
  const at = state.breakers.nextAt(now);
  if (at !== undefined) self.setTimer("breakersMove", at, { type: "breakersMove" });
  becameReady(state);
  poke(state, self);
}

function stopCause(state: QueueState, { task, timedOutMs, stalledMs }: EndedAttempt): StopCause | undefined {
  const stop = state.stops.get(task.id);
  if (stop !== undefined) return { type: "cancel", reason: stop.reason };
  if (stalledMs !== undefined) return { type: "stall", ms: stalledMs };
  return timedOutMs === undefined ? undefined : { type: "timeout", ms: timedOutMs };
}

/** Ends claims and tells everyone concerned. `done` and `failed` are as for `commit`. */
export function settle(
  state: QueueState,
  self: Self<Inbox>,
  settlements: readonly Settlement[],
  done: (counted: readonly boolean[]) => void,
  failed?: (error: unknown) => void,
): void {
  // Before the commit, so that a claim rides along: an end makes room where concurrency is limited.
  becameReady(state);
  commit(
    state,
    self,
    [...takeNotes(state), { type: "settle", now: self.clock.now(), settlements }],
    (answers) => {
      const counted = answers.at(-1) ?? [];
      tellSettled(state, self, settlements, counted);
      retryLeases(state, self);
      poke(state, self);
      drained(state, self);
      done(counted);
    },
    failed,
  );
}

/** Tells what settlements that are on disk mean. */
function tellSettled(
  state: QueueState,
  self: Self<Inbox>,
  settlements: readonly Settlement[],
  counted: readonly boolean[],
): void {
  const outcomes: TaskOutcome[] = [];
  let resultTtlMs = Number.POSITIVE_INFINITY;
  settlements.forEach((settlement, index) => {
    const { end } = settlement;
    const isCounted = counted[index] === true;
    if (state.stops.size > 0) tellStopped(state, self, settlement, isCounted);
    if (!isCounted) return;
    if (end.to === "completed") resultTtlMs = Math.min(resultTtlMs, end.resultTtlMs ?? resultTtlMs);
    if (end.to === "retrying") wakeBy(state, self, end.runAt);
    const outcome = settledOutcome(settlement);
    if (outcome !== undefined) outcomes.push(outcome);
  });
  state.waiters.deliver(outcomes);
  forgetSoon(state, self, resultTtlMs);
  if (outcomes.length > 0) retryWaitingForRoom(state);
}

/** Tells those who wanted the task to stop whether it did. */
function tellStopped(state: QueueState, self: Self<Inbox>, { id, end }: Settlement, isCounted: boolean): void {
  const stop = state.stops.get(id);
  if (stop === undefined) return;
  if (isCounted && (end.to === "retrying" || end.to === "ready")) {
    cancelAgain(state, self, id);
    return;
  }
  state.stops.delete(id);
  for (const reply of stop.replies) reply(isCounted && end.to === "cancelled");
}
