import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import type { ResourceLimits } from "node:worker_threads";
import { Piscina, queueOptionsSymbol, type PiscinaTask } from "piscina";
import { ClosedError, WorkerCrashError } from "../base/errors.ts";
import { joinPayloads } from "../task/codec.ts";
import { toTaskError } from "../task/task-error.ts";
import type { Payload } from "../task/task.ts";
import { Batch, type BatchSlot } from "./batch.ts";
import type { Catalogue, Executor } from "./executor.ts";
import { Outbox, outboxBytes } from "./outbox.ts";
import { SharedSlot } from "./shared-slot.ts";
import { slotBytes } from "./slots.ts";
import { Thread } from "./thread.ts";
import type { Greeting, ThreadData } from "./thread-protocol.ts";
import type { Work, Worker } from "./worker.ts";
import { batchMessage, WorkerExecutor, type WorkerExecutorOptions } from "./worker-executor.ts";
import type { ValidateAnswer, ValidateMessage } from "./worker-protocol.ts";

export interface ThreadOptions extends WorkerExecutorOptions {
  /** With 0, there is one that only loads the modules and checks arguments. */
  readonly threads: number;
  /** Of the heap of each thread; Node's own when left out. */
  readonly resourceLimits?: ResourceLimits;
}

/** Runs handlers in threads of this process. A thread has up to two batches, so that it need not wait for the next. */
export const threadExecutor = (options: ThreadOptions): Executor => new ThreadExecutor(options);

const batchesPerThread = 2;

class ThreadExecutor extends WorkerExecutor {
  readonly #resourceLimits: ResourceLimits | undefined;
  readonly #poolSize: number;
  readonly #memory: SharedArrayBuffer;
  readonly #outboxes: SharedArrayBuffer;
  readonly #token = randomUUID();
  readonly #threads = new Map<number, Thread>();
  /** How long a thread that takes the place of another is to wait first, in milliseconds. */
  readonly #pauseMs = new Int32Array(new SharedArrayBuffer(4));
  #pool: Piscina | undefined;
  #onGreeting = (): void => {};

  constructor(options: ThreadOptions) {
    super(options.threads * batchesPerThread, options);
    this.#resourceLimits = options.resourceLimits;
    this.#poolSize = Math.max(1, options.threads);
    this.#memory = new SharedArrayBuffer(slotBytes(this.slots));
    this.#outboxes = new SharedArrayBuffer(outboxBytes(this.slots));
  }

  override equipped(thread: Worker): void {
    super.equipped(thread);
    Atomics.store(this.#pauseMs, 0, 0);
  }

  gone(thread: Worker): void {
    if (thread instanceof Thread) this.#threads.delete(thread.id);
    this.died(thread);
    // The pool starts another at once. It looks here when it begins.
    Atomics.store(this.#pauseMs, 0, this.pause.ms);
  }

  protected async open(failed: (error: unknown) => void): Promise<Catalogue> {
    this.#pool = this.#createPool();
    this.#pool.on("error", failed);
    await new Promise<void>((resolve) => {
      this.#onGreeting = () => void (this.#threads.size === this.#poolSize && resolve());
    });
    const [first, ...others] = this.#threads.values();
    const catalogue = await (first as Thread).load();
    for (const thread of others) thread.tell({ type: "load" });
    return catalogue;
  }

  protected slot(number: number): BatchSlot {
    return new SharedSlot(this.#memory, number, new Outbox(this.#outboxes, number));
  }

  protected send(batch: Batch): void {
    const message = batchMessage(batch);
    const transferList = [message.args.bytes.buffer, message.args.ends.buffer];
    this.#openPool()
      .run({ ...message, [queueOptionsSymbol]: batch }, { transferList })
      .then(
        () => {
          const { worker } = batch;
          if (worker instanceof Thread) worker.drain();
          batch.done();
          worker?.release(batch);
        },
        // A thread that dies says so itself, with all its batches; what no thread has got has not begun.
        (error: unknown) => (batch.worker === undefined ? batch.done() : batch.worker.fail(error)),
      );
  }

  protected async check(name: string, args: readonly Payload[]): Promise<ValidateAnswer> {
    // Its end, and that of its thread, are told by the pool.
    const work: Work = { number: this.nextNumber(), worker: undefined, isOver: false, done() {}, lose() {} };
    const message: ValidateMessage = { name, args: joinPayloads(args) };
    const answer: unknown = await this.#openPool()
      .run({ ...message, [queueOptionsSymbol]: work }, { name: "validate" })
      .catch((error: unknown): never => {
        if (!this.isOpen) throw new ClosedError("The executor");
        throw new WorkerCrashError(toTaskError(error).message);
      })
      .finally(() => work.worker?.release(work));
    return answer as ValidateAnswer;
  }

  protected async shut(): Promise<void> {
    await Promise.all(Array.from(this.#threads.values(), (thread) => thread.tearDown()));
    for (const thread of this.#threads.values()) thread.end("the executor was closed");
    await this.#pool?.destroy();
  }

  #createPool(): Piscina {
    const { modules, maxResultBytes, maxLogBytes } = this.options;
    const workerData: ThreadData = {
      modules,
      maxResultBytes,
      maxLogBytes,
      memory: this.#memory,
      outboxes: this.#outboxes,
      pauseMs: this.#pauseMs,
      token: this.#token,
    };
    const pool = new Piscina({
      filename: fileURLToPath(new URL("./thread.entry.js", import.meta.url)),
      name: "runBatch",
      minThreads: this.#poolSize,
      maxThreads: this.#poolSize,
      idleTimeout: Number.POSITIVE_INFINITY,
      concurrentTasksPerWorker: batchesPerThread,
      atomics: "async",
      recordTiming: false,
      loadBalancer: (task, workers) => this.#choose(task, workers),
      workerData,
      ...(this.#resourceLimits === undefined ? undefined : { resourceLimits: this.#resourceLimits }),
    });
    pool.on("message", (message: unknown) => this.#greet(pool, message));
    pool.on("error", (error: unknown) => this.options.log("A thread ended by itself.", toTaskError(error), {}));
    return pool;
  }

  #openPool(): Piscina {
    if (this.#pool === undefined) throw new ClosedError("The executor");
    return this.#pool;
  }

  /** Makes the acquaintance of a thread. Handlers can send messages here as well, but do not know the token. */
  #greet(pool: Piscina, message: unknown): void {
    const { token, threadId, port } = (message ?? {}) as Partial<Greeting>;
    const worker = pool.threads.find((thread) => thread.threadId === threadId);
    if (token !== this.#token || worker === undefined || port === undefined) return;
    this.#threads.set(worker.threadId, new Thread("thread", worker, port, this));
    this.#onGreeting();
  }

  /** The thread with the least to do. Checking arguments is quick and need not wait for a batch to end. */
  #choose(task: PiscinaTask, workers: PiscinaWorker[]): PiscinaWorker | null {
    const work = task[queueOptionsSymbol] as Work;
    const limit = work instanceof Batch ? batchesPerThread : Number.POSITIVE_INFINITY;
    let choice: PiscinaWorker | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const worker of workers) {
      const thread = this.#threads.get(worker.id);
      if (thread === undefined || thread.isRetiring || worker.currentUsage >= limit) continue;
      // The pool learns that a batch is over a moment after us: by its count, a thread that rests may look busy.
      if (thread.openWork >= least) continue;
      least = thread.openWork;
      choice = worker;
    }
    if (choice !== null) this.#threads.get(choice.id)?.take(work);
    return choice;
  }
}

type PiscinaWorker = Parameters<NonNullable<Piscina["options"]["loadBalancer"]>>[1][number];
