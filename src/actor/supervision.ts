import type { EpochMs } from "../base/clock.ts";
import type { AnyActor, Refs } from "./actor.ts";

/**
 * Who is restarted when a child ends: the child alone, all children, or the child and those below it. Those that
 * are still up are stopped first.
 */
export type Strategy = "oneForOne" | "oneForAll" | "restForOne";

/** Whether a child that ended is started again: always, after a crash only, or never. */
export type Restart = "permanent" | "transient" | "temporary";

/**
 * A supervisor as data. Children start top to bottom, each after the one above it has started, and stop bottom to top.
 * Give the reason for the strategy where you write it down.
 */
export interface SupervisorSpec {
  readonly strategy: Strategy;
  /** One restart more than this within `perMs`, and the supervisor stops its children and fails with the cause. */
  readonly maxRestarts: number;
  readonly perMs: number;
  readonly children: readonly ChildSpec[];
}

export interface ChildSpec {
  /** Unique in the whole tree. */
  readonly name: string;
  /** Makes the actor anew for each life, or describes another supervisor. */
  readonly actor: ((ref: Refs) => AnyActor) | SupervisorSpec;
  readonly restart: Restart;
  /** The longest time for draining and stopping together; then the child is killed and the next one stops. */
  readonly stopWithinMs: number;
}

/** The siblings that are restarted together with `ended`. */
export function restartedWith<T>(strategy: Strategy, children: readonly T[], ended: T): readonly T[] {
  if (strategy === "oneForOne") return [];
  const first = strategy === "restForOne" ? children.indexOf(ended) : 0;
  return children.slice(first).filter((child) => child !== ended);
}

/** Counts restarts: at most `maxRestarts` in any stretch of time shorter than `perMs`. */
export class RestartBudget {
  readonly #maxRestarts: number;
  readonly #perMs: number;
  #spentAt: EpochMs[] = [];

  constructor(maxRestarts: number, perMs: number) {
    this.#maxRestarts = maxRestarts;
    this.#perMs = perMs;
  }

  /** Takes one restart out of the budget; `false` when there is none left. */
  spend(now: EpochMs): boolean {
    // A clock that was set back must not keep old restarts for ever: those in the future are forgotten.
    this.#spentAt = this.#spentAt.filter((at) => at <= now && now - at < this.#perMs);
    if (this.#spentAt.length >= this.#maxRestarts) return false;
    this.#spentAt.push(now);
    return true;
  }
}

/**
 * How to stop: `drain` finishes the mailbox, `stop` only the current message; `restart` is a stop that keeps the
 * mailbox open for the next life.
 */
export type StopMode = "drain" | "stop" | "restart";

/** What a supervisor looks after: an actor, or another supervisor. It answers through `Parent`. */
export interface Supervised {
  readonly name: string;
  /** Answered by `started` or `ended`. */
  start(): void;
  /** Answered by `ended`. A second call may only make it quicker. */
  stop(mode: StopMode): void;
  /** Ends it at once, without `stop` and without an answer. */
  kill(): void;
  /** Refuses messages from now on: it is not started again. Those in the mailbox become undelivered. */
  close(): void;
}

export interface Parent {
  started(child: Supervised): void;
  /** With `crash` if it failed, without if it ended as intended. */
  ended(child: Supervised, crash?: Crash): void;
}

export interface Crash {
  readonly cause: unknown;
}
