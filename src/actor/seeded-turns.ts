import { seededRandom } from "./seeded-random.ts";
import type { Turns, TurnTaker } from "./turns.ts";

const defaultMaxSteps = 1_000_000;

/**
 * Turns for simulation: one message per step, by an actor that is chosen by `seed` among those that have something to
 * do. With a virtual clock and promises that wait for nothing outside, a run depends on its seed alone.
 */
export class SeededTurns implements Turns {
  readonly #random: () => number;
  readonly #waiting: TurnTaker[] = [];

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  request(actor: TurnTaker): void {
    this.#waiting.push(actor);
  }

  /** Lets one actor handle one message. @returns its name; `undefined` when none has anything to do. */
  step(): string | undefined {
    const [actor] = this.#waiting.splice(Math.floor(this.#random() * this.#waiting.length), 1);
    actor?.takeTurn(1);
    return actor?.name;
  }

  /**
   * Steps until no actor has anything to do and every promise that can settle has settled. How far promises get
   * between two steps is chosen by the seed, too. Time stands still: move the clock, then run again.
   *
   * @returns the trace: who went, step by step.
   * @throws RangeError after `maxSteps` steps, default 1,000,000.
   */
  async runUntilIdle(maxSteps = defaultMaxSteps): Promise<string[]> {
    const trace: string[] = [];
    for (;;) {
      const name = this.step();
      if (name !== undefined && trace.push(name) > maxSteps) {
        throw new RangeError(`Actors were still busy after ${maxSteps} steps; the last was "${name}".`);
      }
      if (name === undefined || this.#random() < 0.5) await promisesSettled();
      if (name === undefined && this.#waiting.length === 0) return trace;
    }
  }
}

// All microtasks, and those they cause, run before the next immediate.
const promisesSettled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
