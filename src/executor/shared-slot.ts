import type { Batch, BatchSlot } from "./batch.ts";
import type { Outbox } from "./outbox.ts";
import { Slot, type Blame, type RunningTask } from "./slots.ts";

/** The slot of a batch that goes to a thread of this process: both sides look into the same memory. */
export class SharedSlot implements BatchSlot {
  readonly number: number;
  readonly #slot: Slot;
  readonly #outbox: Outbox | undefined;

  /** Makes the slot ready for a batch; no worker uses it any more. */
  constructor(memory: SharedArrayBuffer, number: number, outbox?: Outbox) {
    this.number = number;
    this.#outbox = outbox;
    outbox?.clear();
    this.#slot = new Slot(memory, number);
    this.#slot.clear();
  }

  get taken(): number {
    return this.#slot.taken;
  }
  get running(): RunningTask | undefined {
    return this.#slot.running;
  }
  get startedAt(): number {
    return this.#slot.startedAt;
  }
  get blamed(): Blame {
    return this.#slot.blamed;
  }

  collect(): Uint8Array | undefined {
    return this.#outbox?.collect();
  }

  hurry(): void {
    this.#outbox?.hurry();
  }

  revoke(batch: Batch): void {
    const taken = this.#slot.revoke();
    queueMicrotask(() => batch.revoked(taken));
  }

  stop(batch: Batch, index: number, reason: string): void {
    if (this.#slot.revokeFrom(index) !== undefined) return this.revoke(batch);
    // The message before the flag: who sees the flag finds the reason.
    batch.worker?.tell({ type: "stop", batch: batch.number, slot: this.number, index, reason });
    this.#slot.askStop(index);
  }
}
