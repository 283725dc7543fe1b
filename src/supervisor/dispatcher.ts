import { defineActor, type Actor, type ActorRef, type Reply, type Self } from "../actor/actor.ts";
import type { EpochMs } from "../base/clock.ts";
import type { AttemptReport, Executor, Run } from "../executor/executor.ts";
import type { StoredTask, TaskId } from "../task/task.ts";
import { Durations, nextBatch, prefetchBelowMs } from "./batching.ts";
import type { DispatcherMessage, EndedAttempt, QueueMessage } from "./protocol.ts";

/** A batch that an executor has. Kept outside of the actor's state, because it goes on when the actor is restarted. */
export interface ActiveRun {
  readonly tasks: Map<TaskId, StoredTask>;
  readonly startedAt: EpochMs;
  readonly estimateMs: number;
  readonly run: Run;
  /** What it had not started was taken back: it is not as short as was thought. */
  isRevoked: boolean;
  readonly hasTimeouts: boolean;
  /** Tasks that were told to stop because their time was up, with that time. */
  readonly timedOut: Map<TaskId, number>;
  /** Tasks that were told to stop for another reason. */
  readonly stopped: Set<TaskId>;
}

export interface DispatcherParts {
  readonly executor: Executor;
  /** Shared by all lives of the actor. */
  readonly active: Set<ActiveRun>;
  readonly queue: () => ActorRef<QueueMessage>;
}

type Inbox =
  | DispatcherMessage
  | { readonly type: "ended"; readonly active: ActiveRun; readonly reports: readonly AttemptReport[] }
  | { readonly type: "idle"; readonly active: ActiveRun }
  | { readonly type: "watch" };

interface State extends DispatcherParts {
  readonly life: symbol;
  readonly durations: Durations;
  /** Claimed and not started, in the order to start them; `next` is the first that is left. */
  waiting: StoredTask[];
  next: number;
  /** Asked of the queue and not yet here. */
  asked: number;
  watchAt: EpochMs | undefined;
  isFinishing: Reply<void> | undefined;
}

/** How long a batch may take before what it has not started is taken back for other workers. */
const patienceMs = 10;
/** From asking a task to stop because its time is up to ending its worker. */
const timeoutGraceMs = 100;

/** Decides where tasks run: makes batches, keeps the workers busy, watches the time. Knows no storage. */
export const dispatcherActor = (parts: DispatcherParts): Actor<Inbox, State> =>
  defineActor<Inbox, State>({
    start(self) {
      const state: State = {
        ...parts,
        life: Symbol("life of the dispatcher"),
        durations: new Durations(),
        waiting: [],
        next: 0,
        asked: 0,
        watchAt: undefined,
        isFinishing: undefined,
      };
      const running = new Set([...parts.active].flatMap(({ tasks }) => [...tasks.keys()]));
      const wanted = wantedNow(state);
      parts.queue().tell({ type: "dispatcherStarted", life: state.life, running, wanted });
      watch(state, self);
      return state;
    },
    on: {
      run(state, { life, tasks }, self) {
        if (life !== state.life) return;
        state.asked = Math.max(0, state.asked - tasks.length);
        addWaiting(state, tasks);
        if (state.isFinishing !== undefined) giveBackWaiting(state);
        else start(state, self);
      },
      stop: handleStop,
      ended: handleEnded,
      idle(state, { active }, self) {
        state.active.delete(active);
        if (state.isFinishing !== undefined) {
          if (state.active.size === 0) state.isFinishing();
          return;
        }
        start(state, self);
        const wanted = wantedNow(state);
        if (wanted > 0) state.queue().tell({ type: "attemptsEnded", ended: [], wanted });
      },
      watch: handleWatch,
      finish(state, { reply }) {
        state.isFinishing = reply;
        giveBackWaiting(state);
        for (const active of state.active) takeBack(active);
        if (state.active.size === 0) reply();
      },
    },
  });

// ------------------------------------------------------------------------------------------------------- starting

function addWaiting(state: State, tasks: readonly StoredTask[]): void {
  state.waiting = [...state.waiting.slice(state.next), ...tasks];
  state.next = 0;
  // A task that became ready later may be more important than those that are here.
  state.waiting.sort((one, other) => other.request.priority - one.request.priority);
}

function start(state: State, self: Self<Inbox>): void {
  const now = self.clock.now();
  const late: StoredTask[] = [];
  while (state.next < state.waiting.length) {
    const { size, estimateMs } = nextBatch(state.waiting, state.next, state.durations);
    if (!hasRoom(state, estimateMs)) break;
    const batch: StoredTask[] = [];
    for (const task of state.waiting.slice(state.next, state.next + size)) {
      (isLate(task, now) ? late : batch).push(task);
    }
    state.next += size;
    if (batch.length > 0) handOver(state, self, batch, estimateMs);
  }
  // They expire with the claim that takes their places.
  giveBack(state, late);
  watch(state, self);
}

const isLate = ({ request }: StoredTask, now: EpochMs): boolean =>
  request.expiresAt !== undefined && request.expiresAt <= now;

function handOver(state: State, self: Self<Inbox>, batch: readonly StoredTask[], estimateMs: number): void {
  const active: ActiveRun = {
    tasks: new Map(batch.map((task) => [task.id, task])),
    startedAt: self.clock.now(),
    estimateMs,
    run: state.executor.run(batch, {
      ended: (reports) => self.tell({ type: "ended", active, reports }),
      idle: () => self.tell({ type: "idle", active }),
    }),
    isRevoked: false,
    hasTimeouts: batch.some(({ request }) => request.timeoutMs !== undefined),
    timedOut: new Map(),
    stopped: new Set(),
  };
  state.active.add(active);
}

/** A second batch goes to a worker only when both are short: a long one must not have anything waiting behind it. */
function hasRoom(state: State, estimateMs: number): boolean {
  const { slots } = state.executor;
  if (state.active.size >= slots) return false;
  let busy = 0;
  let isShort = estimateMs <= prefetchBelowMs;
  for (const active of state.active) {
    // One that has nothing left only waits for its worker to notice.
    if (active.tasks.size === 0) continue;
    busy++;
    if (active.estimateMs > prefetchBelowMs || active.isRevoked) isShort = false;
  }
  return busy < slots / 2 || isShort;
}

/** How many more tasks to ask for: enough to fill every slot, and as much again for the first slots that are free. */
function wantedNow(state: State): number {
  if (state.isFinishing !== undefined) return 0;
  const { slots } = state.executor;
  const perSlot = state.durations.typicalBatch();
  let has = state.waiting.length - state.next + state.asked;
  for (const { tasks } of state.active) has += tasks.size;
  const wanted = Math.ceil(1.5 * slots * perSlot) - has;
  // Asking for a few at a time would make small commits.
  if (wanted <= 0 || (has > 0 && wanted < perSlot)) return 0;
  state.asked += wanted;
  return wanted;
}

/** Gives claimed tasks back to the queue, as they were before. */
function giveBack(state: State, tasks: readonly StoredTask[]): void {
  if (tasks.length === 0) return;
  const ended = tasks.map((task): EndedAttempt => ({ task, report: { id: task.id, end: { type: "unstarted" } } }));
  state.queue().tell({ type: "attemptsEnded", ended, wanted: wantedNow(state) });
}

function giveBackWaiting(state: State): void {
  const left = state.waiting.slice(state.next);
  state.waiting = [];
  state.next = 0;
  giveBack(state, left);
}

// --------------------------------------------------------------------------------------------------------- ending

function handleEnded(state: State, { active, reports }: Extract<Inbox, { type: "ended" }>, self: Self<Inbox>): void {
  const ended: EndedAttempt[] = [];
  const takenBack: StoredTask[] = [];
  for (const report of reports) {
    const task = active.tasks.get(report.id);
    if (task === undefined) continue;
    active.tasks.delete(report.id);
    if (report.durationMs !== undefined) state.durations.learn(task.request.name, report.durationMs);
    const timedOutMs = active.timedOut.get(report.id);
    if (report.end.type === "unstarted" && state.isFinishing === undefined && !active.stopped.has(report.id)) {
      // Its batch got stuck, or its worker died: it stays claimed, and goes to the next worker that is free.
      takenBack.push(task);
      continue;
    }
    ended.push(timedOutMs === undefined ? { task, report } : { task, report, timedOutMs });
  }
  state.waiting.splice(state.next, 0, ...takenBack);
  const wanted = wantedNow(state);
  if (ended.length > 0 || wanted > 0) state.queue().tell({ type: "attemptsEnded", ended, wanted });
  if (state.isFinishing === undefined) start(state, self);
}

function handleStop(state: State, message: Extract<Inbox, { type: "stop" }>): void {
  const { id, reason, mode, graceMs } = message;
  const at = state.waiting.findIndex((task, index) => index >= state.next && task.id === id);
  const task = state.waiting[at];
  if (task !== undefined) {
    state.waiting.splice(at, 1);
    giveBack(state, [task]);
    return;
  }
  for (const active of state.active) {
    if (!active.tasks.has(id)) continue;
    active.stopped.add(id);
    active.run.stop(id, reason, mode === "terminate" ? graceMs : Number.POSITIVE_INFINITY);
  }
}

// -------------------------------------------------------------------------------------------------------- watching

/** Looks for tasks whose time is up, and for batches that are stuck behind one task. */
function handleWatch(state: State, _message: Inbox, self: Self<Inbox>): void {
  state.watchAt = undefined;
  const now = self.clock.now();
  for (const active of state.active) {
    const current = active.run.current();
    const timeoutMs = current === undefined ? undefined : active.tasks.get(current.id)?.request.timeoutMs;
    if (
      current !== undefined &&
      timeoutMs !== undefined &&
      now >= current.startedAt + timeoutMs &&
      !active.timedOut.has(current.id)
    ) {
      active.timedOut.set(current.id, timeoutMs);
      active.run.stop(current.id, `The attempt took longer than its timeout of ${timeoutMs} ms.`, timeoutGraceMs);
    }
    if (now >= active.startedAt + patienceMs) takeBack(active);
  }
  watch(state, self);
}

function takeBack(active: ActiveRun): void {
  if (active.isRevoked) return;
  active.isRevoked = true;
  active.run.revoke();
}

/** Arms the one timer for the earliest moment at which something may have to be done; none when nothing runs. */
function watch(state: State, self: Self<Inbox>): void {
  const now = self.clock.now();
  let at = Number.POSITIVE_INFINITY;
  for (const active of state.active) {
    if (!active.isRevoked && active.tasks.size > 0) at = Math.min(at, active.startedAt + patienceMs);
    if (active.hasTimeouts) at = Math.min(at, nextTimeout(active, now));
  }
  if (at === Number.POSITIVE_INFINITY || (state.watchAt !== undefined && state.watchAt <= at)) return;
  state.watchAt = at;
  self.setTimer("watch", at, { type: "watch" });
}

function nextTimeout(active: ActiveRun, now: EpochMs): EpochMs {
  let at = Number.POSITIVE_INFINITY;
  const current = active.run.current();
  for (const { id, request } of active.tasks.values()) {
    if (request.timeoutMs === undefined || active.timedOut.has(id)) continue;
    const startedAt = current?.id === id ? current.startedAt : now;
    at = Math.min(at, startedAt + request.timeoutMs);
  }
  return at;
}
