import type { Executor } from "../executor/executor.ts";
import type { StoredTask, TaskId } from "../task/task.ts";
import { Durations, largestBatch, nextBatch, type Took } from "./batching.ts";
import { Workload, type ActiveRun, type Waiting } from "./workload.ts";

/** An executor, and the tasks that were claimed for it and wait for its workers. */
export class Station {
  readonly name: string;
  readonly executor: Executor;
  readonly workload: Workload;
  readonly #durations = new Durations();
  /** In the order to start them; `#next` is the first that is left. */
  #waiting: Waiting[] = [];
  #next = 0;
  /** How many have come. */
  #arrived = 0;
  /** Asked of the queue and not yet here. */
  #asked = 0;

  /** @param active what its workers have; outlives the dispatcher. */
  constructor(name: string, executor: Executor, active: Set<ActiveRun>) {
    this.name = name;
    this.executor = executor;
    this.workload = new Workload(executor, active);
    // What an earlier dispatcher gave to workers, and comes back, came before what comes now.
    for (const { tasks } of active)
      for (const { place } of tasks.values()) this.#arrived = Math.max(this.#arrived, place + 1);
  }

  /** How many tasks wait. */
  get waiting(): number {
    return this.#waiting.length - this.#next;
  }

  /** Every worker has something to do, and something is left to do then. */
  get isBusy(): boolean {
    return this.workload.isBusy(this.waiting);
  }

  /** Takes tasks that were claimed. What is less important, and no worker has begun, makes way for them. */
  add(tasks: readonly StoredTask[], asked: number, awaited: ReadonlySet<TaskId>): void {
    this.#asked = Math.max(0, this.#asked - asked);
    const ranks = ranksOf(tasks);
    this.addAgain(
      tasks.map((task, index) => ({
        task,
        rank: ranks[index] ?? task.request.priority,
        place: this.#arrived++,
        isAwaited: awaited.has(task.id),
      })),
    );
    const first = this.#waiting[this.#next];
    if (first !== undefined) this.workload.makeWay(first.rank);
  }

  /** By rank, then in the order in which they came: a later one may be more important than those that are here. */
  addAgain(more: readonly Waiting[]): void {
    if (more.length === 0) return;
    this.#waiting = [...this.#waiting.slice(this.#next), ...more];
    this.#next = 0;
    this.#waiting.sort((one, other) => other.rank - one.rank || one.place - other.place);
  }

  /** The tasks that a worker is to have next; `undefined` when there are none, or no worker has room. */
  nextBatch(): { readonly batch: readonly Waiting[]; readonly estimateMs: number } | undefined {
    if (this.waiting === 0 || !this.workload.hasRoom) return undefined;
    const share = Math.min(this.workload.fairShare(this.waiting), this.#shareOfFirst());
    const { size, estimateMs } = nextBatch(this.#waiting, this.#next, this.#durations, share);
    const batch = this.#waiting.slice(this.#next, this.#next + size);
    this.#next += size;
    return { batch, estimateMs };
  }

  /**
   * The most important tasks are shared among all workers: none of them is to wait behind another while a worker runs
   * something that is less important.
   */
  #shareOfFirst(): number {
    const rank = this.#waiting[this.#next]?.rank;
    if (this.#waiting.at(-1)?.rank === rank) return largestBatch;
    const end = this.#waiting.findIndex((waiting, index) => index > this.#next && waiting.rank !== rank);
    return Math.ceil((end - this.#next) / this.workload.workers);
  }

  /** Somebody waits for the ends of these now. */
  hurry(ids: readonly TaskId[]): void {
    const awaited = new Set(ids);
    for (const waiting of this.#waiting) if (awaited.has(waiting.task.id)) waiting.isAwaited = true;
    for (const { tasks, run } of this.workload.active) {
      const mine = ids.flatMap((id) => tasks.get(id) ?? []);
      // It may be taken back, and given again.
      for (const waiting of mine) waiting.isAwaited = true;
      if (mine.length > 0) run.hurry?.();
    }
  }

  /** Takes one out that waits. */
  remove(id: TaskId): Waiting | undefined {
    const at = this.#waiting.findIndex(({ task }, index) => index >= this.#next && task.id === id);
    return at === -1 ? undefined : this.#waiting.splice(at, 1)[0];
  }

  /** Takes those of these names out that wait. */
  removeNamed(names: ReadonlySet<string>): readonly Waiting[] {
    const [mine, others] = [[] as Waiting[], [] as Waiting[]];
    for (const waiting of this.removeAll()) (names.has(waiting.task.request.name) ? mine : others).push(waiting);
    this.#waiting = others;
    return mine;
  }

  /** Takes all out that wait. */
  removeAll(): readonly Waiting[] {
    const left = this.#waiting.slice(this.#next);
    this.#waiting = [];
    this.#next = 0;
    return left;
  }

  learn(took: Took): void {
    for (const { name, meanMs, count } of took.means()) this.#durations.learn(name, meanMs, count);
  }

  /** How many more tasks to ask for: enough to fill every slot, and as much again for the first slots that are free. */
  want(): number {
    const { slots } = this.executor;
    const perSlot = this.#durations.typicalBatch();
    const has = this.waiting + this.#asked + this.workload.size;
    const wanted = Math.ceil(1.5 * slots * perSlot) - has;
    // Asking for a few at a time would make small commits.
    if (wanted <= 0 || (has > 0 && wanted < perSlot)) return 0;
    this.#asked += wanted;
    return wanted;
  }
}

/**
 * How important each of the tasks of one claim is: at least as important as those that the claim gave after it, whatever
 * their priorities. It may have put one first because it waited for long, or because it was its queue's turn.
 */
export function ranksOf(tasks: readonly StoredTask[]): number[] {
  let rank = Number.NEGATIVE_INFINITY;
  return tasks
    .map(({ request }) => request.priority)
    .reverse()
    .map((priority) => (rank = Math.max(rank, priority)))
    .reverse();
}
