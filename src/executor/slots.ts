/** How many bytes of shared memory `slots` batches in flight need. */
export const slotBytes = (slots: number): number => slots * bytesPerSlot;

/** Which task of a slot a worker was running. */
export interface RunningTask {
  readonly index: number;
  /** Its handler has returned a promise that was not settled when it was last looked at. */
  readonly isWaiting: boolean;
}

/** Whether the death of a worker is the doing of the task that this slot was running. */
export type Blame = "unknown" | "guilty" | "innocent";

/**
 * What the supervisor and a worker both see of one batch in flight, in shared memory: it can be read and changed
 * while the worker is inside a handler, and it outlives the worker.
 */
export class Slot {
  readonly #cells: Int32Array;
  readonly #times: Float64Array;

  constructor(memory: SharedArrayBuffer, number: number) {
    this.#cells = new Int32Array(memory, number * bytesPerSlot, 4);
    this.#times = new Float64Array(memory, number * bytesPerSlot + 16, 1);
  }

  /** Makes the slot ready for a new batch. Only while no worker uses it. */
  clear(): void {
    this.#cells.fill(0);
  }

  // ------------------------------------------------------------------------------------- the worker's side

  /** Takes the next of `count` tasks: its index, or -1 when there is none left or the rest was revoked. */
  take(count: number): number {
    const next = Atomics.load(this.#cells, cell.next);
    if (next >= count) return -1;
    // Only this worker counts up, so an exchange that fails has met a revocation.
    return Atomics.compareExchange(this.#cells, cell.next, next, next + 1) === next ? next : -1;
  }

  begin(index: number, startedAt: number): void {
    this.#times[0] = startedAt;
    Atomics.store(this.#cells, cell.running, (index + 1) * 2);
  }

  wait(): void {
    Atomics.or(this.#cells, cell.running, 1);
  }

  end(): void {
    Atomics.store(this.#cells, cell.running, 0);
  }

  isStopAsked(index: number): boolean {
    return Atomics.load(this.#cells, cell.stop) === index + 1;
  }

  /** Says, of a worker that is about to die, whether the running task of this slot has done it. */
  blame(isGuilty: boolean): void {
    Atomics.store(this.#cells, cell.blame, isGuilty ? 1 : 2);
  }

  // --------------------------------------------------------------------------------- the supervisor's side

  /** How many tasks were taken. */
  get taken(): number {
    return Atomics.load(this.#cells, cell.next) % revoked;
  }

  /** Takes back what was not taken, atomically. @returns how many were taken. */
  revoke(): number {
    return Atomics.or(this.#cells, cell.next, revoked) % revoked;
  }

  /** Takes back the task at `index` and all behind it. @returns how many were taken; `undefined`: it is one of them. */
  revokeFrom(index: number): number | undefined {
    if (index < this.taken) return undefined;
    const taken = this.revoke();
    return index < taken ? undefined : taken;
  }

  get running(): RunningTask | undefined {
    const running = Atomics.load(this.#cells, cell.running);
    return running === 0 ? undefined : { index: (running >> 1) - 1, isWaiting: (running & 1) === 1 };
  }

  /** When the running task was started, in milliseconds since 1970. */
  get startedAt(): number {
    return this.#times[0] ?? 0;
  }

  askStop(index: number): void {
    Atomics.store(this.#cells, cell.stop, index + 1);
  }

  get blamed(): Blame {
    return (["unknown", "guilty", "innocent"] as const)[Atomics.load(this.#cells, cell.blame)] ?? "unknown";
  }
}

// A cache line each, so that two workers do not slow each other down.
const bytesPerSlot = 64;
const cell = { next: 0, running: 1, stop: 2, blame: 3 } as const;
const revoked = 2 ** 30;
