import { ActorStoppedError, MailboxFullError } from "../base/errors.ts";
import type { Actor, ActorRef, AnyActor, Message, Reply } from "./actor.ts";
import { ask, rejectReplies, type OpenAsks } from "./ask.ts";
import type { Environment } from "./environment.ts";
import { Life, type LifeOwner } from "./life.ts";
import { OwnMessage } from "./own-message.ts";
import { RingBuffer } from "./ring-buffer.ts";
import type { Parent, StopMode, Supervised } from "./supervision.ts";
import type { TurnTaker } from "./turns.ts";

const defaultCapacity = 1_000_000;

/**
 * What stays of an actor through all its lives: its address, its mailbox, and the life it has at the moment.
 *
 * Everything the actor does, it does in its turn and one after another: `start`, then messages in the order of the
 * mailbox; an order to drain or stop goes before the next message. While a promise of one of these is pending, the cell is
 * busy and takes no turn. A crash ends the life and leaves the mailbox; the parent starts the next life, or closes.
 */
export class ActorCell implements ActorRef<Message>, Supervised, TurnTaker, LifeOwner {
  readonly name: string;
  readonly #create: () => AnyActor;
  readonly #parent: Parent;
  readonly #environment: Environment;
  readonly #mailbox = new RingBuffer<Message>();
  readonly #openAsks: OpenAsks = new Map();
  #actor: Actor<Message, unknown> | undefined;
  #state: unknown;
  #life: Life | undefined;
  #order: "start" | "drain" | "stop" | undefined;
  #current: Message | undefined;
  #isBusy = false;
  #hasRequestedTurn = false;
  /** Whose messages are taken. */
  #takes: "all" | "own" | "none" = "all";
  #capacity = defaultCapacity;
  #undelivered = 0;

  constructor(name: string, create: () => AnyActor, parent: Parent, environment: Environment) {
    this.name = name;
    this.#create = create;
    this.#parent = parent;
    this.#environment = environment;
  }

  /** How many messages came when the actor was gone, or was left with when it went. */
  get undelivered(): number {
    return this.#undelivered;
  }

  // ------------------------------------------------------------------------------------------------- messages in

  tell(message: Message): void {
    this.#receive(message, this.#takes === "all");
  }

  tellSelf(message: Message): void {
    this.#receive(message, this.#takes !== "none");
  }

  takeOwn(message: OwnMessage): void {
    this.#mailbox.push(message);
    this.#wake();
  }

  ask<T>(build: (reply: Reply<T>) => Message, timeoutMs: number): Promise<T> {
    return ask(this, this.#environment.clock, build, timeoutMs, this.#openAsks);
  }

  #receive(message: Message, isTaken: boolean): void {
    if (!isTaken) return this.#leaveUndelivered(message);
    if (this.#mailbox.size >= this.#capacity) throw new MailboxFullError(this.name, this.#capacity);
    this.#mailbox.push(message);
    this.#wake();
  }

  #leaveUndelivered(message: Message): void {
    this.#undelivered++;
    rejectReplies(message, new ActorStoppedError(this.name));
    // The first, second, fourth, eighth …: a flood of messages must not become a flood in the log.
    if (Number.isInteger(Math.log2(this.#undelivered))) {
      const fields = { actor: this.name, type: message.type, count: this.#undelivered };
      this.#environment.log.warn(fields, "undelivered");
    }
  }

  // ------------------------------------------------------------------------------------------------- orders in

  start(): void {
    this.#takes = "all";
    this.#order = "start";
    this.#wake();
  }

  stop(mode: StopMode = "stop"): void {
    if (mode === "drain") this.#takes = "own";
    this.#order = mode === "drain" ? "drain" : "stop";
    this.#wake();
  }

  kill(): void {
    if (this.#current !== undefined) rejectReplies(this.#current, new ActorStoppedError(this.name));
    this.#endLife();
  }

  close(): void {
    this.#takes = "none";
    for (let left = this.#mailbox.shift(); left !== undefined; left = this.#mailbox.shift()) {
      if (!(left instanceof OwnMessage)) this.#leaveUndelivered(left);
    }
  }

  // ------------------------------------------------------------------------------------------------- turns

  takeTurn(maxMessages: number): number {
    let handled = 0;
    for (; handled < maxMessages && this.#canGo(); handled++) this.#go();
    this.#hasRequestedTurn = false;
    this.#wake();
    return handled;
  }

  #wake(): void {
    if (this.#hasRequestedTurn || !this.#canGo()) return;
    this.#hasRequestedTurn = true;
    this.#environment.turns.request(this);
  }

  #canGo(): boolean {
    if (this.#isBusy) return false;
    if (this.#order !== undefined) return true;
    return this.#life !== undefined && (this.#mailbox.size > 0 || this.#isDrained(this.#life));
  }

  #isDrained(life: Life): boolean {
    return this.#takes === "own" && life.isQuiet;
  }

  #go(): void {
    if (this.#order === undefined) {
      const message = this.#mailbox.shift();
      if (message === undefined) this.#stopLife();
      else this.#handle(message);
      return;
    }
    const order = this.#order;
    this.#order = undefined;
    if (order === "start") this.#startLife();
    else if (order === "drain") this.#drainLife();
    else this.#stopLife();
  }

  #handle(queued: Message): void {
    const life = this.#life;
    try {
      const message = queued instanceof OwnMessage ? queued.take() : queued;
      if (message === undefined) return;
      this.#current = message;
      const handle = this.#actor?.on[message.type];
      if (handle === undefined || life === undefined) throw new TypeError(`There is no handler for "${message.type}".`);
      const result = handle(this.#state, message, life);
      if (isPromise(result)) void this.#await(life, result, () => (this.#current = undefined));
      else this.#current = undefined;
    } catch (error) {
      this.#crash(life, error);
    }
  }

  // ------------------------------------------------------------------------------------------------- one life

  #startLife(): void {
    const life = new Life(this, this.#environment);
    this.#life = life;
    const start = (): unknown => {
      // The types of its state and messages are the actor's own business; who made it has checked them.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      this.#actor = this.#create() as Actor<Message, unknown>;
      this.#capacity = this.#actor.mailboxCapacity ?? defaultCapacity;
      return this.#actor.start(life);
    };
    this.#run(life, start, (state) => {
      this.#state = state;
      this.#parent.started(this);
    });
  }

  #drainLife(): void {
    const life = this.#life;
    if (life === undefined) return this.#parent.ended(this);
    const drain = (): void => {
      const result = this.#actor?.drain?.(this.#state, life);
      if (isPromise(result)) life.pipe(result, nothing, rethrow);
    };
    this.#run(life, drain, nothing);
  }

  #stopLife(): void {
    const life = this.#life;
    if (life === undefined) return this.#parent.ended(this);
    this.#run(
      life,
      () => this.#actor?.stop?.(this.#state, life),
      () => {
        this.#endLife();
        this.#parent.ended(this);
      },
    );
  }

  #run(life: Life, run: () => unknown, done: (value: unknown) => void): void {
    try {
      const result = run();
      if (isPromise(result)) void this.#await(life, result, done);
      else if (this.#life === life) done(result);
    } catch (error) {
      this.#crash(life, error);
    }
  }

  async #await(life: Life, promise: PromiseLike<unknown>, done: (value: unknown) => void): Promise<void> {
    this.#isBusy = this.#life === life;
    let value: unknown;
    try {
      value = await promise;
    } catch (error) {
      this.#crash(life, error);
      return;
    }
    if (this.#life !== life) return;
    this.#isBusy = false;
    done(value);
    this.#wake();
  }

  #crash(life: Life | undefined, error: unknown): void {
    // An actor that was killed has nobody left to be told.
    if (this.#life !== life) return;
    this.#environment.log.error({ actor: this.name, error }, "actor crashed");
    const stopped = new ActorStoppedError(this.name, { cause: error });
    if (this.#current !== undefined) rejectReplies(this.#current, stopped);
    this.#endLife(stopped);
    this.#parent.ended(this, { cause: error });
  }

  #endLife(reason = new ActorStoppedError(this.name)): void {
    // What this life had put aside to answer later is forgotten with its state. The mailbox is the next life's.
    if (this.#openAsks.size > 0) {
      const waiting = new Set(this.#mailbox);
      for (const [message, reject] of this.#openAsks) if (!waiting.has(message)) reject(reason);
    }
    this.#life?.end();
    this.#life = undefined;
    this.#actor = undefined;
    this.#state = undefined;
    this.#current = undefined;
    this.#order = undefined;
    this.#isBusy = false;
  }
}

const nothing = (): undefined => undefined;

const rethrow = (error: unknown): never => {
  throw error;
};

const isPromise = (value: unknown): value is Promise<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
