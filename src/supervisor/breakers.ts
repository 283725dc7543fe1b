import type { EpochMs } from "../base/clock.ts";
import type { AttemptEnd } from "../storage/storage.ts";
import { Breaker, type BreakerSettings, type BreakerState } from "../task/breaker.ts";
import type { StoredTask } from "../task/task.ts";

/** The breakers of task names that have one. They outlive the actors, and end with the runtime. */
export class Breakers {
  readonly #settings: ReadonlyMap<string, BreakerSettings>;
  readonly #breakers = new Map<string, Breaker>();

  /** @param settings by name; read anew for a breaker that is closed. */
  constructor(settings: ReadonlyMap<string, BreakerSettings>) {
    this.#settings = settings;
  }

  /** Those that are not closed. */
  statesAt(now: EpochMs): ReadonlyMap<string, Exclude<BreakerState, "closed">> {
    const states = new Map<string, Exclude<BreakerState, "closed">>();
    for (const [name, breaker] of this.#breakers) {
      // The task may have been defined anew, without one.
      if (!this.#settings.has(name)) this.#breakers.delete(name);
      const state = this.#settings.has(name) ? breaker.stateAt(now) : "closed";
      if (state !== "closed") states.set(name, state);
    }
    return states;
  }

  /** The names that nothing may be started of. */
  openAt(now: EpochMs): ReadonlySet<string> {
    return new Set([...this.statesAt(now)].filter(([, state]) => state === "open").map(([name]) => name));
  }

  /** When the first of those that are open lets something start. */
  nextAt(now: EpochMs): EpochMs | undefined {
    let at: EpochMs | undefined;
    for (const { openUntil } of this.#breakers.values()) {
      if (openUntil !== undefined && openUntil > now) at = Math.min(at ?? openUntil, openUntil);
    }
    return at;
  }

  /**
   * How many tasks of each name may start that has a breaker which is not closed; `undefined` when there is none.
   *
   * @param promised how many tasks of a name others may start that have asked before.
   */
  roomAt(
    now: EpochMs,
    running: Iterable<Pick<StoredTask, "request">>,
    promised: (name: string) => number,
  ): ReadonlyMap<string, number> | undefined {
    const held = this.statesAt(now);
    if (held.size === 0) return undefined;
    const counts = new Map<string, number>();
    for (const { request } of running) counts.set(request.name, (counts.get(request.name) ?? 0) + 1);
    return new Map(
      Array.from(held.keys(), (name) => {
        const started = (counts.get(name) ?? 0) + promised(name);
        return [name, this.#breakers.get(name)?.roomAt(now, started) ?? 0];
      }),
    );
  }

  /** An attempt has ended. @returns whether the breaker of its name has opened. */
  ended(name: string, end: AttemptEnd, now: EpochMs): boolean {
    const settings = this.#settings.get(name);
    const isSuccess = end.to === "completed";
    if (settings === undefined || !(isSuccess || isFailure(end))) return false;
    let breaker = this.#breakers.get(name);
    if (breaker === undefined) this.#breakers.set(name, (breaker = new Breaker(settings)));
    const before = breaker.openUntil;
    breaker.ended(isSuccess, now);
    // With nothing to remember, it may have other settings next time.
    if (isSuccess && breaker.stateAt(now) === "closed") this.#breakers.delete(name);
    return breaker.openUntil !== undefined && breaker.openUntil !== before;
  }
}

/** Interruptions, cancellations and what a handler puts off by itself say nothing about how it does. */
const isFailure = (end: AttemptEnd): boolean =>
  (end.to === "retrying" || end.to === "failed") && end.failure.reason !== "interrupted";
