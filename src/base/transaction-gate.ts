/**
 * Stands between two threads: while one is inside a transaction, the process must not end, because a thread that is
 * ended there never gives back the lock of the store, and waits for it for ever.
 */
export class TransactionGate {
  readonly memory: SharedArrayBuffer;
  readonly #cells: Int32Array;

  /** @param memory of the gate of the other thread. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(12)) {
    this.memory = memory;
    this.#cells = new Int32Array(memory);
  }

  /** Runs a transaction; does not return when the process is about to end. */
  pass<T>(transact: () => T): T {
    Atomics.store(this.#cells, cell.inside, 1);
    if (Atomics.load(this.#cells, cell.shut) === 1) {
      this.#leave();
      Atomics.wait(this.#cells, cell.never, 0);
    }
    try {
      return transact();
    } finally {
      this.#leave();
    }
  }

  /** Lets nobody in any more, and waits until nobody is inside. @returns whether that came true in time. */
  shut(withinMs: number): boolean {
    Atomics.store(this.#cells, cell.shut, 1);
    return (
      Atomics.load(this.#cells, cell.inside) === 0 ||
      Atomics.wait(this.#cells, cell.inside, 1, withinMs) !== "timed-out"
    );
  }

  #leave(): void {
    Atomics.store(this.#cells, cell.inside, 0);
    Atomics.notify(this.#cells, cell.inside);
  }
}

const cell = { inside: 0, shut: 1, never: 2 } as const;
