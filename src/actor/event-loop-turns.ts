import { RingBuffer } from "./ring-buffer.ts";
import type { Turns, TurnTaker } from "./turns.ts";

const messagesPerTurn = 64;
const messagesPerLoopTurn = 1_024;

/**
 * Actors go in the order in which they asked, 64 messages each, in a microtask: an answer does not wait for the event
 * loop. After 1,024 messages they wait for the loop to come round, so I/O and timers are never starved, not even by
 * actors that wake each other through promises for ever.
 */
export class EventLoopTurns implements Turns {
  readonly #line = new RingBuffer<TurnTaker>();
  #left = messagesPerLoopTurn;
  #isServed = false;
  #isCounting = false;

  request(actor: TurnTaker): void {
    this.#line.push(actor);
    if (this.#isServed) return;
    this.#isServed = true;
    queueMicrotask(this.#serve);
  }

  readonly #serve = (): void => {
    if (!this.#isCounting) {
      this.#isCounting = true;
      setImmediate(this.#comeRound);
    }
    while (this.#left > 0) {
      const actor = this.#line.shift();
      if (actor === undefined) {
        this.#isServed = false;
        return;
      }
      this.#left -= actor.takeTurn(Math.min(messagesPerTurn, this.#left));
    }
  };

  readonly #comeRound = (): void => {
    this.#isCounting = false;
    this.#left = messagesPerLoopTurn;
    // Microtasks run before this: if the line is still to be served, the allowance was used up.
    if (this.#isServed) this.#serve();
  };
}
