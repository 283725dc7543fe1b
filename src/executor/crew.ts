import { systemClock } from "../base/clock.ts";
import { ClosedError } from "../base/errors.ts";
import { toTaskError } from "../task/task-error.ts";
import type { Payload } from "../task/task.ts";
import { Batch } from "./batch.ts";
import { Check } from "./check.ts";
import type { Catalogue } from "./executor.ts";
import type { Worker } from "./worker.ts";
import { batchMessage, WorkerExecutor } from "./worker-executor.ts";
import type { ValidateAnswer } from "./worker-protocol.ts";

/** How often arguments are checked when workers die meanwhile: most likely that was a task's doing. */
const mostChecks = 3;

/** An executor that starts and replaces its workers itself, and holds what no worker has room for. */
export abstract class Crew extends WorkerExecutor {
  readonly #workers = new Set<Worker>();
  readonly #starts = new Set<Promise<Worker>>();
  /** How many workers are being started, or will be after a pause. */
  #expected = 0;
  /** What no worker has. Checks before batches, since every worker has room for them. */
  readonly #waiting: (Batch | Check)[] = [];
  #onLastGone = (): void => {};

  /** A new worker that can be given work. It is none of the crew before that. */
  protected abstract create(): Promise<Worker>;
  protected abstract hasRoom(worker: Worker): boolean;
  /** How many more workers there should be. */
  protected abstract vacancies(): number;
  /** There is one worker more. */
  protected joined?(): void;

  freed(_worker: Worker): void {
    this.#handOut();
  }

  gone(worker: Worker): void {
    if (!this.#workers.delete(worker)) return;
    this.died(worker);
    this.fill();
    if (this.#workers.size === 0) this.#onLastGone();
  }

  withdraw(batch: Batch): boolean {
    const at = this.#waiting.indexOf(batch);
    if (at === -1) return false;
    this.#waiting.splice(at, 1);
    queueMicrotask(() => batch.done());
    return true;
  }

  protected get workers(): ReadonlySet<Worker> {
    return this.#workers;
  }

  protected get expected(): number {
    return this.#expected;
  }

  protected async open(): Promise<Catalogue> {
    const starts = Array.from({ length: this.vacancies() }, () => this.#start());
    const [first, ...others] = await Promise.all(starts);
    const catalogue = await (first as Worker).load();
    for (const worker of others) worker.tell({ type: "load" });
    return catalogue;
  }

  protected send(batch: Batch): void {
    this.#waiting.push(batch);
    this.#handOut();
  }

  protected async check(name: string, args: readonly Payload[]): Promise<ValidateAnswer> {
    for (let left = mostChecks; ; left--) {
      const check = new Check(this.nextNumber(), name, args);
      this.#waiting.unshift(check);
      this.#handOut();
      try {
        return await check.answer;
      } catch (error) {
        if (!this.isOpen) throw new ClosedError("The executor");
        if (left === 1) throw error;
      }
    }
  }

  protected async shut(): Promise<void> {
    for (const work of this.#waiting.splice(0)) work.lose({ how: "the executor was closed" }, false);
    await Promise.allSettled(this.#starts);
    await Promise.all(Array.from(this.#workers, (worker) => worker.tearDown()));
    if (this.#workers.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onLastGone = resolve;
      for (const worker of this.#workers) worker.end("the executor was closed");
    });
  }

  /** Starts workers where some are missing, after a pause when those before them were never ready. */
  protected fill(): void {
    for (let left = this.isOpen ? this.vacancies() : 0; left > 0; left--) void this.#replace();
  }

  async #replace(): Promise<void> {
    const { ms } = this.pause;
    if (ms > 0) {
      this.#expected++;
      await new Promise<void>((resolve) => systemClock.wakeAt(systemClock.now() + ms, resolve));
      this.#expected--;
      if (!this.isOpen || this.vacancies() <= 0) return;
    }
    try {
      await this.#start();
    } catch (error) {
      if (!this.isOpen) return;
      this.options.log("A worker could not be started; it is tried again.", toTaskError(error), {});
      this.pause.failed();
      this.fill();
    }
  }

  async #start(): Promise<Worker> {
    const start = this.create();
    this.#starts.add(start);
    this.#expected++;
    try {
      const worker = await start;
      if (worker.isRetiring) throw new Error("A worker ended at once.");
      this.#workers.add(worker);
      this.joined?.();
      return worker;
    } finally {
      this.#expected--;
      this.#starts.delete(start);
      this.#handOut();
    }
  }

  #handOut(): void {
    for (let work = this.#waiting[0]; work !== undefined; work = this.#waiting[0]) {
      const worker = this.#choose(work);
      if (worker === undefined) return;
      this.#waiting.shift();
      worker.take(work);
      if (work instanceof Check) worker.tell(work.message);
      else {
        const message = batchMessage(work);
        worker.tell({ type: "batch", ...message }, [message.args.bytes.buffer, message.args.ends.buffer]);
      }
    }
  }

  /** The worker with the least to do. Checking arguments is quick and need not wait for a batch to end. */
  #choose(work: Batch | Check): Worker | undefined {
    let choice: Worker | undefined;
    for (const worker of this.#workers) {
      if (worker.isRetiring || (work instanceof Batch && !this.hasRoom(worker))) continue;
      if (choice === undefined || worker.openWork < choice.openWork) choice = worker;
    }
    return choice;
  }
}
