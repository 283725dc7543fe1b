import { systemClock } from "../base/clock.ts";
import type { Batch } from "./batch.ts";

/** The batches that an executor has in flight, and the slots that are left. */
export class Flights {
  readonly slots: number;
  readonly #free: number[];
  readonly #batches = new Map<Batch, number>();
  #onLastIdle = (): void => {};

  constructor(slots: number) {
    this.slots = slots;
    this.#free = Array.from({ length: slots }, (_, number) => number);
  }

  /**
   * Gives a free slot to the batch that `make` makes for it.
   *
   * @throws RangeError when all are taken.
   */
  add(make: (slot: number) => Batch): Batch {
    const slot = this.#free.pop();
    if (slot === undefined) throw new RangeError(`All ${this.slots} slots are taken: wait until one is idle.`);
    const batch = make(slot);
    this.#batches.set(batch, slot);
    return batch;
  }

  remove(batch: Batch): void {
    const slot = this.#batches.get(batch);
    if (slot === undefined) return;
    this.#batches.delete(batch);
    this.#free.push(slot);
    if (this.#batches.size === 0) this.#onLastIdle();
  }

  /** Takes back what has not been started, and waits until nothing runs, but no longer than `graceMs`. */
  async land(graceMs: number): Promise<void> {
    for (const batch of this.#batches.keys()) batch.revoke();
    if (graceMs <= 0 || this.#batches.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = systemClock.wakeAt(systemClock.now() + graceMs, resolve);
      this.#onLastIdle = () => (timer.cancel(), resolve());
    });
  }
}
