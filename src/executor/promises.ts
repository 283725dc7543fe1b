import { MessageChannel, Worker as NodeWorker, type MessagePort, type ResourceLimits } from "node:worker_threads";
import { systemClock } from "../base/clock.ts";
import type { Batch, BatchSlot } from "./batch.ts";
import { Crew } from "./crew.ts";
import type { Executor } from "./executor.ts";
import { SharedSlot } from "./shared-slot.ts";
import { slotBytes } from "./slots.ts";
import { Thread } from "./thread.ts";
import type { Worker } from "./worker.ts";
import type { WorkerExecutorOptions } from "./worker-executor.ts";
import type { WorkerSettings } from "./worker-protocol.ts";

export interface AsyncOptions extends WorkerExecutorOptions {
  /** How many tasks run at the same time. */
  readonly concurrency: number;
  /** Of the heap of the thread; Node's own when left out. */
  readonly resourceLimits?: ResourceLimits;
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

class AsyncExecutor extends Crew {
  readonly #concurrency: number;
  readonly #resourceLimits: ResourceLimits | undefined;
  readonly #memory: SharedArrayBuffer;
  /** Threads with abandoned promises. They take tasks until another can. */
  readonly #littered = new Set<Worker>();

  constructor(options: AsyncOptions) {
    // As many wait as run.
    super(options.concurrency * 2, options);
    this.#concurrency = options.concurrency;
    this.#resourceLimits = options.resourceLimits;
    this.#memory = new SharedArrayBuffer(slotBytes(this.slots));
  }

  override giveUp(batch: Batch, index: number, how: string): void {
    const { worker } = batch;
    if (worker === undefined) return;
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

  retiring(): void {
    this.fill();
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
    const thread = new Loop("async", worker, port1, this);
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

/** A thread that keeps the process alive while it has something to do. */
class Loop extends Thread {
  protected override rest(isResting: boolean): void {
    if (isResting) this.worker.unref();
    else this.worker.ref();
  }
}

/** As ours, but for what says how to read the text of `--eval`: with a file that is an error. */
const execArgv = (): string[] =>
  process.execArgv.filter((arg, at, args) => !arg.startsWith("--input-type") && args[at - 1] !== "--input-type");
