import type { ActorRef, Reply, Self } from "../actor/actor.ts";
import type { EpochMs } from "../base/clock.ts";
import { StoreFullError } from "../base/errors.ts";
import type { AttemptNote } from "../executor/executor.ts";
import type { AnswerTo, Change, Claim, Claimed, Retention, Storage } from "../storage/storage.ts";
import { handlerKey, type StoredTask, type TaskId } from "../task/task.ts";
import type { Breakers } from "./breakers.ts";
import { Demand, type OpenClaim } from "./demand.ts";
import { drained } from "./draining.ts";
import type { Followers } from "./followers.ts";
import type {
  DispatcherMessage,
  DrainReport,
  EndedAttempt,
  QueueMessage,
  SchedulerMessage,
  StopMode,
  SweeperMessage,
} from "./protocol.ts";
import type { Waiters } from "./waiters.ts";

/** What the queue actor is made with. */
export interface QueueParts {
  readonly storage: Storage;
  readonly epoch: number;
  /** By `handlerKey`, what the modules define. */
  readonly names: ReadonlySet<string>;
  readonly retention: Retention;
  /** Shared by all lives of the actor. */
  readonly waiters: Waiters;
  readonly followers: Followers;
  readonly breakers: Breakers;
  readonly dispatcher: () => ActorRef<DispatcherMessage>;
  readonly sweeper: () => ActorRef<SweeperMessage>;
  readonly scheduler: () => ActorRef<SchedulerMessage>;
  /** The name under which tasks are claimed for the dispatcher. */
  readonly owner: string;
  /** Where tasks run that do not say. */
  readonly defaultExecutor: string;
}

/** The protocol, and what only this actor tells itself. */
export type Inbox =
  | QueueMessage
  | { readonly type: "advance" }
  | { readonly type: "found"; readonly ids: readonly TaskId[]; readonly found: readonly (StoredTask | undefined)[] }
  /** They were claimed, and no handler has their name. */
  | { readonly type: "park"; readonly tasks: readonly StoredTask[] }
  | { readonly type: "serveLeases" }
  | { readonly type: "leaseWaitOver" }
  | { readonly type: "drainWaitOver" }
  | { readonly type: "spaceAgain" }
  | { readonly type: "settleEnded" }
  | { readonly type: "breakersMove" }
  | { readonly type: "storeNotes" }
  | { readonly type: "committed"; readonly next: () => void }
  | { readonly type: "crash"; readonly error: unknown };

/** A caller that wants a task to lease, and how long it waits for one. */
export interface WaitingLease {
  readonly message: Extract<QueueMessage, { type: "lease" }>;
  readonly until: EpochMs;
}

/** A running task that is to be stopped, and who wants to know whether it was cancelled. */
export interface StopRequest {
  readonly reason: string;
  readonly mode: Exclude<StopMode, "no">;
  readonly graceMs: number;
  readonly replies: ((isCancelled: boolean | Promise<boolean>) => void)[];
}

export interface QueueState extends QueueParts {
  /** Which life of the dispatcher gets what is claimed; none before the first has begun. */
  dispatcherLife: symbol | undefined;
  readonly demand: Demand;
  /** Claimed for the dispatcher, which has not told their ends. */
  readonly claimed: Map<TaskId, StoredTask>;
  /** Attempts that ended, and whose outcomes are not being committed yet. */
  readonly ended: EndedAttempt[];
  isGathering: boolean;
  settledAt: EpochMs;
  /** What attempts have said that is not being committed yet, by attempt and task. */
  readonly notes: Map<string, AttemptNote>;
  isNoting: boolean;
  isStopping: boolean;
  /** Those who want to know when all claims have come in. */
  readonly stopped: Reply<void>[];
  readonly stops: Map<TaskId, StopRequest>;
  /** Rises whenever something became ready. */
  readyVersion: number;
  /** Callers that wait for a task to lease, in the order they came in; without those a claim is under way for. */
  leasing: WaitingLease[];
  isClaimingLeases: boolean;
  /** Calls that wait for room, by queue, in the order they came in. */
  readonly waitingForRoom: Map<string, (() => void)[]>;
  /** Commits again what found no space on the disk, in the order it came in. */
  waitingForSpace: (() => void)[];
  /** Callers that wait for the end of all work. */
  drains: { readonly reply: Reply<DrainReport | undefined>; readonly until: EpochMs }[];
  advanceAt: EpochMs | undefined;
  forgetAt: EpochMs | undefined;
}

/** @param claimed what an earlier life of the actor had claimed for the dispatcher. */
export const createState = (parts: QueueParts, claimed: readonly StoredTask[]): QueueState => ({
  ...parts,
  dispatcherLife: undefined,
  demand: new Demand(({ request }) => request.executor ?? parts.defaultExecutor),
  claimed: new Map(claimed.map((task) => [task.id, task])),
  ended: [],
  isGathering: false,
  settledAt: 0,
  notes: new Map(),
  isNoting: false,
  isStopping: false,
  stopped: [],
  stops: new Map(),
  readyVersion: 0,
  leasing: [],
  isClaimingLeases: false,
  waitingForRoom: new Map(),
  waitingForSpace: [],
  drains: [],
  advanceAt: undefined,
  forgetAt: undefined,
});

/**
 * Commits `changes`, and a claim with them where there is room and may be something to claim. `done` and `failed` run
 * as a turn of the actor, after the commit. With nobody to tell of a failure, a full disk is waited for: work that is
 * done must not be done again. Any other failure is a crash.
 */
export function commit<const C extends readonly Change[]>(
  state: QueueState,
  self: Self<Inbox>,
  changes: C,
  done: (answers: { -readonly [K in keyof C]: AnswerTo<C[K]> }) => void,
  failed?: (error: unknown) => void,
): void {
  const claim = nextClaim(state);
  const all: readonly Change[] =
    claim === undefined ? changes : [...changes, changeFor(state, claim, self.clock.now())];
  if (all.length === 0) return;
  self.pipe(
    state.storage.commit(all) as Promise<readonly unknown[]>,
    (answers) => ({
      type: "committed",
      next: () => {
        // Workers first: whoever waits for the answer waits for nothing else.
        if (claim !== undefined) handleClaimed(state, self, claim, answers.at(-1) as Claimed);
        done(answers.slice(0, changes.length) as never);
      },
    }),
    (error) => ({
      type: "committed",
      next: () => {
        if (claim !== undefined) {
          // Refused together with the changes it rode with: it is made again, alone.
          state.demand.failed(claim);
          claimsCameIn(state);
        }
        if (failed !== undefined) {
          failed(error);
          poke(state, self);
        } else if (error instanceof StoreFullError) {
          waitForSpace(state, self, () => commit(state, self, changes, done));
        } else throw error;
      },
    }),
  );
}

/** How long to wait for space before what could not be stored is tried again. */
const spaceRetryMs = 1_000;

function waitForSpace(state: QueueState, self: Self<Inbox>, retry: () => void): void {
  state.waitingForSpace.push(retry);
  if (state.waitingForSpace.length > 1) return;
  self.setTimer("spaceAgain", self.clock.now() + spaceRetryMs, { type: "spaceAgain" });
}

export function spaceAgain(state: QueueState): void {
  const retries = state.waitingForSpace;
  state.waitingForSpace = [];
  for (const retry of retries) {
    // Claims have looked in the meantime for what this may make ready.
    becameReady(state);
    retry();
  }
}

/** Something may be claimed that could not be before. */
export function becameReady(state: QueueState): void {
  state.demand.becameReady();
  state.readyVersion++;
}

/** Those that wait for a task to lease look again: something became ready. */
export function retryLeases(state: QueueState, self: Self<Inbox>): void {
  if (state.leasing.length > 0) self.tell({ type: "serveLeases" });
}

/**
 * The first of those that wait for room in each full queue tries again: something ended, or a limit was changed. If it
 * finds room, so may the next.
 */
export function retryWaitingForRoom(state: QueueState): void {
  for (const [queue, line] of Array.from(state.waitingForRoom)) {
    const first = line.shift();
    if (line.length === 0) state.waitingForRoom.delete(queue);
    first?.();
  }
}

function nextClaim(state: QueueState): OpenClaim | undefined {
  return state.isStopping || state.dispatcherLife === undefined ? undefined : state.demand.take();
}

function changeFor({ owner, breakers, claimed, demand }: QueueState, claim: OpenClaim, now: EpochMs): Claim {
  const { limit, room } = claim;
  const perName = breakers.roomAt(now, claimed.values(), (name) => demand.promised(name));
  if (perName === undefined) return { type: "claim", limit, now, owner, room };
  claim.perName = perName;
  return { type: "claim", limit, now, owner, room, perName };
}

function handleClaimed(
  state: QueueState,
  self: Self<Inbox>,
  claim: OpenClaim,
  { tasks, expired, heldUntil }: Claimed,
): void {
  const isKnown = ({ request }: StoredTask): boolean => state.names.has(handlerKey(request));
  const known = tasks.every(isKnown) ? tasks : tasks.filter(isKnown);
  const unknown = known === tasks ? [] : tasks.filter((task) => !isKnown(task));
  const life = state.dispatcherLife;
  const asked = state.demand.came(claim, tasks, known);
  if (heldUntil !== undefined) wakeBy(state, self, heldUntil);
  for (const task of known) state.claimed.set(task.id, task);
  if (known.length > 0 && life !== undefined) {
    state.dispatcher().tell({ type: "run", life, tasks: known, asked, awaited: state.waiters.among(known) });
  }
  claimsCameIn(state);
  tellExpired(state, self, expired);
  if (unknown.length > 0) self.tell({ type: "park", tasks: unknown });
  poke(state, self);
  drained(state, self);
}

/** Claims nothing more. */
export function stopClaiming(state: QueueState, { reply }: Extract<QueueMessage, { type: "stopClaiming" }>): void {
  state.isStopping = true;
  for (const { message } of state.leasing.splice(0)) message.reply(undefined);
  state.stopped.push(reply);
  claimsCameIn(state);
}

function claimsCameIn(state: QueueState): void {
  if (!state.demand.isClaiming) for (const reply of state.stopped.splice(0)) reply();
}

/** Claims, if that is all there is to do. */
export function poke(state: QueueState, self: Self<Inbox>): void {
  commit(state, self, [], () => undefined);
}

export function tellExpired(state: QueueState, self: Self<Inbox>, ids: readonly TaskId[]): void {
  if (ids.length === 0) return;
  lookForEnds(state, self, ids);
  forgetSoon(state, self);
  retryWaitingForRoom(state);
  tellScheduler(state);
}

/** Tasks have ended that schedules may wait for. */
export function tellScheduler({ scheduler }: QueueState): void {
  scheduler().tell({ type: "tasksEnded" });
}

/** Tells those who wait for these tasks of those that have ended, as they are stored. */
export function lookForEnds(
  { storage, waiters }: Pick<QueueParts, "storage" | "waiters">,
  self: Self<Inbox>,
  ids: readonly TaskId[],
): void {
  const awaited = ids.filter((id) => waiters.has(id));
  if (awaited.length === 0) return;
  self.pipe(
    storage.get(awaited),
    (found) => ({ type: "found", ids: awaited, found }),
    (error) => ({ type: "crash", error }),
  );
}

// ----------------------------------------------------------------------------------------------------------- time

/** Something falls due then; wakes the actor no later. */
export function wakeBy(state: QueueState, self: Self<Inbox>, at: EpochMs): void {
  if (state.advanceAt !== undefined && state.advanceAt <= at) return;
  state.advanceAt = at;
  self.setTimer("advance", at, { type: "advance" });
}

/** Something has ended; tells the sweeper when it is to be forgotten, unless it will look earlier than that. */
export function forgetSoon(state: QueueState, self: Self<Inbox>, resultTtlMs = Number.POSITIVE_INFINITY): void {
  const { completedMs, failedMs, eventsMs } = state.retention;
  const now = self.clock.now();
  const at = now + Math.min(completedMs, failedMs, eventsMs, resultTtlMs);
  const isKnown = state.forgetAt !== undefined && state.forgetAt > now && state.forgetAt <= at;
  if (isKnown) return;
  state.forgetAt = at;
  state.sweeper().tell({ type: "forgetFrom", at });
}
