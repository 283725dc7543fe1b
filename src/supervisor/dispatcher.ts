import { defineActor, type Actor, type ActorRef, type Reply, type Self } from "../actor/actor.ts";
import type { EpochMs } from "../base/clock.ts";
import type { AttemptReport, Executor } from "../executor/executor.ts";
import type { StoredTask } from "../task/task.ts";
import { Durations, nextBatch } from "./batching.ts";
import type { DispatcherMessage, EndedAttempt, QueueMessage } from "./protocol.ts";
import { takeBack, Workload, type ActiveRun, type Waiting } from "./workload.ts";

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
  readonly workload: Workload;
  readonly life: symbol;
  readonly durations: Durations;
  /** Claimed and not started, in the order to start them; `next` is the first that is left. */
  waiting: Waiting[];
  next: number;
  /** How many have come. */
  arrived: number;
  /** Asked of the queue and not yet here. */
  asked: number;
  watchAt: EpochMs | undefined;
  isFinishing: Reply<void> | undefined;
}

/** From asking a task to stop because its time is up to ending its worker. */
const timeoutGraceMs = 100;

/** Decides where tasks run: makes batches, keeps the workers busy, watches the time. Knows no storage. */
export const dispatcherActor = (parts: DispatcherParts): Actor<Inbox, State> =>
  defineActor<Inbox, State>({
    start(self) {
      const state: State = {
        ...parts,
        workload: new Workload(parts.executor, parts.active),
        life: Symbol("life of the dispatcher"),
        durations: new Durations(),
        waiting: [],
        next: 0,
        arrived: 0,
        asked: 0,
        watchAt: undefined,
        isFinishing: undefined,
      };
      const running = new Set([...parts.active].flatMap(({ tasks }) => [...tasks.keys()]));
      const wanted = wantedNow(state);
      parts
        .queue()
        .tell({ type: "dispatcherStarted", life: state.life, running, wanted, workers: state.workload.workers });
      watch(state, self);
      return state;
    },
    on: {
      run(state, { life, tasks }, self) {
        if (life !== state.life) return;
        state.asked = Math.max(0, state.asked - tasks.length);
        addWaiting(
          state,
          tasks.map((task) => ({ task, place: state.arrived++ })),
        );
        if (state.isFinishing !== undefined) return giveBackWaiting(state);
        state.workload.makeWay(state.waiting[state.next]?.task.request.priority ?? Number.NEGATIVE_INFINITY);
        start(state, self);
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
        if (waitingIn(state) === 0) state.workload.share(self.clock.now());
        const wanted = wantedNow(state);
        if (wanted > 0)
          state
            .queue()
            .tell({ type: "attemptsEnded", ended: [], wanted, isBusy: state.workload.isBusy(waitingIn(state)) });
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

/** By priority, then in the order in which they came: a later one may be more important than those that are here. */
function addWaiting(state: State, more: readonly Waiting[]): void {
  state.waiting = [...state.waiting.slice(state.next), ...more];
  state.next = 0;
  state.waiting.sort(
    (one, other) => other.task.request.priority - one.task.request.priority || one.place - other.place,
  );
}

function start(state: State, self: Self<Inbox>): void {
  const now = self.clock.now();
  const late: Waiting[] = [];
  while (waitingIn(state) > 0 && state.workload.hasRoom) {
    const { size, estimateMs } = nextBatch(
      state.waiting,
      state.next,
      state.durations,
      state.workload.fairShare(waitingIn(state)),
    );
    const batch: Waiting[] = [];
    for (const waiting of state.waiting.slice(state.next, state.next + size)) {
      (isLate(waiting.task, now) ? late : batch).push(waiting);
    }
    state.next += size;
    if (batch.length > 0) handOver(state, self, batch, estimateMs);
  }
  // They expire with the claim that takes their places.
  giveBack(state, late);
  watch(state, self);
}

const waitingIn = (state: State): number => state.waiting.length - state.next;

const isLate = ({ request }: StoredTask, now: EpochMs): boolean =>
  request.expiresAt !== undefined && request.expiresAt <= now;

function handOver(state: State, self: Self<Inbox>, batch: readonly Waiting[], estimateMs: number): void {
  const active: ActiveRun = {
    tasks: new Map(batch.map((waiting) => [waiting.task.id, waiting])),
    handedOverAt: self.clock.now(),
    size: batch.length,
    estimateMs,
    run: state.executor.run(
      batch.map(({ task }) => task),
      {
        ended: (reports) => self.tell({ type: "ended", active, reports }),
        idle: () => self.tell({ type: "idle", active }),
      },
    ),
    lowest: batch.at(-1)?.task.request.priority ?? 0,
    isRevoked: false,
    expiresAt: Math.min(...batch.map(({ task }) => task.request.expiresAt ?? Number.POSITIVE_INFINITY)),
    hasTimeouts: batch.some(({ task }) => task.request.timeoutMs !== undefined),
    timedOut: new Map(),
    stopped: new Set(),
  };
  state.active.add(active);
}

/** How many more tasks to ask for: enough to fill every slot, and as much again for the first slots that are free. */
function wantedNow(state: State): number {
  if (state.isFinishing !== undefined) return 0;
  const { slots } = state.executor;
  const perSlot = state.durations.typicalBatch();
  const has = waitingIn(state) + state.asked + state.workload.size;
  const wanted = Math.ceil(1.5 * slots * perSlot) - has;
  // Asking for a few at a time would make small commits.
  if (wanted <= 0 || (has > 0 && wanted < perSlot)) return 0;
  state.asked += wanted;
  return wanted;
}

/** Gives claimed tasks back to the queue, as they were before. */
function giveBack(state: State, tasks: readonly Waiting[]): void {
  if (tasks.length === 0) return;
  const ended = tasks.map(({ task }): EndedAttempt => ({ task, report: { id: task.id, end: { type: "unstarted" } } }));
  state.queue().tell({ type: "attemptsEnded", ended, wanted: wantedNow(state), isBusy: false });
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
  const takenBack: Waiting[] = [];
  for (const report of reports) {
    const waiting = active.tasks.get(report.id);
    if (waiting === undefined) continue;
    const { task } = waiting;
    active.tasks.delete(report.id);
    if (report.durationMs !== undefined) state.durations.learn(task.request.name, report.durationMs);
    const timedOutMs = active.timedOut.get(report.id);
    if (report.end.type === "unstarted" && state.isFinishing === undefined && !active.stopped.has(report.id)) {
      // Its batch got stuck, or its worker died: it stays claimed, and goes to the next worker that is free.
      takenBack.push(waiting);
      continue;
    }
    ended.push(timedOutMs === undefined ? { task, report } : { task, report, timedOutMs });
  }
  if (takenBack.length > 0) addWaiting(state, takenBack);
  // First of all: what waits for workers waits for no transaction.
  if (state.isFinishing === undefined) start(state, self);
  const wanted = wantedNow(state);
  if (ended.length > 0 || wanted > 0) {
    state.queue().tell({ type: "attemptsEnded", ended, wanted, isBusy: state.workload.isBusy(waitingIn(state)) });
  }
}

function handleStop(state: State, message: Extract<Inbox, { type: "stop" }>): void {
  const { id, reason, mode, graceMs } = message;
  const at = state.waiting.findIndex(({ task }, index) => index >= state.next && task.id === id);
  const waiting = state.waiting[at];
  if (waiting !== undefined) {
    state.waiting.splice(at, 1);
    giveBack(state, [waiting]);
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
    const timeoutMs = current === undefined ? undefined : active.tasks.get(current.id)?.task.request.timeoutMs;
    if (
      current !== undefined &&
      timeoutMs !== undefined &&
      now >= current.startedAt + timeoutMs &&
      !active.timedOut.has(current.id)
    ) {
      active.timedOut.set(current.id, timeoutMs);
      active.run.stop(current.id, `The attempt took longer than its timeout of ${timeoutMs} ms.`, timeoutGraceMs);
    }
  }
  state.workload.takeBackStuck(now);
  start(state, self);
}

/** Arms the one timer for the earliest moment at which something may have to be done; none when nothing runs. */
function watch(state: State, self: Self<Inbox>): void {
  const now = self.clock.now();
  let at = state.workload.nextStuck(now);
  for (const active of state.active) if (active.hasTimeouts) at = Math.min(at, nextTimeout(active, now));
  if (at === Number.POSITIVE_INFINITY || (state.watchAt !== undefined && state.watchAt <= at)) return;
  state.watchAt = at;
  self.setTimer("watch", at, { type: "watch" });
}

function nextTimeout(active: ActiveRun, now: EpochMs): EpochMs {
  let at = Number.POSITIVE_INFINITY;
  const current = active.run.current();
  for (const {
    task: { id, request },
  } of active.tasks.values()) {
    if (request.timeoutMs === undefined || active.timedOut.has(id)) continue;
    const startedAt = current?.id === id ? current.startedAt : now;
    at = Math.min(at, startedAt + request.timeoutMs);
  }
  return at;
}
