import type { EpochMs } from "../base/clock.ts";
import type { DeclaredSchedule } from "../task/declared.ts";
import type { LogLine } from "../task/log-line.ts";
import type { AttemptFault } from "../task/retry.ts";
import type { Payload, StoredTask, TaskError, TaskId } from "../task/task.ts";

/**
 * A place where handlers run. It takes batches and reports on every attempt of a batch exactly once; it decides
 * nothing about retries and knows no storage.
 */
export interface Executor {
  /**
   * How many batches it takes. At least half of them run at the same time; the others may wait at a worker, so that it
   * need not wait for the next.
   */
  readonly slots: number;

  /**
   * Starts the workers, loads the task modules in one of them.
   *
   * @throws TaskModuleError, DuplicateNameError.
   */
  start(): Promise<Catalogue>;

  /** Runs a batch, in order, on the worker that is free first. */
  run(batch: readonly StoredTask[], observer: RunObserver): Run;

  /**
   * Checks and transforms arguments with the `input` schema of the handler with this `handlerKey`.
   *
   * @returns per item the arguments to store.
   * @throws InvalidInputError for the first that is refused.
   */
  validate(handler: string, args: readonly Payload[]): Promise<Payload[]>;

  /** Ends the workers. Batches that still run are reported as interrupted. */
  close(): Promise<void>;
}

/** What the executor tells about a batch, in the supervisor's thread, and not before `run` has returned. */
export interface RunObserver {
  /** Attempts that ended. Called as often as needed; every task of the batch is reported once. */
  ended(reports: readonly AttemptReport[]): void;
  /** After the last report, when the slot is free again. */
  idle(): void;
  /** What a running attempt says, in order, before its report. What one says whose report has come may be left out. */
  noted?(note: AttemptNote): void;
  /** A running attempt asks for the stored value of a checkpoint of its task. */
  recall?(id: TaskId, key: string): Promise<Payload | undefined>;
  /** A running attempt wants a value kept. Resolves when it is on disk; with `false` when the attempt is over. */
  keep?(checkpoint: CheckpointValue): Promise<boolean>;
  /**
   * A running attempt wants a task stored. Resolves when it is on disk, with its id; that of another where that has its
   * dedupe key, or nothing, as the call says. Rejects with CancelledError when the attempt is over.
   */
  enqueue?(call: ChildCall): Promise<TaskId | undefined>;
}

/** A task that a running attempt wants stored. */
export interface ChildCall {
  /** The task that asks, and which attempt of it. */
  readonly id: TaskId;
  readonly attempt: number;
  readonly name: string;
  /** The highest one when left out. */
  readonly version?: string;
  readonly args: Payload;
  /** As they were given; not checked. */
  readonly options: unknown;
}

/** What an attempt says while it runs; also without anything said, a sign of life. */
export interface AttemptNote {
  readonly id: TaskId;
  readonly attempt: number;
  readonly progress?: Payload;
  readonly lines?: readonly LogLine[];
}

/** A value that the attempts of a task that come later are to find. */
export interface CheckpointValue {
  readonly id: TaskId;
  readonly attempt: number;
  readonly key: string;
  readonly value: Payload;
}

/** A batch that is being run. */
export interface Run {
  /** The task that is running, since when; `undefined` between tasks, or before the first. */
  current(): { readonly id: TaskId; readonly startedAt: EpochMs } | undefined;
  /** The name of the worker that has it; `undefined` while none has. An executor that cannot tell leaves it out. */
  workerName?(): string | undefined;
  /**
   * Somebody waits for a task of it: ends are to be reported as they come. Before that, and where this is left out,
   * they may be reported when the whole batch has ended; always before anything is reported that comes of `revoke` or `stop`.
   */
  hurry?(): void;
  /** Takes back what has not been started: reported as `unstarted`, soon. */
  revoke(): void;
  /**
   * Stops the task: first by its flag and `signal`; `graceMs` later its worker is ended, or, where many share one
   * thread, its promise is given up. Reported as `stopped`, or as it ended in the meantime. A task that has not been
   * started is reported as `unstarted`, with all behind it.
   */
  stop(id: TaskId, reason: string, graceMs: number): void;
}

/** How an attempt ended, as the worker saw it, or as its death is explained. */
export interface AttemptReport {
  readonly id: TaskId;
  readonly end:
    | { readonly type: "value"; readonly result: Payload }
    | { readonly type: "fault"; readonly fault: AttemptFault; readonly error: TaskError }
    /** `stop` was asked for and the handler, or its worker, has ended. */
    | { readonly type: "stopped" }
    /** The handler was never called. */
    | { readonly type: "unstarted" };
  /** Left out when the handler was never called. */
  readonly startedAt?: EpochMs | undefined;
  readonly durationMs?: number | undefined;
  readonly workerId?: string | undefined;
}

/** What the task modules define. */
export type Catalogue = readonly CatalogueEntry[];

export interface CatalogueEntry {
  readonly name: string;
  /** The module it comes from, for messages only. */
  readonly file: string;
  /** Options given to defineTask, as they were given: checked by `config/`. Functions are left out. */
  readonly options: Readonly<Record<string, unknown>>;
  /** It has an `input` schema: arguments go through `validate`. */
  readonly hasInput: boolean;
  /** Declared beside it, as given to defineSchedule: checked by `config/`. */
  readonly schedules?: readonly DeclaredSchedule[];
}
