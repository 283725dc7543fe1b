import type { EpochMs } from "../base/clock.ts";

/** When tasks of a name stay in their queues because others before them failed. */
export interface BreakerSettings {
  /** Failures in a row that open it. */
  readonly threshold: number;
  /** How long it stays open. */
  readonly cooldownMs: number;
  /** How many may run at a time after that, and how many have to succeed in a row to close it. */
  readonly probes: number;
}

export type BreakerState = "closed" | "open" | "half-open";

/**
 * A circuit breaker (Nygard, "Release It!"): closed, it counts failures in a row; open, it lets nothing start; half-open,
 * it lets some start, whose first failure opens it again. What ends while it is open was started before, and says nothing.
 */
export class Breaker {
  readonly #settings: BreakerSettings;
  #openUntil: EpochMs | undefined;
  /** In a row: failures while it is closed, successes while it is half-open. */
  #inARow = 0;

  constructor(settings: BreakerSettings) {
    this.#settings = settings;
  }

  stateAt(now: EpochMs): BreakerState {
    if (this.#openUntil === undefined) return "closed";
    return now < this.#openUntil ? "open" : "half-open";
  }

  /** When it is half-open; `undefined` while it is closed. */
  get openUntil(): EpochMs | undefined {
    return this.#openUntil;
  }

  /** How many more may start while so many run. */
  roomAt(now: EpochMs, running: number): number {
    const state = this.stateAt(now);
    if (state === "closed") return Number.POSITIVE_INFINITY;
    return state === "open" ? 0 : Math.max(0, this.#settings.probes - running);
  }

  /** An attempt has ended. */
  ended(isSuccess: boolean, now: EpochMs): void {
    const state = this.stateAt(now);
    if (state === "open") return;
    if (state === "closed") {
      this.#inARow = isSuccess ? 0 : this.#inARow + 1;
      if (this.#inARow >= this.#settings.threshold) this.#open(now);
    } else if (!isSuccess) {
      this.#open(now);
    } else if (++this.#inARow >= this.#settings.probes) {
      this.#openUntil = undefined;
      this.#inARow = 0;
    }
  }

  #open(now: EpochMs): void {
    this.#openUntil = now + this.#settings.cooldownMs;
    this.#inARow = 0;
  }
}
