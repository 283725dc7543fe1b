import type { Self } from "../actor/actor.ts";
import type { EpochMs } from "../base/clock.ts";
import type { Claim, Claimed, Settlement } from "../storage/storage.ts";
import type { StoredTask } from "../task/task.ts";
import { drained } from "./draining.ts";
import type { LeasedTask, LeaseEnd, QueueMessage } from "./protocol.ts";
import {
  commit,
  tellExpired,
  tellScheduler,
  wakeBy,
  type Inbox,
  type QueueState,
  type WaitingLease,
} from "./queue-state.ts";
import { completedEnd, failureEnd } from "./settlement.ts";
import { settle } from "./settling.ts";

type EndLease = Extract<QueueMessage, { type: "endLease" }>;

/** Claims one task for a caller, by hand; waits for one if asked to. */
export function lease(state: QueueState, message: WaitingLease["message"], self: Self<Inbox>): void {
  if (state.isStopping) {
    message.reply(undefined);
    return;
  }
  state.leasing.push({ message, until: self.clock.now() + message.waitMs });
  serve(state, self);
}

export const serveLeases = (state: QueueState, _message: Inbox, self: Self<Inbox>): void => serve(state, self);

/** Claims for all who wait, in the order in which they came, with one commit at a time. */
function serve(state: QueueState, self: Self<Inbox>): void {
  if (state.isClaimingLeases || state.leasing.length === 0) return;
  state.isClaimingLeases = true;
  const line = state.leasing.splice(0);
  const parties = partiesOf(line);
  const seen = state.readyVersion;
  const now = self.clock.now();
  commit(
    state,
    self,
    parties.map(({ members, queues, leaseMs }): Claim => ({
      type: "claim",
      limit: members.length,
      now,
      owner: "lease",
      queues,
      until: now + leaseMs,
    })),
    (answers) => {
      state.isClaimingLeases = false;
      const given = parties.flatMap((party, index) => shareOut(state, party, answers[index], now));
      give(state, given, self);
      const served = new Set(given.map(({ waiting }) => waiting));
      const arrived = state.leasing;
      state.leasing = line.filter((waiting) => !served.has(waiting));
      letGo(state, self);
      state.leasing.push(...arrived);
      const expired = answers.flatMap((answer) => answer.expired);
      for (const { heldUntil } of answers) if (heldUntil !== undefined) wakeBy(state, self, heldUntil);
      tellExpired(state, self, expired);
      if (expired.length > 0) drained(state, self);
      if (arrived.length > 0 || state.readyVersion !== seen) serve(state, self);
    },
    (error) => {
      state.isClaimingLeases = false;
      for (const { message } of line) message.reply.reject(error);
      serve(state, self);
    },
  );
}

/** Those in the line whom one claim serves without anybody being overtaken. */
interface Party {
  readonly queues: readonly string[];
  readonly leaseMs: number;
  readonly members: WaitingLease[];
}

function partiesOf(line: readonly WaitingLease[]): Party[] {
  const parties: Party[] = [];
  const lastOf = new Map<string, Party>();
  for (const waiting of line) {
    const { queues, leaseMs } = waiting.message;
    // Whoever came in between wants nothing of the same queues.
    const [last, ...others] = new Set(queues.map((queue) => lastOf.get(queue)));
    const isSame = others.length === 0 && last?.leaseMs === leaseMs && last.queues.length === queues.length;
    if (last !== undefined && isSame) {
      last.members.push(waiting);
      continue;
    }
    const party: Party = { queues, leaseMs, members: [waiting] };
    for (const queue of queues) lastOf.set(queue, party);
    parties.push(party);
  }
  return parties;
}

interface Given {
  readonly waiting: WaitingLease;
  readonly leased: LeasedTask;
}

function shareOut({ epoch }: QueueState, party: Party, claimed: Claimed | undefined, now: EpochMs): Given[] {
  const tasks = claimed?.tasks ?? [];
  return tasks.flatMap((task, place) => {
    const waiting = party.members[place];
    const fence = { epoch, attempt: task.life.attempt };
    return waiting === undefined ? [] : [{ waiting, leased: { task, fence, until: now + party.leaseMs } }];
  });
}

function give(state: QueueState, given: readonly Given[], self: Self<Inbox>): void {
  const isManual = ({ waiting }: Given): boolean => waiting.message.ack === "manual";
  for (const { waiting, leased } of given.filter(isManual)) {
    wakeBy(state, self, leased.until);
    waiting.message.reply(leased);
  }
  const auto = given.filter((one) => !isManual(one));
  if (auto.length === 0) return;
  const settlements = auto.map(({ waiting, leased: { task, fence } }) => {
    return { id: task.id, fence, end: completedEnd(task, waiting.message.noResult) };
  });
  settle(
    state,
    self,
    settlements,
    () => {
      for (const { waiting, leased } of auto) waiting.message.reply(leased);
      if (auto.some(({ leased }) => leased.task.request.schedule !== undefined)) tellScheduler(state);
    },
    (error) => {
      for (const { waiting, leased } of auto) {
        // Nobody has it now: it comes back when its lease ends.
        wakeBy(state, self, leased.until);
        waiting.message.reply.reject(error);
      }
    },
  );
}

/** Ends the wait of those who have waited long enough. All of them have looked. */
function letGo(state: QueueState, self: Self<Inbox>): void {
  const now = self.clock.now();
  const isOver = ({ until }: WaitingLease): boolean => state.isStopping || until <= now;
  const over = state.leasing.filter(isOver);
  state.leasing = state.leasing.filter((waiting) => !isOver(waiting));
  for (const { message } of over) message.reply(undefined);
  const at = Math.min(...state.leasing.map(({ until }) => until));
  if (Number.isFinite(at)) self.setTimer("leaseWaitOver", at, { type: "leaseWaitOver" });
}

export function leaseWaitOver(state: QueueState, _message: Inbox, self: Self<Inbox>): void {
  // Those who have come in since the claim began have not looked yet: it looks after them when it is back.
  if (!state.isClaimingLeases) letGo(state, self);
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
  settle(
    state,
    self,
    [settlement],
    ([isCounted]) => {
      reply(isCounted === true);
      if (task.request.schedule !== undefined) tellScheduler(state);
    },
    reply.reject,
  );
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
