import type { Self } from "../actor/actor.ts";
import type { EpochMs } from "../base/clock.ts";
import type { Settlement } from "../storage/storage.ts";
import type { StoredTask } from "../task/task.ts";
import type { LeasedTask, LeaseEnd, QueueMessage } from "./protocol.ts";
import {
  becameReady,
  commit,
  drained,
  tellExpired,
  wakeBy,
  type Inbox,
  type QueueState,
  type WaitingLease,
} from "./queue-state.ts";
import { failureEnd } from "./settlement.ts";
import { tellSettled } from "./settling.ts";

type EndLease = Extract<QueueMessage, { type: "endLease" }>;

/** Claims one task for a caller, by hand; waits for one if asked to. */
export function lease(state: QueueState, message: WaitingLease, self: Self<Inbox>): void {
  tryLease(state, message, self, self.clock.now() + message.waitMs);
}

function tryLease(state: QueueState, message: WaitingLease, self: Self<Inbox>, waitUntil: EpochMs): void {
  const now = self.clock.now();
  const until = now + message.leaseMs;
  const seen = state.readyVersion;
  commit(
    state,
    self,
    [{ type: "claim", limit: 1, now, owner: "lease", queues: message.queues, until }],
    ([{ tasks, expired }]) => {
      tellExpired(state, expired);
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
  const settlement = settlementOf(leased.task, leased.fence, { to: "completed", result: message.noResult });
  commit(
    state,
    self,
    [{ type: "settle", now: self.clock.now(), settlements: [settlement] }],
    ([counted]) => {
      tellSettled(state, self, [settlement], counted);
      message.reply(leased);
    },
    message.reply.reject,
  );
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
  const settlement = settlementOf(task, fence, endOf(task, end, now, self.random()), now);
  commit(
    state,
    self,
    [{ type: "settle", now, settlements: [settlement] }],
    ([counted]) => {
      if (settlement.end.to === "ready") becameReady(state);
      tellSettled(state, self, [settlement], counted);
      drained(state, self);
      reply(counted[0] === true);
    },
    reply.reject,
  );
}

const settlementOf = (
  task: StoredTask,
  fence: Settlement["fence"],
  end: Settlement["end"],
  startedAt?: EpochMs,
): Settlement => ({
  id: task.id,
  fence,
  end,
  ...(startedAt === undefined ? {} : { startedAt }),
});

function endOf(
  task: StoredTask,
  end: Exclude<LeaseEnd, { type: "extend" }>,
  now: EpochMs,
  random: number,
): Settlement["end"] {
  switch (end.type) {
    case "ack":
      return { to: "completed", result: end.result };
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
