import { ClosedError, InvalidInputError, UnknownTaskError } from "../base/errors.ts";
import { joinPayloads, splitPayloads } from "../task/codec.ts";
import { fromTaskError } from "../task/task-error.ts";
import { nameIn, type Payload, type StoredTask, type TaskError, type TaskId } from "../task/task.ts";
import { Batch, type BatchOwner, type BatchSlot } from "./batch.ts";
import type { Catalogue, Executor, Run, RunObserver } from "./executor.ts";
import { Flights } from "./flights.ts";
import { packHeaders } from "./frames.ts";
import { ReplacementPause } from "./replacement-pause.ts";
import type { Worker, WorkerObserver } from "./worker.ts";
import type { BatchMessage, ValidateAnswer, WorkerSettings } from "./worker-protocol.ts";

export interface WorkerExecutorOptions extends WorkerSettings {
  /** How long `close()` lets what is running go on; 0 when left out. */
  readonly graceMs?: number;
  /** Told of what no outcome tells: errors that were thrown when their task had ended, or outside of any. */
  readonly log: (
    message: string,
    error: TaskError,
    fields: { readonly workerId?: string; readonly taskId?: TaskId },
  ) => void;
}

const longestTimer = 2 ** 31 - 1;

/** What executors have in common whose handlers run in workers of our own, of whatever kind. */
export abstract class WorkerExecutor implements Executor, WorkerObserver, BatchOwner {
  readonly slots: number;
  protected readonly options: WorkerExecutorOptions;
  readonly #flights: Flights;
  /** Workers whose end tells nothing of the next one. */
  readonly #proven = new WeakSet<Worker>();
  protected readonly pause = new ReplacementPause();
  #isOpen = false;
  #closing: Promise<void> | undefined;
  #lastNumber = 0;
  #onClose = (): void => {};

  constructor(slots: number, options: WorkerExecutorOptions) {
    this.slots = slots;
    this.options = options;
    this.#flights = new Flights(slots);
  }

  /** Starts the workers and loads the modules. @param failed called when that cannot succeed any more. */
  protected abstract open(failed: (error: unknown) => void): Promise<Catalogue>;
  protected abstract slot(number: number): BatchSlot;
  /** Has the batch run by a worker. */
  protected abstract send(batch: Batch): void;
  protected abstract check(name: string, args: readonly Payload[]): Promise<ValidateAnswer>;
  /** Ends the workers, whatever they do. */
  protected abstract shut(): Promise<void>;
  abstract gone(worker: Worker): void;

  async start(): Promise<Catalogue> {
    if (this.#closing !== undefined) throw new ClosedError("The executor");
    this.#isOpen = true;
    // Workers at rest do not keep a process alive; starting is no rest.
    const alive = setInterval(() => {}, longestTimer);
    try {
      return await new Promise<Catalogue>((resolve, reject) => {
        this.#onClose = () => reject(new ClosedError("The executor"));
        this.open(reject).then(resolve, reject);
      });
    } catch (error) {
      await this.close();
      throw error;
    } finally {
      clearInterval(alive);
    }
  }

  run(tasks: readonly StoredTask[], observer: RunObserver): Run {
    this.assertOpen();
    return this.#flights.add((slot) => {
      const batch = new Batch(this.nextNumber(), this.slot(slot), tasks, observer, this);
      this.send(batch);
      return batch;
    });
  }

  async validate(name: string, args: readonly Payload[]): Promise<Payload[]> {
    this.assertOpen();
    const answer = await this.check(name, args);
    switch (answer.type) {
      case "accepted":
        return splitPayloads(answer.args);
      case "refused":
        throw new InvalidInputError(nameIn(name), answer.issues);
      case "unknown":
        throw new UnknownTaskError(nameIn(name), undefined);
      case "error":
        throw fromTaskError(answer.error);
    }
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  giveUp(batch: Batch, _index: number, how: string): void {
    if (batch.worker === undefined) return;
    this.excuse(batch.worker);
    batch.worker.end(how);
  }

  equipped(worker: Worker): void {
    this.#proven.add(worker);
    this.pause.succeeded();
  }

  released(batch: Batch): void {
    this.#flights.remove(batch);
  }

  threw(worker: Worker, error: TaskError, taskId: TaskId | undefined): void {
    const fields = { workerId: worker.name, ...(taskId === undefined ? undefined : { taskId }) };
    this.options.log("Something was thrown outside of a running task; its worker is replaced.", error, fields);
  }

  /** The worker will be ended for what a task asked for, be it ready for tasks or not. */
  protected excuse(worker: Worker): void {
    this.#proven.add(worker);
  }

  /** The worker is dead, or will be; if it never was ready for tasks, the one after it has to wait. */
  protected died(worker: Worker): void {
    if (this.#proven.has(worker)) return;
    this.#proven.add(worker);
    this.pause.failed();
  }

  /** A number that no other work of this executor has. */
  protected nextNumber(): number {
    return (this.#lastNumber += 1);
  }

  protected get isOpen(): boolean {
    return this.#isOpen;
  }

  protected assertOpen(): void {
    if (!this.#isOpen) throw new ClosedError("The executor");
  }

  async #close(): Promise<void> {
    this.#isOpen = false;
    this.#onClose();
    await this.#flights.land(this.options.graceMs ?? 0);
    await this.shut();
  }
}

/** What the worker of a batch is told. The memory of the arguments is nobody else's. */
export const batchMessage = ({ number, slot, tasks }: Batch): BatchMessage => ({
  batch: number,
  slot: slot.number,
  headers: packHeaders(tasks),
  args: joinPayloads(tasks.map((task) => task.args)),
});
