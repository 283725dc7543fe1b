import type { Batch, BatchSlot } from "./batch.ts";
import type { SlotFile } from "./slot-file.ts";
import type { Blame, RunningTask } from "./slots.ts";

/** The slot of a batch that goes to a child process: seen in a file, reached by messages. */
export class RemoteSlot implements BatchSlot {
  readonly number: number;
  readonly #file: SlotFile;

  /** Makes the slot ready for a batch; no child uses it any more. */
  constructor(file: SlotFile, number: number) {
    this.number = number;
    this.#file = file;
    file.clear(number);
  }

  get taken(): number {
    return this.#file.read(this.number).taken;
  }
  get running(): RunningTask | undefined {
    return this.#file.read(this.number).running;
  }
  get startedAt(): number {
    return this.#file.read(this.number).startedAt;
  }
  get blamed(): Blame {
    return this.#file.read(this.number).blamed;
  }

  revoke(batch: Batch): void {
    batch.worker?.tell({ type: "revoke", batch: batch.number, slot: this.number });
  }

  stop(batch: Batch, index: number, reason: string): void {
    batch.worker?.tell({ type: "stop", batch: batch.number, slot: this.number, index, reason });
  }
}
