import type { EpochMs } from "../../base/clock.ts";
import type { TaskId, TaskLife, TaskRequest } from "../../task/task.ts";

/** A task that is claimed: what is needed to end the claim without reading the task again. */
export interface Held {
  readonly key: Buffer;
  readonly lane: number;
  readonly sequence: number;
  readonly request: TaskRequest;
  /** Before the claim. */
  readonly before: TaskLife;
  /** Running, with the attempt it is claimed for. */
  readonly life: TaskLife;
  readonly batch: Batch;
  until?: EpochMs;
}

/** Tasks claimed together share one record on disk, which is removed with the last of them. */
interface Batch {
  readonly number: number;
  remaining: number;
}

/** The claims of this opening. Those of earlier ones were undone when the store was opened. */
export class Claims {
  readonly #held = new Map<TaskId, Held>();
  readonly #buried = new Map<TaskId, number>();
  #nextBatch = 1;

  get(id: TaskId): Held | undefined {
    return this.#held.get(id);
  }

  all(): Iterable<[TaskId, Held]> {
    return this.#held;
  }

  newBatch(): Batch {
    return { number: this.#nextBatch++, remaining: 0 };
  }

  add(id: TaskId, held: Held): void {
    held.batch.remaining++;
    this.#held.set(id, held);
  }

  /**
   * The task is deleted while it runs. Should its id be used again, attempts go on from here, so that what the old one
   * may still say is known to be late.
   */
  bury(id: TaskId): void {
    const held = this.#held.get(id);
    if (held !== undefined) this.#buried.set(id, held.life.attempt);
  }

  /** The attempt after which a new claim of this id is numbered. */
  lastAttempt(id: TaskId, known: number): number {
    return this.#buried.size === 0 ? known : Math.max(known, this.#buried.get(id) ?? 0);
  }

  /** Gives the number of the batch whose last task this was. */
  remove(id: TaskId): number | undefined {
    const held = this.#held.get(id);
    if (held === undefined) return undefined;
    this.#held.delete(id);
    return --held.batch.remaining === 0 ? held.batch.number : undefined;
  }
}

/** What is on disk of a batch of claims. */
export interface ClaimRecord {
  readonly owner: string;
  readonly keys: Uint8Array;
  /** Of the lease that was prolonged last. */
  readonly until?: EpochMs;
}
