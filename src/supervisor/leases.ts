import type { Self } from "../actor/actor.ts";
import type { EpochMs } from "../base/clock.ts";
import type { Settlement } from "../storage/storage.ts";
import type { StoredTask } from "../task/task.ts";
import type { LeasedTask, LeaseEnd, QueueMessage } from "./protocol.ts";
import { commit, tellExpired, wakeBy, type Inbox, type QueueState, type WaitingLease } from "./queue-state.ts";
import { completedEnd, failureEnd } from "./settlement.ts";
import { settle } from "./settling.ts";

type EndLease = Extract<QueueMessage, { type: "endLease" }>;

/** Claims one task for a caller, by hand; waits for one if asked to. */
export function lease(state: QueueState, message: WaitingLease, self: Self<Inbox>): void {
  tryLease(state, message, self, self.clock.now() + message.waitMs);
}

function tryLease(state: QueueState, message: WaitingLease, self: Self<Inbox>, waitUntil: EpochMs): void {
  if (state.isStopping) {
    message.reply(undefined);
    return;
  }
  const now = self.clock.now();
  const until = now + message.leaseMs;
  const seen = state.readyVersion;
  commit(
    state,
    self,
    [{ type: "claim", limit: 1, now, owner: "lease", queues: message.queues, until }],
    ([{ tasks, expired }]) => {
      tellExpired(state, self, expired);
      const task = tasks[0];
      if (task !== undefined) {
        give(state, message, { task, fence: { epoch: state.epoch, attempt: task.life.attempt }, until }, self);
      } else if (self.clock.now() >= waitUntil || state.isStopping) {
        message.reply(undefined);
      } else if (state.readyVersion !== seen) {
        tryLease(state, message, self, waitUntil);
      } else {
        state.leasing.push({
          retry: () => tryLease(state, message, self, waitUntil),
          giveUp: () => message.reply(undefined),
          until: waitUntil,
        });
        armLeaseTimer(state, self);
      }
    },
    message.reply.reject,
  );
}

function give(state: QueueState, message: WaitingLease, leased: LeasedTask, self: Self<Inbox>): void {
  if (message.ack === "manual") {
    wakeBy(state, self, leased.until);
    message.reply(leased);
    return;
  }
  const { task, fence } = leased;
  const settlement = { id: task.id, fence, end: completedEnd(task, message.noResult) };
  settle(state, self, [settlement], () => message.reply(leased), message.reply.reject);
}

export function leaseWaitOver(state: QueueState, _message: Inbox, self: Self<Inbox>): void {
  const now = self.clock.now();
  const over = state.leasing.filter(({ until }) => until <= now);
  state.leasing = state.leasing.filter(({ until }) => until > now);
  for (const waiting of over) waiting.giveUp();
  armLeaseTimer(state, self);
}

function armLeaseTimer(state: QueueState, self: Self<Inbox>): void {
  if (state.leasing.length === 0) return;
  const at = Math.min(...state.leasing.map(({ until }) => until));
  self.setTimer("leaseWaitOver", at, { type: "leaseWaitOver" });
}

export function endLease(state: QueueState, { task, fence, end, reply }: EndLease, self: Self<Inbox>): void {
  const now = self.clock.now();
  if (end.type === "extend") {
    const until = now + end.leaseMs;
    commit(
      state,
      self,
      [{ type: "extend", leases: [{ id: task.id, fence }], until }],
      ([[held]]) => reply(held === true),
      reply.reject,
    );
    return;
  }
  const settlement = { id: task.id, fence, end: endOf(task, end, now, self.random()), startedAt: now };
  settle(state, self, [settlement], ([isCounted]) => reply(isCounted === true), reply.reject);
}

function endOf(
  task: StoredTask,
  end: Exclude<LeaseEnd, { type: "extend" }>,
  now: EpochMs,
  random: number,
): Settlement["end"] {
  switch (end.type) {
    case "ack":
      return completedEnd(task, end.result);
    case "release": {
      // The attempt keeps its number: whoever released it must not be able to end the next lease.
      const { failures, crashes, interruptions } = task.life;
      return { to: "ready", cause: "interrupted", failures, crashes, interruptions };
    }
    case "nack": {
      const delay = end.delayMs === undefined ? {} : { retryDelayMs: end.delayMs };
      return failureEnd(task, { reason: "error", isRetryable: true, ...delay }, end.error, { now, random });
    }
  }
}
