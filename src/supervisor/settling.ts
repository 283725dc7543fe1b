import type { Self } from "../actor/actor.ts";
import { StoreFullError } from "../base/errors.ts";
import type { Settlement } from "../storage/storage.ts";
import type { StoredTask, TaskId } from "../task/task.ts";
import type { EndedAttempt, QueueMessage, TaskOutcome } from "./protocol.ts";
import {
  becameReady,
  commit,
  drained,
  forgetFrom,
  poke,
  retryWaitingForRoom,
  wakeBy,
  type Inbox,
  type QueueState,
} from "./queue-state.ts";
import { settlementFor, type StopCause } from "./settlement.ts";

/** How long to wait for space before ends that could not be stored are tried again. */
const spaceRetryMs = 1_000;

/** Stores the ends of attempts, and claims what takes their places, in one transaction. */
export function handleAttemptsEnded(
  state: QueueState,
  { ended, wanted }: Extract<QueueMessage, { type: "attemptsEnded" }>,
  self: Self<Inbox>,
): void {
  state.wanted += wanted;
  if (ended.length === 0) {
    poke(state, self);
    return;
  }
  settle(state, self, ended);
}

export function settleAgain(state: QueueState, _message: Inbox, self: Self<Inbox>): void {
  const ended = state.unsettled;
  state.unsettled = [];
  if (ended.length > 0) settle(state, self, ended);
}

function settle(state: QueueState, self: Self<Inbox>, ended: readonly EndedAttempt[]): void {
  const now = self.clock.now();
  const settlements = ended.map(({ task, report, timedOutMs }) => {
    const stop: StopCause | undefined =
      state.stops.get(task.id)?.cause ?? (timedOutMs === undefined ? undefined : { type: "timeout", ms: timedOutMs });
    return settlementFor(task, report, stop, { epoch: state.epoch, now, random: self.random() });
  });
  commit(
    state,
    self,
    [{ type: "settle", now, settlements }],
    ([counted]) => {
      state.claimed -= ended.length;
      tellSettled(state, self, settlements, counted);
      forgetAfter(state, self, ended);
      poke(state, self);
      drained(state, self);
    },
    (error) => {
      if (!(error instanceof StoreFullError)) throw error;
      // The work is done and must not be done again: its end is kept here until there is space.
      state.unsettled.push(...ended);
      self.setTimer("settleAgain", self.clock.now() + spaceRetryMs, { type: "settleAgain" });
    },
  );
}

/** Tells everyone concerned what settlements that are on disk mean for them. */
export function tellSettled(
  state: QueueState,
  self: Self<Inbox>,
  settlements: readonly Settlement[],
  counted: readonly boolean[],
): void {
  const outcomes: TaskOutcome[] = [];
  let hasEnded = false;
  settlements.forEach((settlement, index) => {
    const { id, end, fence } = settlement;
    const stop = state.stops.size > 0 ? state.stops.get(id) : undefined;
    if (stop !== undefined) {
      state.stops.delete(id);
      for (const reply of stop.replies) reply(end.to === "cancelled" && counted[index] === true);
    }
    if (counted[index] !== true) return;
    switch (end.to) {
      case "completed":
        hasEnded = true;
        if (state.waiters.has(id))
          outcomes.push({ id, state: "completed", attempt: fence.attempt, result: end.result });
        break;
      case "failed":
        hasEnded = true;
        outcomes.push({ id, state: "failed", attempt: fence.attempt, reason: end.reason, error: end.failure.error });
        break;
      case "cancelled":
        hasEnded = true;
        outcomes.push({ id, state: "cancelled", attempt: fence.attempt, reason: end.reason });
        break;
      case "retrying":
        wakeBy(state, self, end.runAt);
        break;
      case "ready":
        becameReady(state);
        break;
    }
  });
  state.waiters.deliver(outcomes);
  if (hasEnded) retryWaitingForRoom(state);
}

function forgetAfter(state: QueueState, self: Self<Inbox>, ended: readonly EndedAttempt[]): void {
  let after = Math.min(state.retention.completedMs, state.retention.failedMs);
  for (const { task } of ended) after = Math.min(after, task.request.resultTtlMs ?? after);
  forgetFrom(state, self, self.clock.now() + after);
}

/**
 * After a restart: what was claimed for the dispatcher, but is not with an executor, never started. It was only in
 * the memory of the actor that crashed.
 */
export function releaseLost(state: QueueState, self: Self<Inbox>, running: ReadonlySet<TaskId>): void {
  state.claimed = running.size;
  const release = (lost: readonly StoredTask[]): void => {
    const settlements = lost.map(({ id, life }) => ({
      id,
      fence: { epoch: state.epoch, attempt: life.attempt },
      end: { to: "ready", cause: "unstarted" } as const,
    }));
    commit(state, self, [{ type: "settle", now: self.clock.now(), settlements }], () => {
      becameReady(state);
      poke(state, self);
    });
  };
  const find = async (): Promise<StoredTask[]> => {
    const lost: StoredTask[] = [];
    for (let cursor: string | undefined, isMore = true; isMore; isMore = cursor !== undefined) {
      const page = await state.storage.list({
        states: ["running"],
        limit: 1_000,
        ...(cursor === undefined ? {} : { cursor }),
      });
      lost.push(...page.tasks.filter(({ id, life }) => life.claimedBy === state.owner && !running.has(id)));
      cursor = page.cursor;
    }
    return lost;
  };
  self.pipe(
    find(),
    (lost) => ({ type: "committed", next: () => lost.length > 0 && release(lost) }),
    (error) => ({ type: "crash", error }),
  );
}
