import type { BatchSlot } from "./batch.ts";
import { Child } from "./child.ts";
import { childEnvironment } from "./child-environment.ts";
import { Crew } from "./crew.ts";
import type { Catalogue, Executor } from "./executor.ts";
import { RemoteSlot } from "./remote-slot.ts";
import { SlotFile } from "./slot-file.ts";
import type { Worker } from "./worker.ts";
import type { WorkerExecutorOptions } from "./worker-executor.ts";

export interface ProcessOptions extends WorkerExecutorOptions {
  /** With 0, there is one that only loads the modules and checks arguments. */
  readonly processes: number;
  /** Names of environment variables that children see beside the usual ones (`PATH`, `HOME`, `LANG`, `TZ` …). */
  readonly environment?: readonly string[];
  /** The old generation of the heap of each child, in megabytes; Node's own limit when left out. */
  readonly heapMb?: number;
}

/**
 * Runs handlers in child processes, one task at a time in each. A child has up to two batches, so that it need not wait
 * for the next.
 */
export const processExecutor = (options: ProcessOptions): Executor => new ProcessExecutor(options);

const batchesPerChild = 2;

class ProcessExecutor extends Crew {
  readonly #size: number;
  readonly #environment: readonly string[];
  readonly #execArgv: readonly string[];
  #file: SlotFile | undefined;

  constructor(options: ProcessOptions) {
    super(options.processes * batchesPerChild, options);
    this.#size = Math.max(1, options.processes);
    this.#environment = options.environment ?? [];
    this.#execArgv = options.heapMb === undefined ? [] : [`--max-old-space-size=${options.heapMb}`];
  }

  protected override open(): Promise<Catalogue> {
    this.#file = new SlotFile(this.slots);
    return super.open();
  }

  protected override async shut(): Promise<void> {
    await super.shut();
    this.#file?.close();
  }

  protected create(): Promise<Worker> {
    const { modules, maxResultBytes, maxLogBytes } = this.options;
    const environment = childEnvironment(this.#environment, process.env);
    const execArgv = this.#execArgv;
    return Child.start(
      { modules, maxResultBytes, maxLogBytes, slots: this.slots, file: this.#slotFile, environment, execArgv },
      this,
    );
  }

  protected slot(number: number): BatchSlot {
    return new RemoteSlot(this.#slotFile, number);
  }

  protected hasRoom(worker: Worker): boolean {
    // A child that is about to be there is better than one that is busy.
    return worker.openWork < (this.vacancies() + this.expected > 0 ? 1 : batchesPerChild);
  }

  protected vacancies(): number {
    return this.#size - this.workers.size - this.expected;
  }

  get #slotFile(): SlotFile {
    if (this.#file === undefined) throw new TypeError("The executor was not started.");
    return this.#file;
  }
}
