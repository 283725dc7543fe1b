import { ClosedError } from "../base/errors.ts";
import type { Payload, StoredTask } from "../task/task.ts";
import type { Catalogue, Executor, Run, RunObserver } from "./executor.ts";

/**
 * An executor that hands over to another one while it runs: for more workers, fewer or none, or for new code. While there
 * is none, it has no slots.
 */
export class Relay implements Executor {
  readonly #log: (message: string, thrown: unknown) => void;
  #current: Leg | undefined;
  /** With those that finish what they have begun. */
  readonly #legs = new Set<Leg>();

  /** @param log told of what an executor throws that it should not. */
  constructor(log: (message: string, thrown: unknown) => void) {
    this.#log = log;
  }

  get slots(): number {
    return this.#current?.executor.slots ?? 0;
  }

  /** Executors that are started come by `handOver`. */
  async start(): Promise<Catalogue> {
    return [];
  }

  /**
   * Gives `next`, which was started, everything from now on. What the one before it has not begun comes back as
   * `unstarted`; what runs there goes on, and with the last of it that executor is closed.
   */
  handOver(next: Executor | undefined): void {
    const before = this.#current;
    this.#current = next === undefined ? undefined : new Leg(next, (leg) => this.#close(leg));
    if (this.#current !== undefined) this.#legs.add(this.#current);
    before?.leave();
  }

  run(batch: readonly StoredTask[], observer: RunObserver): Run {
    const leg = this.#open();
    try {
      return leg.run(batch, observer);
    } catch (thrown) {
      this.#log("An executor refused a batch; it is given again.", thrown);
      throw thrown;
    }
  }

  validate(name: string, args: readonly Payload[]): Promise<Payload[]> {
    return this.#open().validate(name, args);
  }

  async close(): Promise<void> {
    this.#current = undefined;
    await Promise.all(Array.from(this.#legs, ({ executor }) => executor.close()));
  }

  async #close(leg: Leg): Promise<void> {
    try {
      await leg.executor.close();
    } catch (thrown) {
      this.#log("An executor that was relieved could not be closed.", thrown);
    }
    this.#legs.delete(leg);
  }

  #open(): Leg {
    if (this.#current === undefined) throw new ClosedError("The executor");
    return this.#current;
  }
}

/** One of the executors, and what it has to do. */
class Leg {
  readonly executor: Executor;
  readonly #runs = new Set<Run>();
  readonly #checks = new Set<Promise<unknown>>();
  readonly #onOver: (leg: Leg) => Promise<void>;
  #isLeaving = false;

  /** @param onOver called when it was left, and nothing is left to do. */
  constructor(executor: Executor, onOver: (leg: Leg) => Promise<void>) {
    this.executor = executor;
    this.#onOver = onOver;
  }

  run(batch: readonly StoredTask[], observer: RunObserver): Run {
    const run = this.executor.run(batch, {
      ...observer,
      idle: () => {
        this.#runs.delete(run);
        observer.idle();
        this.#endIfOver();
      },
    });
    this.#runs.add(run);
    return run;
  }

  async validate(name: string, args: readonly Payload[]): Promise<Payload[]> {
    const check = this.executor.validate(name, args);
    this.#checks.add(check);
    try {
      return await check;
    } finally {
      this.#checks.delete(check);
      this.#endIfOver();
    }
  }

  leave(): void {
    this.#isLeaving = true;
    for (const run of this.#runs) run.revoke();
    this.#endIfOver();
  }

  #endIfOver(): void {
    if (this.#isLeaving && this.#runs.size + this.#checks.size === 0) void this.#onOver(this);
  }
}
