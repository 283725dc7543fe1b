import { ActorStoppedError } from "../base/errors.ts";
import { ActorCell } from "./actor-cell.ts";
import type { ActorRef, Message, Refs } from "./actor.ts";
import type { Environment } from "./environment.ts";
import type { ChildSpec, Crash, Parent, Supervised, SupervisorSpec } from "./supervision.ts";
import { Supervisor } from "./supervisor.ts";

/** A tree of actors that runs, or has ended. */
export interface RunningTree {
  /** Addresses exist from the beginning, before the actors have started, and stay the same through restarts. */
  readonly ref: Refs;
  /** When all children have started for the first time. Rejects when the tree ended before. */
  readonly started: Promise<void>;
  /** Resolves, with the cause, when the top supervisor has used up its budget and everything has stopped; else never. */
  readonly failed: Promise<unknown>;
  /** How many messages came to actors that were gone, or were left when they went. */
  readonly undelivered: number;
  /** Bottom to top: each actor takes nothing new, finishes what it has, and stops. */
  drain(): Promise<void>;
  /** Bottom to top: each actor finishes its current message and stops. Hurries a drain that is under way. */
  stop(): Promise<void>;
  /** Ends everything at once: no `stop` handler runs, asks are rejected. */
  kill(): void;
}

/** Starts trees of actors. Nothing in them knows of time, turns or chance but what is handed in here. */
export function createSystem(environment: Environment): { start(spec: SupervisorSpec): RunningTree } {
  return { start: (spec) => new Tree(spec, environment) };
}

class Tree implements RunningTree {
  readonly #cells = new Map<string, ActorCell>();
  readonly #top: Supervisor;
  readonly #started = new Deferred<void>();
  readonly #failed = new Deferred<unknown>();
  readonly #ended = new Deferred<void>();
  #hasEnded = false;
  #mode: "drain" | "stop" | undefined;

  /** @throws RangeError when two children have the same name. */
  constructor(spec: SupervisorSpec, environment: Environment) {
    const names = new Set<string>();
    const createChild = (child: ChildSpec, parent: Parent): Supervised => {
      const { name, actor } = child;
      if (names.has(name)) throw new RangeError(`Two children are called "${name}". Names are unique in a tree.`);
      names.add(name);
      if (typeof actor !== "function") {
        return new Supervisor({ name, spec: actor, parent, isTop: false, environment, createChild });
      }
      const cell = new ActorCell(name, () => actor(this.ref), parent, environment);
      this.#cells.set(name, cell);
      return cell;
    };
    // Nobody has to wait for the start: a tree that fails is reported by `failed`.
    this.#started.promise.catch(() => undefined);
    const parent = {
      started: () => this.#started.resolve(),
      ended: (_top: Supervised, crash?: Crash) => this.#finish(crash),
    };
    this.#top = new Supervisor({ name: "top", spec, parent, isTop: true, environment, createChild });
    this.#top.start();
  }

  readonly ref: Refs = <M extends Message = never>(name: string): ActorRef<M> => {
    const cell = this.#cells.get(name);
    if (cell === undefined) {
      throw new RangeError(`No actor is called "${name}". Known are ${[...this.#cells.keys()].join(", ")}.`);
    }
    return cell;
  };

  get started(): Promise<void> {
    return this.#started.promise;
  }

  get failed(): Promise<unknown> {
    return this.#failed.promise;
  }

  get undelivered(): number {
    let sum = 0;
    for (const cell of this.#cells.values()) sum += cell.undelivered;
    return sum;
  }

  drain(): Promise<void> {
    return this.#leave("drain");
  }

  stop(): Promise<void> {
    return this.#leave("stop");
  }

  kill(): void {
    if (this.#hasEnded) return;
    this.#top.kill();
    this.#finish();
  }

  #leave(mode: "drain" | "stop"): Promise<void> {
    if (!this.#hasEnded && this.#mode !== mode && this.#mode !== "stop") {
      this.#mode = mode;
      this.#top.stop(mode);
    }
    return this.#ended.promise;
  }

  #finish(crash?: Crash): void {
    this.#hasEnded = true;
    this.#top.close();
    this.#started.reject(crash === undefined ? new ActorStoppedError(this.#top.name) : crash.cause);
    if (crash !== undefined) this.#failed.resolve(crash.cause);
    this.#ended.resolve();
  }
}

class Deferred<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (error: unknown) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}
