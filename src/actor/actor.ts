import type { Clock, EpochMs } from "../base/clock.ts";

/** What actors send each other. `type` chooses the handler; a field that holds a `Reply` makes it an ask. */
export interface Message {
  readonly type: string;
}

/**
 * Answers an ask: `reply(value)` or `reply.reject(error)`, once. Later calls are ignored, so are calls after the
 * deadline. It may be answered after the handler has returned, and by another actor. Never throws.
 */
export interface Reply<T> {
  (value: T): void;
  reject(error: unknown): void;
}

/**
 * One handler for every message type of the union `M`; a table that leaves one out does not compile.
 *
 * The actor owns its state and may mutate it. While the promise of a handler is pending, the actor handles nothing
 * else.
 */
export type Handlers<M extends Message, S> = {
  readonly [K in M["type"]]: (
    state: S,
    message: Extract<M, { readonly type: K }>,
    self: Self<M>,
  ) => void | Promise<void>;
};

/**
 * What an actor does. A life of it goes `start`, any number of messages, `drain` if it is drained, `stop`. What any
 * of these throws is a crash: the life ends without `stop`, the state is discarded, the supervisor decides.
 */
export interface Actor<M extends Message, S> {
  /** Makes the state of a new life. Messages wait until it is there. */
  start(self: Self<M>): S | Promise<S>;
  readonly on: Handlers<M, S>;
  /** The last call of a life that did not crash. */
  stop?(state: S, self: Self<M>): void | Promise<void>;
  /**
   * Called first when the actor is drained, before the messages that are left. The actor goes on handling these, and
   * what it sends itself, until the promise is settled.
   */
  drain?(state: S, self: Self<M>): void | Promise<void>;
  /** How many messages may wait. Default 1,000,000. */
  readonly mailboxCapacity?: number;
}

/** Writes down an actor with its types checked; returns it as it is. */
export function defineActor<M extends Message, S>(actor: Actor<M, S>): Actor<M, S> {
  return actor;
}

/** An actor of any message and state type, for those who only start and stop it. */
export interface AnyActor {
  start(self: never): unknown;
  readonly on: { readonly [type: string]: (state: never, message: never, self: never) => void | Promise<void> };
  stop?(state: never, self: never): void | Promise<void>;
  drain?(state: never, self: never): void | Promise<void>;
  readonly mailboxCapacity?: number;
}

/** The address of an actor, the same through all its lives, and the only thing that others hold of it. */
export interface ActorRef<in M extends Message> {
  readonly name: string;
  /**
   * Puts the message into the mailbox. To an actor that has stopped for good, or drains, it is undelivered: counted,
   * logged, its replies rejected with ActorStoppedError.
   *
   * @throws MailboxFullError when the mailbox is full; the message was not taken.
   */
  tell(message: M): void;
  /**
   * Tells the message that `build` makes around `reply`, and waits for the answer. `build` puts `reply` into a field
   * of the message itself: there it is found when the actor crashes.
   *
   * Rejects with what the actor rejected with, AskTimeoutError after `timeoutMs`, ActorStoppedError when the actor
   * has stopped or crashed over this message, MailboxFullError.
   */
  ask<T>(build: (reply: Reply<T>) => M, timeoutMs: number): Promise<T>;
}

/** Finds an actor of the tree by name. @throws RangeError when there is none. */
export type Refs = <M extends Message = never>(name: string) => ActorRef<M>;

/**
 * What an actor sees of itself during one life. Timers and pipes end with that life: none of their messages reaches
 * the next one. Messages sent through `self` are taken while the actor drains, too.
 */
export interface Self<in M extends Message> extends ActorRef<M> {
  readonly clock: Clock;
  /** From 0 to below 1. The actor's only source of chance. */
  readonly random: () => number;
  /** Sends itself `done(value)` or `failed(error)` when the promise settles; handles other messages meanwhile. */
  pipe<T>(promise: Promise<T>, done: (value: T) => M, failed: (error: unknown) => M): void;
  /** Sends itself `message` at `at`. Replaces the timer of the same name, even one that is due and not yet handled. */
  setTimer(name: string, at: EpochMs, message: M): void;
  /** After this, the message of the timer is not handled, even if it was due. */
  cancelTimer(name: string): void;
  /** Ends this life after the current message, as intended: only a permanent actor is started again. */
  stop(): void;
}
