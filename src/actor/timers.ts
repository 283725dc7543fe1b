import type { Clock, EpochMs, Timer } from "../base/clock.ts";
import type { Message } from "./actor.ts";
import { OwnMessage } from "./own-message.ts";

/** The timers of one life of an actor, by name. A name stands for at most one message that is still to be handled. */
export class Timers {
  readonly #clock: Clock;
  readonly #deliver: (message: OwnMessage) => void;
  readonly #armed = new Map<string, Timer>();

  constructor(clock: Clock, deliver: (message: OwnMessage) => void) {
    this.#clock = clock;
    this.#deliver = deliver;
  }

  set(name: string, at: EpochMs, message: Message): void {
    this.cancel(name);
    const timer = this.#clock.wakeAt(at, () => this.#deliver(new OwnMessage(take)));
    const take = (): Message | undefined => {
      if (this.#armed.get(name) !== timer) return undefined;
      this.#armed.delete(name);
      return message;
    };
    this.#armed.set(name, timer);
  }

  cancel(name: string): void {
    this.#armed.get(name)?.cancel();
    this.#armed.delete(name);
  }

  cancelAll(): void {
    for (const timer of this.#armed.values()) timer.cancel();
    this.#armed.clear();
  }
}
