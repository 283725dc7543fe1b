import { ClosedError } from "../base/errors.ts";
import type { Payload, StoredTask } from "../task/task.ts";
import type { Catalogue, Executor, Run, RunObserver } from "./executor.ts";

/**
 * An executor that hands over to another one while it runs: for more workers, fewer or none, or for new code. While there
 * is none, it has no slots.
 */
export class Relay implements Executor {
  #current: Leg | undefined;
  /** With those that finish what they have begun. */
  readonly #legs = new Set<Leg>();

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
    this.#current = next === undefined ? undefined : new Leg(next, (leg) => this.#legs.delete(leg));
    if (this.#current !== undefined) this.#legs.add(this.#current);
    before?.leave();
  }

  run(batch: readonly StoredTask[], observer: RunObserver): Run {
    return this.#open().run(batch, observer);
  }

  validate(name: string, args: readonly Payload[]): Promise<Payload[]> {
    return this.#open().validate(name, args);
  }

  async close(): Promise<void> {
    this.#current = undefined;
    await Promise.all(Array.from(this.#legs, ({ executor }) => executor.close()));
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
  readonly #onClosed: (leg: Leg) => void;
  #isLeaving = false;

  constructor(executor: Executor, onClosed: (leg: Leg) => void) {
    this.executor = executor;
    this.#onClosed = onClosed;
  }

  run(batch: readonly StoredTask[], observer: RunObserver): Run {
    const run = this.executor.run(batch, {
      ...observer,
      idle: () => {
        this.#runs.delete(run);
        observer.idle();
        this.#closeIfOver();
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
      this.#closeIfOver();
    }
  }

  leave(): void {
    this.#isLeaving = true;
    for (const run of this.#runs) run.revoke();
    this.#closeIfOver();
  }

  #closeIfOver(): void {
    if (!this.#isLeaving || this.#runs.size + this.#checks.size > 0) return;
    void this.executor.close().finally(() => this.#onClosed(this));
  }
}
