import { defineActor, type Actor, type ActorRef, type Reply, type Self } from "../actor/actor.ts";
import type { EpochMs } from "../base/clock.ts";
import type { AttemptNote, AttemptReport, ChildCall, RunObserver } from "../executor/executor.ts";
import { handlerKey, type StoredTask, type TaskId } from "../task/task.ts";
import type { ChildTask, DispatcherMessage, EndedAttempt, Executors, QueueMessage, Wanted } from "./protocol.ts";
import { Took } from "./batching.ts";
import { answersOf } from "./answers-of.ts";
import { runOn } from "./run-on.ts";
import { Station } from "./station.ts";
import { takeBack, type ActiveRun, type Waiting } from "./workload.ts";

export interface DispatcherParts {
  readonly executors: Executors;
  /** By `handlerKey`, what the modules define; nothing else is started. */
  readonly names: ReadonlySet<string>;
  /** By executor; shared by all lives of the actor. */
  readonly active: ReadonlyMap<string, Set<ActiveRun>>;
  readonly queue: () => ActorRef<QueueMessage>;
  /** Checks what a running attempt asks for. */
  readonly newChild: (call: ChildCall) => Promise<ChildTask>;
}

type Inbox =
  | DispatcherMessage
  | {
      readonly type: "ended";
      readonly at: string;
      readonly active: ActiveRun;
      readonly reports: readonly AttemptReport[];
    }
  | { readonly type: "idle"; readonly at: string; readonly active: ActiveRun }
  | { readonly type: "noted"; readonly active: ActiveRun; readonly note: AttemptNote }
  | { readonly type: "watch" };

interface State extends DispatcherParts {
  readonly life: symbol;
  readonly stations: ReadonlyMap<string, Station>;
  watchAt: EpochMs | undefined;
  /** Names of tasks that are not to be started. */
  held: ReadonlySet<string>;
  isFinishing: Reply<void> | undefined;
}

/** From asking a task to stop because its time is up to ending its worker. */
const timeoutGraceMs = 100;

/** Decides where tasks run: makes batches, keeps the workers busy, watches the time. Knows no storage. */
export const dispatcherActor = (parts: DispatcherParts): Actor<Inbox, State> =>
  defineActor<Inbox, State>({
    start(self) {
      const stations = Array.from(parts.executors.all, ([name, executor]): [string, Station] => [
        name,
        new Station(name, executor, parts.active.get(name) ?? new Set()),
      ]);
      const state: State = {
        ...parts,
        life: Symbol("life of the dispatcher"),
        stations: new Map(stations),
        watchAt: undefined,
        held: new Set(),
        isFinishing: undefined,
      };
      const running = new Set(activeIn(state).flatMap(({ tasks }) => [...tasks.keys()]));
      const workers = workersIn(state);
      parts.queue().tell({ type: "dispatcherStarted", life: state.life, running, wanted: wantedNow(state), workers });
      watch(state, self);
      return state;
    },
    on: {
      run(state, { life, tasks, asked, awaited }, self) {
        if (life !== state.life) return;
        for (const [station, mine] of byStation(state, tasks)) {
          station.add(mine, asked.get(station.name) ?? 0, awaited);
          if (state.isFinishing === undefined) start(state, self, station);
        }
        if (state.isFinishing !== undefined) giveBackWaiting(state);
        watch(state, self);
      },
      hurry({ stations }, { ids }) {
        for (const station of stations.values()) station.hurry(ids);
      },
      executorsChanged(state, _message, self) {
        if (state.isFinishing !== undefined) return;
        state.queue().tell({ type: "workersChanged", workers: workersIn(state) });
        // What the workers before have not begun goes to those of now.
        for (const active of activeIn(state)) takeBack(active);
        for (const station of state.stations.values()) start(state, self, station);
        state.queue().tell({ type: "attemptsEnded", ended: [], wanted: wantedNow(state), isBusy: false });
        watch(state, self);
      },
      hold(state, { names }, self) {
        state.held = names;
        for (const station of state.stations.values()) {
          station.workload.takeBackNamed(names);
          start(state, self, station);
        }
      },
      stop: handleStop,
      noted(state, { active, note }, self) {
        if (active.tasks.get(note.id)?.task.request.stallTimeoutMs !== undefined) {
          active.heardAt.set(note.id, self.clock.now());
        }
        state.queue().tell({ type: "noted", note });
      },
      ended: handleEnded,
      idle(state, { at, active }, self) {
        const station = stationAt(state, at);
        station.workload.active.delete(active);
        if (state.isFinishing !== undefined) {
          if (activeIn(state).length === 0) state.isFinishing();
          return;
        }
        start(state, self, station);
        if (station.waiting === 0) station.workload.share(self.clock.now());
        watch(state, self);
        tellEnded(state, station, []);
      },
      watch: handleWatch,
      finish(state, { reply }) {
        state.isFinishing = reply;
        giveBackWaiting(state);
        const active = activeIn(state);
        for (const each of active) takeBack(each);
        if (active.length === 0) reply();
      },
    },
  });

const activeIn = ({ stations }: State): ActiveRun[] =>
  [...stations.values()].flatMap(({ workload }) => [...workload.active]);

const workersIn = ({ stations }: State): ReadonlyMap<string, number> =>
  new Map(Array.from(stations, ([name, { workload }]) => [name, workload.workers]));

function stationAt({ stations }: State, name: string): Station {
  const station = stations.get(name);
  if (station === undefined) throw new RangeError(`There is no executor "${name}".`);
  return station;
}

/** Tasks by where they run. */
function byStation(state: State, tasks: readonly StoredTask[]): Map<Station, StoredTask[]> {
  const stations = new Map<Station, StoredTask[]>();
  for (const task of tasks) {
    const station = stationAt(state, task.request.executor ?? state.executors.byDefault);
    const mine = stations.get(station);
    if (mine === undefined) stations.set(station, [task]);
    else mine.push(task);
  }
  return stations;
}

// ------------------------------------------------------------------------------------------------------- starting

function start(state: State, self: Self<Inbox>, station: Station): void {
  const now = self.clock.now();
  const mayStart = ({ task }: Waiting): boolean =>
    !isLate(task, now) && state.names.has(handlerKey(task.request)) && !state.held.has(task.request.name);
  // An executor that was closed meanwhile has room for nothing.
  const back = station.executor.slots === 0 ? [...station.removeAll()] : [];
  if (state.held.size > 0) back.push(...station.removeNamed(state.held));
  for (let next = station.nextBatch(); next !== undefined; next = station.nextBatch()) {
    const started = next.batch.filter(mayStart);
    if (started.length < next.batch.length) back.push(...next.batch.filter((waiting) => !mayStart(waiting)));
    if (started.length > 0) handOver(state, self, station, started, next.estimateMs);
  }
  // Late ones expire with the claim that takes their places, and those without a handler are set aside.
  giveBack(state, back);
}

const isLate = ({ request }: StoredTask, now: EpochMs): boolean =>
  request.expiresAt !== undefined && request.expiresAt <= now;

function handOver(
  { queue, newChild }: State,
  self: Self<Inbox>,
  station: Station,
  batch: readonly Waiting[],
  estimateMs: number,
): void {
  const at = station.name;
  const tasks = new Map<TaskId, Waiting>();
  for (const waiting of batch) tasks.set(waiting.task.id, waiting);
  const observer: RunObserver = {
    ended: (reports) => self.tell({ type: "ended", at, active, reports }),
    idle: () => self.tell({ type: "idle", at, active }),
    noted: (note) => self.tell({ type: "noted", active, note }),
    ...answersOf(queue, newChild),
  };
  const active: ActiveRun = {
    tasks,
    handedOverAt: self.clock.now(),
    size: batch.length,
    estimateMs,
    run: runOn(
      station.executor,
      batch.map(({ task }) => task),
      observer,
      self.clock,
    ),
    lowest: batch.at(-1)?.rank ?? 0,
    isRevoked: false,
    expiresAt: batch.reduce((first, { task }) => Math.min(first, task.request.expiresAt ?? first), never),
    hasTimeouts: batch.some(({ task: { request } }) => (request.timeoutMs ?? request.stallTimeoutMs) !== undefined),
    timedOut: new Map(),
    stalled: new Map(),
    heardAt: new Map(),
    stopped: new Set(),
  };
  station.workload.active.add(active);
  if (batch.some(({ isAwaited }) => isAwaited)) active.run.hurry?.();
}

const never = Number.POSITIVE_INFINITY;

function wantedNow(state: State): Wanted {
  const wanted = new Map<string, number>();
  if (state.isFinishing !== undefined) return wanted;
  for (const station of state.stations.values()) {
    const more = station.want();
    if (more > 0) wanted.set(station.name, more);
  }
  return wanted;
}

/** Gives claimed tasks back to the queue, as they were before. */
function giveBack(state: State, tasks: readonly Waiting[]): void {
  if (tasks.length === 0) return;
  const ended = tasks.map(({ task }): EndedAttempt => ({ task, report: { id: task.id, end: { type: "unstarted" } } }));
  state.queue().tell({ type: "attemptsEnded", ended, wanted: wantedNow(state), isBusy: false });
}

function giveBackWaiting(state: State): void {
  for (const station of state.stations.values()) giveBack(state, station.removeAll());
}

// --------------------------------------------------------------------------------------------------------- ending

function handleEnded(state: State, message: Extract<Inbox, { type: "ended" }>, self: Self<Inbox>): void {
  const { at, active, reports } = message;
  const station = stationAt(state, at);
  const ended: EndedAttempt[] = [];
  const takenBack: Waiting[] = [];
  const took = new Took();
  for (const report of reports) {
    const waiting = active.tasks.get(report.id);
    if (waiting === undefined) continue;
    const { task } = waiting;
    active.tasks.delete(report.id);
    if (report.durationMs !== undefined) took.add(task.request.name, report.durationMs);
    if (report.end.type === "unstarted" && state.isFinishing === undefined && !active.stopped.has(report.id)) {
      // Its batch got stuck, or its worker died: it stays claimed, and goes to the next worker that is free.
      takenBack.push(waiting);
      continue;
    }
    const { timedOut, stalled } = active;
    ended.push({ task, report, timedOutMs: timedOut.get(report.id), stalledMs: stalled.get(report.id) });
  }
  station.learn(took);
  station.addAgain(takenBack);
  // First of all: what waits for workers waits for no transaction.
  if (state.isFinishing === undefined) {
    start(state, self, station);
    watch(state, self);
  }
  tellEnded(state, station, ended);
}

function tellEnded(state: State, station: Station, ended: readonly EndedAttempt[]): void {
  const wanted = wantedNow(state);
  if (ended.length === 0 && wanted.size === 0) return;
  state.queue().tell({ type: "attemptsEnded", ended, wanted, isBusy: station.isBusy });
}

function handleStop(state: State, message: Extract<Inbox, { type: "stop" }>): void {
  const { id, reason, mode, graceMs } = message;
  for (const station of state.stations.values()) {
    const waiting = station.remove(id);
    if (waiting !== undefined) return giveBack(state, [waiting]);
  }
  for (const active of activeIn(state)) {
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
  for (const active of activeIn(state)) if (active.hasTimeouts) stopOverdue(active, now);
  for (const station of state.stations.values()) {
    station.workload.takeBackStuck(now);
    start(state, self, station);
  }
  watch(state, self);
}

/** Stops the running task if its time is up, or if it has been silent for too long. */
function stopOverdue({ run, tasks, timedOut, stalled, heardAt }: ActiveRun, now: EpochMs): void {
  const current = run.current();
  if (current === undefined || timedOut.has(current.id) || stalled.has(current.id)) return;
  const { id, startedAt } = current;
  const { timeoutMs, stallTimeoutMs } = tasks.get(id)?.task.request ?? {};
  if (timeoutMs !== undefined && now >= startedAt + timeoutMs) {
    timedOut.set(id, timeoutMs);
    run.stop(id, `The attempt took longer than its timeout of ${timeoutMs} ms.`, timeoutGraceMs);
  } else if (stallTimeoutMs !== undefined && now >= (heardAt.get(id) ?? startedAt) + stallTimeoutMs) {
    stalled.set(id, stallTimeoutMs);
    run.stop(id, `The attempt was silent for longer than its stallTimeout of ${stallTimeoutMs} ms.`, timeoutGraceMs);
  }
}

/** Arms the one timer for the earliest moment at which something may have to be done; none when nothing runs. */
function watch(state: State, self: Self<Inbox>): void {
  const now = self.clock.now();
  let at = never;
  for (const { workload } of state.stations.values()) at = Math.min(at, workload.nextStuck(now));
  for (const active of activeIn(state)) if (active.hasTimeouts) at = Math.min(at, nextTimeout(active, now));
  if (at === never || (state.watchAt !== undefined && state.watchAt <= at)) return;
  state.watchAt = at;
  self.setTimer("watch", at, { type: "watch" });
}

function nextTimeout(active: ActiveRun, now: EpochMs): EpochMs {
  let at = never;
  const current = active.run.current();
  for (const {
    task: { id, request },
  } of active.tasks.values()) {
    if (active.timedOut.has(id) || active.stalled.has(id)) continue;
    const startedAt = current?.id === id ? current.startedAt : now;
    at = Math.min(at, startedAt + (request.timeoutMs ?? never));
    at = Math.min(at, (active.heardAt.get(id) ?? startedAt) + (request.stallTimeoutMs ?? never));
  }
  return at;
}
