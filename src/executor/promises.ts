import { MessageChannel, Worker as NodeWorker, type MessagePort, type ResourceLimits } from "node:worker_threads";
import { systemClock } from "../base/clock.ts";
import { toTaskError } from "../task/task-error.ts";
import type { StoredTask, TaskId } from "../task/task.ts";
import { Batch, type BatchSlot } from "./batch.ts";
import { Crew } from "./crew.ts";
import type { AttemptReport, Executor, Run, RunObserver } from "./executor.ts";
import { SharedSlot } from "./shared-slot.ts";
import { Slot, slotBytes } from "./slots.ts";
import { Thread } from "./thread.ts";
import type { Work, Worker } from "./worker.ts";
import type { WorkerExecutorOptions } from "./worker-executor.ts";
import type { WorkerSettings } from "./worker-protocol.ts";

export interface AsyncOptions extends WorkerExecutorOptions {
  /** How many tasks run at the same time. */
  readonly concurrency: number;
  /** Of the heap of the thread; Node's own when left out. */
  readonly resourceLimits?: ResourceLimits;
  /** How many batches it takes; twice its concurrency when left out. */
  readonly slots?: number;
}

/** What the thread is given. */
export interface LoopData extends WorkerSettings {
  /** One `Slot` for each batch in flight. */
  readonly memory: SharedArrayBuffer;
  readonly port: MessagePort;
}

/**
 * Runs handlers as promises on the event loop of one thread. One that does not stop is abandoned: what it still does is
 * not heard of, and another thread takes over from the one that it runs on.
 */
export const asyncExecutor = (options: AsyncOptions): Executor => new AsyncExecutor(options);

/** How long a thread may take to let go of a promise, before it counts as blocked. */
const answerMs = 1_000;
/** The one that takes tasks, and those that only finish what they have. */
const mostThreads = 4;
/** So many times fewer run at the same time where one of them may be what ends threads. */
const quarantineFactor = 8;
/** Some never come back: they were cancelled, or deleted. */
const mostSuspects = 100_000;

class AsyncExecutor extends Crew {
  readonly #options: AsyncOptions;
  readonly #concurrency: number;
  readonly #resourceLimits: ResourceLimits | undefined;
  readonly #memory: SharedArrayBuffer;
  /** Threads with abandoned promises. They take tasks until another can. */
  readonly #littered = new Set<Worker>();
  /** Tasks that waited on a thread when it died, and nothing told whose doing it was. */
  readonly #suspects = new Set<TaskId>();
  /** Where suspects run: fewer at a time, until one runs alone, and its death is its own doing. */
  #quarantine: AsyncExecutor | undefined;

  constructor(options: AsyncOptions) {
    // As many wait as run.
    super(options.slots ?? options.concurrency * 2, options);
    this.#options = options;
    this.#concurrency = options.concurrency;
    this.#resourceLimits = options.resourceLimits;
    this.#memory = new SharedArrayBuffer(slotBytes(this.slots));
  }

  override run(tasks: readonly StoredTask[], observer: RunObserver): Run {
    this.assertOpen();
    const isSuspect = tasks.some(({ id }) => this.#suspects.has(id));
    const quarantine = isSuspect ? this.#openQuarantine() : undefined;
    if (quarantine === undefined) return super.run(tasks, observer);
    return quarantine.run(tasks, {
      ...observer,
      ended: (reports) => {
        for (const { id, end } of reports) if (isInnocent(end)) this.#suspects.delete(id);
        observer.ended(reports);
      },
    });
  }

  override async close(): Promise<void> {
    await Promise.all([super.close(), this.#quarantine?.close()]);
  }

  override giveUp(batch: Batch, index: number, how: string): void {
    const { worker } = batch;
    if (worker === undefined) return;
    this.excuse(worker);
    batch.isHaunted = true;
    worker.tell({ type: "abandon", batch: batch.number, index });
    systemClock.wakeAt(systemClock.now() + answerMs, () => {
      if (batch.running === index) worker.end(how);
    });
    this.#littered.add(worker);
    this.fill();
  }

  override gone(worker: Worker): void {
    this.#littered.delete(worker);
    super.gone(worker);
  }

  retiring(worker: Worker): void {
    // Another takes over before it is gone.
    this.died(worker);
    this.fill();
  }

  /** A thread has died with these. Where nothing tells whose doing it was, nobody is to blame yet. */
  diedWith(batches: Iterable<Batch>): void {
    const running = [...batches].filter((batch) => batch.running !== undefined);
    const suspects = running.filter(({ slot }) => slot.blamed === "unknown");
    const isExplained = running.some(({ slot }) => slot.blamed === "guilty" || slot.running?.isWaiting === false);
    if (isExplained || suspects.length < 2) return;
    for (const { tasks, running: index = -1, slot } of suspects) {
      const { id } = tasks[index] as StoredTask;
      this.#suspects.add(id);
      const [oldest] = this.#suspects;
      if (this.#suspects.size > mostSuspects && oldest !== undefined) this.#suspects.delete(oldest);
      new Slot(this.#memory, slot.number).blame(false);
    }
  }

  /** None while the last one closes because it could not start: what it was given comes back before that is done. */
  #openQuarantine(): AsyncExecutor | undefined {
    if (this.#quarantine !== undefined) return this.#quarantine.isOpen ? this.#quarantine : undefined;
    const concurrency = Math.ceil(this.#concurrency / quarantineFactor);
    const quarantine = new AsyncExecutor({ ...this.#options, concurrency, slots: this.slots });
    this.#quarantine = quarantine;
    quarantine.start().catch((error: unknown) => {
      // What it was given takes its chances with the others.
      this.#suspects.clear();
      this.#quarantine = undefined;
      if (this.isOpen) this.options.log("A thread for suspects could not be started.", toTaskError(error), {});
    });
    return quarantine;
  }

  protected async create(): Promise<Worker> {
    const { modules, maxResultBytes, maxLogBytes } = this.options;
    const { port1, port2 } = new MessageChannel();
    const workerData: LoopData = { modules, maxResultBytes, maxLogBytes, memory: this.#memory, port: port2 };
    const worker = new NodeWorker(new URL("./loop.entry.js", import.meta.url), {
      workerData,
      transferList: [port2],
      execArgv: execArgv(),
      ...(this.#resourceLimits === undefined ? undefined : { resourceLimits: this.#resourceLimits }),
    });
    const thread = new Loop(worker, port1, this);
    await thread.ready();
    worker.unref();
    return thread;
  }

  protected slot(number: number): BatchSlot {
    return new SharedSlot(this.#memory, number);
  }

  protected hasRoom(): boolean {
    let running = 0;
    for (const { workload } of this.workers) running += workload;
    return running < this.#concurrency;
  }

  protected vacancies(): number {
    const fresh = [...this.workers].filter((worker) => !worker.isRetiring && !this.#littered.has(worker));
    const isServed = fresh.length + this.expected > 0;
    return isServed || this.workers.size >= mostThreads ? 0 : 1;
  }

  protected override joined(): void {
    for (const worker of this.#littered) worker.retire();
    this.#littered.clear();
  }
}

/** Whether an attempt has ended by itself, or when it was told to. */
const isInnocent = (end: AttemptReport["end"]): boolean =>
  end.type === "value" || end.type === "stopped" || (end.type === "fault" && end.fault.reason === "error");

/** A thread that keeps the process alive while it has something to do. */
class Loop extends Thread {
  readonly #batches = new Set<Batch>();
  readonly #onDeath: (batches: Iterable<Batch>) => void;
  #isEnded = false;

  constructor(worker: NodeWorker, port: MessagePort, owner: AsyncExecutor) {
    super("async", worker, port, owner);
    this.#onDeath = (batches) => owner.diedWith(batches);
  }

  override take(work: Work): void {
    if (work instanceof Batch) this.#batches.add(work);
    super.take(work);
  }

  override release(work: Work): void {
    if (work instanceof Batch) this.#batches.delete(work);
    super.release(work);
  }

  override end(how: string): void {
    this.#isEnded = true;
    super.end(how);
  }

  protected override exited(how: string): void {
    if (!this.#isEnded) this.#onDeath(this.#batches);
    super.exited(how);
  }

  protected override rest(isResting: boolean): void {
    if (isResting) this.worker.unref();
    else this.worker.ref();
  }
}

/** As ours, but for what says how to read the text of `--eval`: with a file that is an error. */
const execArgv = (): string[] =>
  process.execArgv.filter((arg, at, args) => !arg.startsWith("--input-type") && args[at - 1] !== "--input-type");
