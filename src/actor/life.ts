import type { Clock, EpochMs } from "../base/clock.ts";
import type { Message, Reply, Self } from "./actor.ts";
import { ask } from "./ask.ts";
import type { Environment } from "./environment.ts";
import { OwnMessage } from "./own-message.ts";
import { Timers } from "./timers.ts";

/** What a life needs of the actor's cell. */
export interface LifeOwner {
  readonly name: string;
  tellSelf(message: Message): void;
  /** Takes the message whatever the mailbox holds: an actor must not lose its own timers. */
  takeOwn(message: OwnMessage): void;
  stop(): void;
}

/** One life of an actor, from `start` to `stop` or crash: its timers, its pipes, its `self`. */
export class Life implements Self<Message> {
  readonly name: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly #owner: LifeOwner;
  readonly #timers: Timers;
  #underWay = 0;
  #isOver = false;

  constructor(owner: LifeOwner, environment: Environment) {
    this.name = owner.name;
    this.clock = environment.clock;
    this.random = environment.random;
    this.#owner = owner;
    this.#timers = new Timers(environment.clock, (message) => owner.takeOwn(message));
  }

  /** No pipe is under way. */
  get isQuiet(): boolean {
    return this.#underWay === 0;
  }

  end(): void {
    this.#isOver = true;
    this.#timers.cancelAll();
  }

  tell(message: Message): void {
    this.#owner.tellSelf(message);
  }

  ask<T>(build: (reply: Reply<T>) => Message, timeoutMs: number): Promise<T> {
    return ask(this, this.clock, build, timeoutMs, new Map());
  }

  /** As in `Self`; `undefined` instead of a message means that there is nothing to handle. */
  pipe<T>(
    promise: Promise<T>,
    done: (value: T) => Message | undefined,
    failed: (error: unknown) => Message | undefined,
  ): void {
    this.#underWay++;
    void this.#follow(promise, done, failed);
  }

  async #follow<T>(
    promise: Promise<T>,
    done: (value: T) => Message | undefined,
    failed: (error: unknown) => Message | undefined,
  ): Promise<void> {
    let toMessage: () => Message | undefined;
    try {
      const value = await promise;
      toMessage = () => done(value);
    } catch (error) {
      toMessage = () => failed(error);
    }
    this.#underWay--;
    this.#owner.takeOwn(new OwnMessage(() => (this.#isOver ? undefined : toMessage())));
  }

  setTimer(name: string, at: EpochMs, message: Message): void {
    if (!this.#isOver) this.#timers.set(name, at, message);
  }

  cancelTimer(name: string): void {
    this.#timers.cancel(name);
  }

  stop(): void {
    if (!this.#isOver) this.#owner.stop();
  }
}
