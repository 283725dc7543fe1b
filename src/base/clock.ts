/** Milliseconds since 1970-01-01T00:00:00Z. */
export type EpochMs = number;

/** A pending timer; cancelling twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void;
}

/**
 * Time, handed in: nothing on floors 0 to 4 reads the machine's clock itself, so tests and the seeded simulation
 * decide what time it is.
 */
export interface Clock {
  now(): EpochMs;
  /** Calls `wake` once, not before `at`. A moment in the past means as soon as possible, never synchronously. */
  wakeAt(at: EpochMs, wake: () => void): Timer;
}

// setTimeout fires at once above 2^31-1 ms. Re-arming hourly also notices a wall clock that was moved.
const longestSleepMs = 3_600_000;

/** The machine's clock. Its timers do not keep a process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  wakeAt(at, wake) {
    let handle: NodeJS.Timeout;
    const arm = (): void => {
      const left = at - Date.now();
      handle = setTimeout(() => (Date.now() >= at ? wake() : arm()), Math.min(Math.max(left, 0), longestSleepMs));
      handle.unref();
    };
    arm();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** A clock that stands still until it is moved, for tests: `advance(ms)` fires what falls due, in order of time. */
export class VirtualClock implements Clock {
  #now: EpochMs;
  #sequence = 0;
  readonly #timers = new Map<number, { at: EpochMs; wake: () => void }>();

  constructor(now: EpochMs = 0) {
    this.#now = now;
  }

  now(): EpochMs {
    return this.#now;
  }

  wakeAt(at: EpochMs, wake: () => void): Timer {
    const id = this.#sequence++;
    this.#timers.set(id, { at, wake });
    return { cancel: () => void this.#timers.delete(id) };
  }

  /** The moment of the earliest timer; `undefined` when none is armed. */
  next(): EpochMs | undefined {
    return this.#earliest()?.[1].at;
  }

  /** Moves time forward by `ms`, firing every timer on the way at its own moment. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let due = this.#earliest(); due !== undefined && due[1].at <= end; due = this.#earliest()) {
      this.#timers.delete(due[0]);
      this.#now = Math.max(this.#now, due[1].at);
      due[1].wake();
    }
    this.#now = end;
  }

  /** Sets the wall clock, as an administrator would: forward or back, firing nothing. */
  jumpTo(now: EpochMs): void {
    this.#now = now;
  }

  #earliest(): [number, { at: EpochMs; wake: () => void }] | undefined {
    let first: [number, { at: EpochMs; wake: () => void }] | undefined;
    for (const timer of this.#timers) if (first === undefined || timer[1].at < first[1].at) first = timer;
    return first;
  }
}
