import type { ActorRef, Reply, Self } from "../actor/actor.ts";
import type { EpochMs } from "../base/clock.ts";
import type { AnswerTo, Change, Claim, Claimed, Retention, Storage } from "../storage/storage.ts";
import { isTerminal } from "../task/state.ts";
import type { StoredTask, TaskId } from "../task/task.ts";
import type {
  DispatcherMessage,
  DrainReport,
  EndedAttempt,
  QueueMessage,
  SweeperMessage,
  TaskOutcome,
} from "./protocol.ts";
import type { StopCause } from "./settlement.ts";
import { Waiters } from "./waiters.ts";

/** What the queue actor is made with. */
export interface QueueParts {
  readonly storage: Storage;
  readonly epoch: number;
  /** Names that a module defines. */
  readonly names: ReadonlySet<string>;
  readonly retention: Retention;
  readonly dispatcher: () => ActorRef<DispatcherMessage>;
  readonly sweeper: () => ActorRef<SweeperMessage>;
  /** The name under which tasks are claimed for the dispatcher. */
  readonly owner: string;
}

/** The protocol, and what only this actor tells itself. */
export type Inbox =
  | QueueMessage
  | { readonly type: "advance" }
  | { readonly type: "found"; readonly ids: readonly TaskId[]; readonly found: readonly (StoredTask | undefined)[] }
  | { readonly type: "leaseWaitOver" }
  | { readonly type: "settleAgain" }
  | { readonly type: "committed"; readonly next: () => void }
  | { readonly type: "crash"; readonly error: unknown };

export type WaitingLease = Extract<QueueMessage, { type: "lease" }>;

export interface QueueState extends QueueParts {
  readonly waiters: Waiters;
  /** How many more tasks the dispatcher has room for. */
  wanted: number;
  /** A claim might find something: something became ready since the last one that found too little. */
  hasReady: boolean;
  /** Claims that are being committed. */
  claiming: number;
  /** Claimed for the dispatcher and not settled. */
  claimed: number;
  isStopping: boolean;
  /** Why tasks were told to stop, and who wants to know whether they did. */
  readonly stops: Map<TaskId, { readonly cause: StopCause; readonly replies: ((wasStopped: boolean) => void)[] }>;
  /** Rises whenever something became ready. */
  readyVersion: number;
  /** Callers that wait for a task to lease. */
  leasing: { readonly retry: () => void; readonly giveUp: () => void; readonly until: EpochMs }[];
  /** Tries to store again what a full queue keeps waiting, in the order it came in. */
  waitingForRoom: (() => void)[];
  readonly drains: Reply<DrainReport>[];
  /** Ends that could not be stored because the disk is full. */
  unsettled: EndedAttempt[];
  advanceAt: EpochMs | undefined;
  forgetAt: EpochMs | undefined;
  outcomeOf(id: TaskId, found: StoredTask | undefined): TaskOutcome | undefined;
}

export const createState = (parts: QueueParts): QueueState => ({
  ...parts,
  waiters: new Waiters(),
  wanted: 0,
  hasReady: true,
  claiming: 0,
  claimed: 0,
  isStopping: false,
  stops: new Map(),
  readyVersion: 0,
  leasing: [],
  waitingForRoom: [],
  drains: [],
  unsettled: [],
  advanceAt: undefined,
  forgetAt: undefined,
  outcomeOf: (id, found) => {
    if (found === undefined) return { id, state: "unknown", attempt: 0 };
    const { state, attempt, reason, failed } = found.life;
    if (!isTerminal(state)) return undefined;
    const error = failed.at(-1)?.error;
    return {
      id,
      state,
      attempt,
      ...(reason === undefined ? {} : { reason }),
      ...(error === undefined || state !== "failed" ? {} : { error }),
    };
  },
});

/**
 * Commits `changes`, and a claim with them where there is room and may be something to claim. `done` and `failed` run
 * as a turn of the actor, after the commit. What fails with nobody to tell is a crash.
 */
export function commit<const C extends readonly Change[]>(
  state: QueueState,
  self: Self<Inbox>,
  changes: C,
  done: (answers: { -readonly [K in keyof C]: AnswerTo<C[K]> }) => void,
  failed?: (error: unknown) => void,
): void {
  const claim = nextClaim(state, self.clock.now());
  const all: readonly Change[] = claim === undefined ? changes : [...changes, claim];
  if (all.length === 0) return;
  self.pipe(
    state.storage.commit(all) as Promise<readonly unknown[]>,
    (answers) => ({
      type: "committed",
      next: () => {
        done(answers.slice(0, changes.length) as never);
        if (claim !== undefined) claimed(state, self, claim, answers.at(-1) as Claimed);
      },
    }),
    (error) => ({
      type: "committed",
      next: () => {
        if (claim !== undefined) {
          // Refused together with the changes it rode with: it is made again, alone.
          state.claiming--;
          state.wanted += claim.limit;
          state.hasReady = true;
        }
        if (failed === undefined) throw error;
        failed(error);
        poke(state, self);
      },
    }),
  );
}

/** Something may be claimed that could not be before. */
export function becameReady(state: QueueState): void {
  state.hasReady = true;
  state.readyVersion++;
}

/** Those that wait for a task to lease look again: something became ready. */
export function retryLeases(state: QueueState): void {
  for (const waiting of state.leasing.splice(0)) waiting.retry();
}

/** Those that wait for room in a full queue try again: something ended, or a limit was changed. */
export function retryWaitingForRoom(state: QueueState): void {
  for (const retry of state.waitingForRoom.splice(0)) retry();
}

function nextClaim(state: QueueState, now: EpochMs): Claim | undefined {
  if (state.wanted === 0 || !state.hasReady || state.isStopping) return undefined;
  const limit = state.wanted;
  state.wanted = 0;
  state.hasReady = false;
  state.claiming++;
  return { type: "claim", limit, now, owner: state.owner };
}

function claimed(state: QueueState, self: Self<Inbox>, claim: Claim, { tasks, expired }: Claimed): void {
  const known = tasks.filter(({ request }) => state.names.has(request.name));
  const unknown = tasks.filter(({ request }) => !state.names.has(request.name));
  state.claiming--;
  state.claimed += known.length;
  // Only a claim that got all it wanted leaves the question open.
  if (tasks.length === claim.limit) state.hasReady = true;
  state.wanted += claim.limit - known.length;
  if (known.length > 0) state.dispatcher().tell({ type: "run", tasks: known });
  tellExpired(state, expired);
  if (unknown.length > 0) park(state, self, unknown);
  else poke(state, self);
  drained(state, self);
}

/** No handler has their name (an older version of the program stored them): they are set aside until one has. */
function park(state: QueueState, self: Self<Inbox>, tasks: readonly StoredTask[]): void {
  const settlements = tasks.map(({ id, life }) => ({
    id,
    fence: { epoch: state.epoch, attempt: life.attempt },
    end: { to: "ready", cause: "parked" } as const,
  }));
  commit(state, self, [{ type: "settle", now: self.clock.now(), settlements }], () => undefined);
}

/** Claims, if that is all there is to do. */
export function poke(state: QueueState, self: Self<Inbox>): void {
  if (state.wanted > 0 && state.hasReady && !state.isStopping) commit(state, self, [], () => undefined);
}

export function tellExpired(state: QueueState, ids: readonly TaskId[]): void {
  state.waiters.deliver(ids.map((id) => ({ id, state: "expired", attempt: 0, reason: "expired" })));
}

// ----------------------------------------------------------------------------------------------------------- time

/** Something falls due then; wakes the actor no later. */
export function wakeBy(state: QueueState, self: Self<Inbox>, at: EpochMs): void {
  if (state.advanceAt !== undefined && state.advanceAt <= at) return;
  state.advanceAt = at;
  self.setTimer("advance", at, { type: "advance" });
}

export function advance(state: QueueState, _message: Inbox, self: Self<Inbox>): void {
  state.advanceAt = undefined;
  commit(state, self, [{ type: "advance", now: self.clock.now(), limit: 1_000 }], ([result]) => {
    if (result.ready > 0 || result.interrupted.length > 0) {
      becameReady(state);
      retryLeases(state);
      poke(state, self);
    }
    tellExpired(state, result.expired);
    if (result.hasMore) {
      self.tell({ type: "advance" });
      return;
    }
    self.pipe(
      state.storage.nextDue(),
      (next) => ({ type: "committed", next: () => next.advance !== undefined && wakeBy(state, self, next.advance) }),
      (error) => ({ type: "crash", error }),
    );
    drained(state, self);
  });
}

/** Something is to be forgotten then; tells the sweeper when it does not know of anything earlier. */
export function forgetFrom(state: QueueState, self: Self<Inbox>, at: EpochMs): void {
  const isKnown = state.forgetAt !== undefined && state.forgetAt > self.clock.now() && state.forgetAt <= at;
  if (isKnown) return;
  state.forgetAt = at;
  state.sweeper().tell({ type: "forgetFrom", at });
}

// ---------------------------------------------------------------------------------------------------------- draining

/**
 * Replies to those who wait for the end of all work, if this is it: the last claim found nothing, nothing runs, and
 * nothing waits to be tried again.
 */
export function drained(state: QueueState, self: Self<Inbox>): void {
  const isBusy = (): boolean => state.claimed > 0 || state.claiming > 0 || (state.hasReady && state.wanted > 0);
  if (state.drains.length === 0 || isBusy()) return;
  self.pipe(
    Promise.all([state.storage.counts(), state.storage.queues()]),
    ([counts, queues]) => ({
      type: "committed",
      next: () => {
        const pausedQueues = new Set(queues.filter(({ isPaused }) => isPaused).map(({ name }) => name));
        let left = 0;
        const report = { paused: 0, parked: counts.parked, scheduled: 0, blocked: 0 };
        for (const [queue, { ready = 0, running = 0, retrying = 0, scheduled = 0, blocked = 0 }] of counts.queues) {
          const isPaused = pausedQueues.has(queue);
          left += running + (isPaused ? 0 : retrying);
          report.paused += isPaused ? ready + retrying : 0;
          report.scheduled += scheduled;
          report.blocked += blocked;
        }
        if (left > 0 || isBusy()) return;
        for (const reply of state.drains.splice(0)) reply(report);
      },
    }),
    (error) => ({ type: "crash", error }),
  );
}
