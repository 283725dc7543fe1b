import type { NewTask } from "../storage/storage.ts";
import type { StoredTask } from "../task/task.ts";
import type { Wanted } from "./protocol.ts";

/** A claim that is being committed. */
export interface OpenClaim {
  /** The most tasks for each executor. */
  readonly room: ReadonlyMap<string, number>;
  readonly limit: number;
  /** How many of them the dispatcher has asked for. */
  readonly wanted: Wanted;
  /** The most tasks of names of which not all may start. */
  perName?: ReadonlyMap<string, number>;
}

/** What the dispatcher has room for, and whether a claim may find it. */
export class Demand {
  readonly #executorOf: (task: Pick<StoredTask, "request">) => string;
  readonly #wanted = new Map<string, number>();
  /** More than is wanted, for what is more important than what was claimed before. */
  readonly #urgent = new Map<string, number>();
  /** Executors for which the last claim found too little, and nothing became ready since. */
  readonly #exhausted = new Set<string>();
  #workers: ReadonlyMap<string, number> = new Map();
  #open: OpenClaim[] = [];
  /** No claimed task has a lower priority. */
  #lowest = Number.POSITIVE_INFINITY;

  constructor(executorOf: (task: Pick<StoredTask, "request">) => string) {
    this.#executorOf = executorOf;
  }

  /** Claims are being committed. */
  get isClaiming(): boolean {
    return this.#open.length > 0;
  }

  /** How many tasks of this name the claims that are being committed may bring. */
  promised(name: string): number {
    return this.#open.reduce((sum, { perName }) => sum + (perName?.get(name) ?? 0), 0);
  }

  /** A claim might find something. */
  get isOpen(): boolean {
    for (const [executor, wanted] of this.#wanted) {
      if (wanted > 0 && !this.#exhausted.has(executor) && !this.#isClosed(executor)) return true;
    }
    return this.#urgent.size > 0;
  }

  add(more: Wanted): void {
    for (const [executor, count] of more) this.#wanted.set(executor, (this.#wanted.get(executor) ?? 0) + count);
  }

  /** A new life of the dispatcher begins: what is being claimed will be given to it. */
  restart(wanted: Wanted, workers: ReadonlyMap<string, number>): void {
    this.#workers = workers;
    this.#wanted.clear();
    for (const [executor, count] of wanted) {
      const coming = this.#open.reduce((sum, claim) => sum + (claim.wanted.get(executor) ?? 0), 0);
      this.#wanted.set(executor, Math.max(0, count - coming));
    }
  }

  /** There are more or fewer workers. What is wanted for an executor that has none now waits until it has some. */
  setWorkers(workers: ReadonlyMap<string, number>): void {
    this.#workers = workers;
    this.becameReady();
  }

  /** Something may be claimed that could not be before. */
  becameReady(): void {
    this.#exhausted.clear();
  }

  /**
   * New tasks that are more important than what was claimed do not wait until that is done: enough for all workers,
   * running and next, are claimed at once, and go first.
   */
  rush(tasks: readonly NewTask[], claimed: ReadonlyMap<string, StoredTask>): void {
    const highest = tasks.reduce((most, { request }) => Math.max(most, request.priority), Number.NEGATIVE_INFINITY);
    if (highest <= this.#lowest) return;
    const asImportant = new Map<string, number>();
    this.#lowest = Number.POSITIVE_INFINITY;
    for (const task of claimed.values()) {
      const executor = this.#executorOf(task);
      if (task.request.priority >= highest) asImportant.set(executor, (asImportant.get(executor) ?? 0) + 1);
      this.#lowest = Math.min(this.#lowest, task.request.priority);
    }
    if (highest <= this.#lowest) return;
    for (const executor of new Set(tasks.map(this.#executorOf))) {
      const room = 2 * (this.#workers.get(executor) ?? 0) - (asImportant.get(executor) ?? 0);
      if (room > 0) this.#urgent.set(executor, Math.min(tasks.length, room));
    }
  }

  /** What to claim now, if anything: that is no longer wanted then. */
  take(): OpenClaim | undefined {
    if (!this.isOpen) return undefined;
    const room = new Map<string, number>();
    const wanted = new Map<string, number>();
    let limit = 0;
    for (const executor of new Set([...this.#wanted.keys(), ...this.#urgent.keys()])) {
      const asked = this.#exhausted.has(executor) || this.#isClosed(executor) ? 0 : (this.#wanted.get(executor) ?? 0);
      const most = Math.max(asked, this.#urgent.get(executor) ?? 0);
      if (most === 0) continue;
      room.set(executor, most);
      limit += most;
      wanted.set(executor, asked);
      this.#wanted.set(executor, (this.#wanted.get(executor) ?? 0) - asked);
      this.#exhausted.add(executor);
    }
    this.#urgent.clear();
    const claim = { room, limit, wanted };
    this.#open.push(claim);
    return claim;
  }

  /** The claim is on disk: these tasks are there, of which `known` can run. Gives how many of those were asked for. */
  came(claim: OpenClaim, tasks: readonly StoredTask[], known: readonly StoredTask[]): Wanted {
    this.#close(claim);
    const got = this.#countBy(tasks);
    const running = this.#countBy(known);
    const asked = new Map<string, number>();
    for (const [executor, most] of claim.room) {
      // Only a claim that got all it wanted leaves the question open.
      if ((got.get(executor) ?? 0) >= most) this.#exhausted.delete(executor);
      const wanted = claim.wanted.get(executor) ?? 0;
      const given = Math.min(wanted, running.get(executor) ?? 0);
      asked.set(executor, given);
      if (given < wanted) this.add(new Map([[executor, wanted - given]]));
    }
    for (const { request } of known) this.#lowest = Math.min(this.#lowest, request.priority);
    return asked;
  }

  /** It was refused together with the changes it rode with: it is made again. */
  failed(claim: OpenClaim): void {
    this.#close(claim);
    this.add(claim.wanted);
    this.becameReady();
  }

  #isClosed(executor: string): boolean {
    return this.#workers.get(executor) === 0;
  }

  #close(claim: OpenClaim): void {
    this.#open = this.#open.filter((one) => one !== claim);
  }

  #countBy(tasks: readonly StoredTask[]): Map<string, number> {
    const counts = new Map<string, number>();
    for (const task of tasks) {
      const executor = this.#executorOf(task);
      counts.set(executor, (counts.get(executor) ?? 0) + 1);
    }
    return counts;
  }
}
