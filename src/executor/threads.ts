import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import type { ResourceLimits } from "node:worker_threads";
import { Piscina, queueOptionsSymbol, type PiscinaTask } from "piscina";
import { systemClock } from "../base/clock.ts";
import { ClosedError, InvalidInputError, UnknownTaskError, WorkerCrashError } from "../base/errors.ts";
import { joinPayloads, splitPayloads } from "../task/codec.ts";
import { fromTaskError, toTaskError } from "../task/task-error.ts";
import type { Payload, StoredTask, TaskError, TaskId } from "../task/task.ts";
import { Batch } from "./batch.ts";
import type { Catalogue, Executor, Run, RunObserver } from "./executor.ts";
import { packHeaders } from "./frames.ts";
import { Slot, slotBytes } from "./slots.ts";
import { Thread, type ThreadObserver, type Work } from "./thread.ts";
import type { BatchMessage, Greeting, ThreadData, ValidateAnswer, ValidateMessage } from "./thread-protocol.ts";

export interface ThreadOptions {
  /** With 0, there is one that only loads the modules and checks arguments. */
  readonly threads: number;
  /** The task modules, as file URLs. Nothing else is ever imported. */
  readonly modules: readonly string[];
  /** Of one result, encoded; of the arguments of one task as well, when a schema transforms them. */
  readonly maxResultBytes: number;
  /** How long `close()` lets what is running go on; 0 when left out. */
  readonly graceMs?: number;
  /** Of the heap of each thread; Node's own when left out. */
  readonly resourceLimits?: ResourceLimits;
  /** Told of what no outcome tells: errors that were thrown when their task had ended, or outside of any. */
  readonly log: (
    message: string,
    error: TaskError,
    fields: { readonly workerId?: string; readonly taskId?: TaskId },
  ) => void;
}

/** Runs handlers in threads of this process. A thread has up to two batches, so that it need not wait for the next. */
export const threadExecutor = (options: ThreadOptions): Executor => new ThreadExecutor(options);

const batchesPerThread = 2;
const longestTimer = 2 ** 31 - 1;

class ThreadExecutor implements Executor, ThreadObserver {
  readonly slots: number;
  readonly #options: ThreadOptions;
  readonly #poolSize: number;
  readonly #memory: SharedArrayBuffer;
  readonly #freeSlots: number[];
  readonly #slots: readonly Slot[];
  readonly #token = randomUUID();
  readonly #threads = new Map<number, Thread>();
  readonly #batches = new Set<Batch>();
  #pool: Piscina | undefined;
  #closing: Promise<void> | undefined;
  #lastBatch = 0;
  #onGreeting = (): void => {};
  #onLastIdle = (): void => {};
  #onClose = (): void => {};

  constructor(options: ThreadOptions) {
    this.#options = options;
    this.#poolSize = Math.max(1, options.threads);
    this.slots = options.threads * batchesPerThread;
    this.#memory = new SharedArrayBuffer(slotBytes(this.slots));
    this.#slots = Array.from({ length: this.slots }, (_, number) => new Slot(this.#memory, number));
    this.#freeSlots = [...this.#slots.keys()];
  }

  async start(): Promise<Catalogue> {
    if (this.#closing !== undefined) throw new ClosedError("The executor");
    const pool = this.#createPool();
    this.#pool = pool;
    // Threads at rest do not keep a process alive; starting is no rest.
    const alive = setInterval(() => {}, longestTimer);
    try {
      const failure = new Promise<never>((_, reject) => {
        pool.on("error", reject);
        this.#onClose = () => reject(new ClosedError("The executor"));
      });
      return await Promise.race([this.#load(), failure]);
    } catch (error) {
      await this.close();
      throw error;
    } finally {
      clearInterval(alive);
    }
  }

  run(tasks: readonly StoredTask[], observer: RunObserver): Run {
    const pool = this.#openPool();
    const slot = this.#freeSlots.pop();
    if (slot === undefined) throw new RangeError(`All ${this.slots} slots are taken: wait until one is idle.`);
    const batch = new Batch((this.#lastBatch += 1), this.#slots[slot] as Slot, tasks, observer, () => {
      this.#freeSlots.push(slot);
      this.#batches.delete(batch);
      if (this.#batches.size === 0) this.#onLastIdle();
    });
    this.#batches.add(batch);
    const args = joinPayloads(tasks.map((task) => task.args));
    const message: BatchMessage = { batch: batch.number, slot, headers: packHeaders(tasks), args };
    pool.run({ ...message, [queueOptionsSymbol]: batch }, { transferList: [args.bytes.buffer, args.ends.buffer] }).then(
      () => {
        const { thread } = batch;
        thread?.drain();
        batch.finish();
        thread?.release(batch);
      },
      // A thread that dies says so itself, with all its batches; what no thread has got has not begun.
      (error: unknown) => (batch.thread === undefined ? batch.finish() : batch.thread.fail(error)),
    );
    return batch;
  }

  async validate(name: string, args: readonly Payload[]): Promise<Payload[]> {
    const pool = this.#openPool();
    const work: Work = { thread: undefined };
    const message: ValidateMessage = { name, args: joinPayloads(args) };
    const answer = await pool
      .run({ ...message, [queueOptionsSymbol]: work }, { name: "validate" })
      .catch((error: unknown): never => {
        if (this.#pool === undefined) throw new ClosedError("The executor");
        throw new WorkerCrashError(toTaskError(error).message);
      })
      .finally(() => work.thread?.release(work));
    return acceptedArgs(name, answer as ValidateAnswer);
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  threw(thread: Thread, error: TaskError, taskId: TaskId | undefined): void {
    const fields = { workerId: thread.name, ...(taskId === undefined ? undefined : { taskId }) };
    this.#options.log("Something was thrown outside of a running task; its thread is replaced.", error, fields);
  }

  gone(thread: Thread): void {
    this.#threads.delete(thread.id);
  }

  async #load(): Promise<Catalogue> {
    await new Promise<void>((resolve) => {
      this.#onGreeting = () => void (this.#threads.size === this.#poolSize && resolve());
    });
    const [first, ...others] = this.#threads.values();
    const catalogue = await (first as Thread).load();
    for (const thread of others) thread.tell({ type: "load" });
    return catalogue;
  }

  async #close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    this.#onClose();
    for (const batch of this.#batches) batch.revoke();
    const { graceMs = 0 } = this.#options;
    if (graceMs > 0 && this.#batches.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = systemClock.wakeAt(systemClock.now() + graceMs, resolve);
        this.#onLastIdle = () => (timer.cancel(), resolve());
      });
    }
    for (const thread of this.#threads.values()) thread.end("the executor was closed");
    await pool?.destroy();
  }

  #createPool(): Piscina {
    const { modules, maxResultBytes, resourceLimits } = this.#options;
    const workerData: ThreadData = { modules, maxResultBytes, memory: this.#memory, token: this.#token };
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
      ...(resourceLimits === undefined ? undefined : { resourceLimits }),
    });
    pool.on("message", (message: unknown) => this.#greet(pool, message));
    pool.on("error", (error: unknown) => this.#options.log("A thread ended by itself.", toTaskError(error), {}));
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
    this.#threads.set(worker.threadId, new Thread(worker, port, this));
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

function acceptedArgs(name: string, answer: ValidateAnswer): Payload[] {
  switch (answer.type) {
    case "accepted":
      return splitPayloads(answer.args);
    case "refused":
      throw new InvalidInputError(name, answer.issues);
    case "unknown":
      throw new UnknownTaskError(name, undefined);
    case "error":
      throw fromTaskError(answer.error);
  }
}
