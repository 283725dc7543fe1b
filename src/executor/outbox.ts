/** How many bytes of shared memory the outboxes of `count` batches in flight need. */
export const outboxBytes = (count: number): number => count * bytesPerOutbox;

/**
 * Where a worker leaves what became of the tasks of a batch, in shared memory: the supervisor need not be woken for
 * every task, finds it there whenever it looks, and even when the worker hangs or is dead.
 */
export class Outbox {
  readonly #cells: Int32Array;
  readonly #bytes: Uint8Array;
  /** How much this side has written, or read. */
  #at = 0;

  constructor(memory: SharedArrayBuffer, number: number) {
    const start = number * bytesPerOutbox;
    this.#cells = new Int32Array(memory, start, 2);
    this.#bytes = new Uint8Array(memory, start + headBytes, bytesPerOutbox - headBytes);
  }

  /** Makes it ready for a new batch. Only while no worker uses it. */
  clear(): void {
    this.#cells.fill(0);
    this.#at = 0;
  }

  // ------------------------------------------------------------------------------------- the worker's side

  /** Leaves a report. @returns false: there is no room for it. */
  offer(report: Uint8Array): boolean {
    if (report.byteLength > this.#bytes.byteLength - this.#at) return false;
    this.#bytes.set(report, this.#at);
    this.#at += report.byteLength;
    Atomics.store(this.#cells, cell.written, this.#at);
    return true;
  }

  /** The supervisor wants to be told soon that something was left. */
  get isUrgent(): boolean {
    return Atomics.load(this.#cells, cell.urgent) === 1;
  }

  // --------------------------------------------------------------------------------- the supervisor's side

  /** What was left since it was called last. */
  collect(): Uint8Array {
    const from = this.#at;
    this.#at = Atomics.load(this.#cells, cell.written);
    return this.#bytes.slice(from, this.#at);
  }

  /** Whatever the worker leaves from now on, and the next `collect` does not find, it tells. */
  hurry(): void {
    Atomics.store(this.#cells, cell.urgent, 1);
  }
}

// Enough for the outcomes of the largest batch of tasks that give little.
const bytesPerOutbox = 16_384;
const headBytes = 64;
const cell = { written: 0, urgent: 1 } as const;
