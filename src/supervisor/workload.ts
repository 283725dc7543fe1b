import type { EpochMs } from "../base/clock.ts";
import type { Executor, Run } from "../executor/executor.ts";
import type { StoredTask, TaskId } from "../task/task.ts";

/** A claimed task, with its place in the order in which claimed tasks came. */
export interface Waiting {
  readonly task: StoredTask;
  readonly place: number;
  /** Its priority, or that of a task that its claim gave after it. */
  readonly rank: number;
  /** Somebody waits for its end. */
  isAwaited: boolean;
}

/** A batch that an executor has. Kept outside of the actor's state, because it goes on when the actor is restarted. */
export interface ActiveRun {
  readonly tasks: Map<TaskId, Waiting>;
  readonly handedOverAt: EpochMs;
  /** How many tasks it had. */
  readonly size: number;
  readonly estimateMs: number;
  readonly run: Run;
  /** The rank of the last of its tasks, which is the lowest. */
  readonly lowest: number;
  /** What it had not started was taken back. */
  isRevoked: boolean;
  readonly hasTimeouts: boolean;
  /** The first moment after which one of its tasks must not begin. */
  readonly expiresAt: EpochMs;
  /** Tasks that were told to stop because their time was up, with that time. */
  readonly timedOut: Map<TaskId, number>;
  /** Likewise because they had been silent for so long. */
  readonly stalled: Map<TaskId, number>;
  /** When attempts that must not be silent for long last said something. */
  readonly heardAt: Map<TaskId, EpochMs>;
  /** Tasks that were told to stop for another reason. */
  readonly stopped: Set<TaskId>;
}

/** The one it runs, and the one that is next. */
const batchesPerWorker = 2;
/** How long a task may keep its worker before what waits behind it is taken back, whatever is known of others. */
const patienceMs = 10;
/** What a worker that has nothing to do takes over from another must take longer than that. */
const worthTakingMs = 2;

/** What the workers of an executor have to do, and the rules by which it is shared among them. */
export class Workload {
  /** Outlives the dispatcher that started them. */
  readonly active: Set<ActiveRun>;
  readonly #executor: Executor;

  constructor(executor: Executor, active: Set<ActiveRun>) {
    this.#executor = executor;
    this.active = active;
  }

  get workers(): number {
    return this.#executor.slots / batchesPerWorker;
  }

  /** How many tasks were given to workers, and have not ended. */
  get size(): number {
    let size = 0;
    for (const { tasks } of this.active) size += tasks.size;
    return size;
  }

  /** Whether a worker can take a batch. A second one waits behind the first, unless a task has that worker for long. */
  get hasRoom(): boolean {
    const { slots } = this.#executor;
    if (this.active.size >= slots) return false;
    let used = 0;
    for (const active of this.#open()) used += active.isRevoked ? batchesPerWorker : 1;
    return used < slots;
  }

  /** While workers have nothing to do, none gets more than its part of the `waiting` tasks. */
  fairShare(waiting: number): number {
    let busy = 0;
    // A worker whose batch was taken back will soon be free.
    for (const { isRevoked } of this.#open()) if (!isRevoked) busy++;
    return Math.ceil(waiting / Math.max(1, this.workers - busy));
  }

  /** Whether every worker has something to do, and something is left to do then. */
  isBusy(waiting: number): boolean {
    const spare = this.#batches - this.workers;
    return spare > 0 || (spare === 0 && waiting > 0);
  }

  /** What waits behind a task that takes long, or was thought to be next long ago, goes to the first worker that is free. */
  takeBackStuck(now: EpochMs): void {
    const overdue = now - this.#patience();
    this.#takeBack((active) => sinceOf(active) <= overdue || active.expiresAt <= now);
  }

  /** For a worker that has nothing to do while nothing waits: it takes over what others have not begun. */
  share(now: EpochMs): void {
    if (!this.#hasIdleWorker) return;
    const hasNext = this.#batches > this.workers;
    this.#takeBack((active) => {
      // One that was just given may be about to begin, or is what was taken from another.
      const isNew = now < active.handedOverAt + worthTakingMs;
      const isWorth = (unstarted(active) / active.size) * active.estimateMs > worthTakingMs;
      return isWorth && !isNew && (hasNext || active.run.current() !== undefined);
    });
  }

  /** What is less important, and has not begun, is taken back. */
  makeWay(rank: number): void {
    this.#takeBack((active) => active.lowest < rank && unstarted(active) > 0);
  }

  /** What has not begun of batches that have a task of these names is taken back. */
  takeBackNamed(names: ReadonlySet<string>): void {
    this.#takeBack(
      (active) => unstarted(active) > 0 && [...active.tasks.values()].some(({ task }) => names.has(task.request.name)),
    );
  }

  /** Takes back what is chosen, and what was given after the first of that and has not begun, so that none is passed. */
  #takeBack(isChosen: (active: ActiveRun) => boolean): void {
    const inOrder = [...this.active];
    const chosen = new Set(inOrder.filter(isChosen));
    const first = inOrder.findIndex((active) => chosen.has(active));
    if (first === -1) return;
    // The last goes first: it must not begin while those before it are taken back.
    for (const active of inOrder.slice(first).toReversed())
      if (chosen.has(active) || !hasBegun(active)) takeBack(active);
  }

  get #hasIdleWorker(): boolean {
    const busy = new Set<unknown>();
    for (const active of this.#open()) busy.add(active.run.workerName?.() ?? active);
    return busy.size < this.workers;
  }

  /** The moment at which something may be stuck; infinity while nothing runs. */
  nextStuck(now: EpochMs): EpochMs {
    const patience = this.#patience();
    let at = Number.POSITIVE_INFINITY;
    for (const active of this.#open()) {
      const since = Math.min(sinceOf(active), now);
      if (!active.isRevoked) at = Math.min(at, Math.max(since + patience, now + 1), active.expiresAt);
    }
    return Math.max(at, now + 1);
  }

  /** How long a task may have a worker before nothing is kept waiting behind it: others may be free far sooner. */
  #patience(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const { estimateMs } of this.#open()) least = Math.min(least, estimateMs);
    return Math.max(patienceMs, Number.isFinite(least) ? 3 * least : 0);
  }

  get #batches(): number {
    let batches = 0;
    for (const _ of this.#open()) batches++;
    return batches;
  }

  /** One that has nothing left only waits for its worker to notice. */
  *#open(): Iterable<ActiveRun> {
    for (const active of this.active) if (active.tasks.size > 0) yield active;
  }
}

export function takeBack(active: ActiveRun): void {
  if (active.isRevoked) return;
  active.isRevoked = true;
  active.run.revoke();
}

/** Since when its task runs, or it waits. One that is between two tasks does neither. */
function sinceOf(active: ActiveRun): EpochMs {
  const startedAt = active.run.current()?.startedAt;
  return startedAt ?? (hasBegun(active) ? Number.POSITIVE_INFINITY : active.handedOverAt);
}

const hasBegun = ({ tasks, size, run }: ActiveRun): boolean => tasks.size < size || run.current() !== undefined;

/** About how many of its tasks have not begun. */
const unstarted = ({ tasks, run }: ActiveRun): number => tasks.size - (run.current() === undefined ? 0 : 1);
