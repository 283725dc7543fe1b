import { systemClock, type EpochMs, type Timer } from "../base/clock.ts";
import { WorkerCrashError } from "../base/errors.ts";
import { fromTaskError, toTaskError } from "../task/task-error.ts";
import type { StoredTask, TaskId } from "../task/task.ts";
import type { AttemptNote, AttemptReport, Run, RunObserver } from "./executor.ts";
import { readReports } from "./frames.ts";
import type { Blame, RunningTask } from "./slots.ts";
import type { Death, Work, Worker } from "./worker.ts";
import type { AttemptAnswer, AttemptQuestion } from "./worker-protocol.ts";

/** How far a batch is at its worker, and the hand that the supervisor has in it. */
export interface BatchSlot {
  readonly number: number;
  /** How many tasks were taken, as far as is known; exact when the worker is done with the batch, or dead. */
  readonly taken: number;
  readonly running: RunningTask | undefined;
  /** When the running task was started, in milliseconds since 1970. */
  readonly startedAt: number;
  readonly blamed: Blame;
  /** What the worker has left here of attempts that ended, and was not collected before. */
  collect?(): Uint8Array | undefined;
  /** The worker is to tell soon of what it leaves here. */
  hurry?(): void;
  /** Takes back what was not taken, and calls `revoked` of the batch soon. */
  revoke(batch: Batch): void;
  /** Asks the task at `index` to stop; if it was not taken, takes back it and all behind it. */
  stop(batch: Batch, index: number, reason: string): void;
}

/** Whoever hands batches out. */
export interface BatchOwner {
  /** The task that `batch` is running was asked to stop, and its grace is over. */
  giveUp(batch: Batch, index: number, how: string): void;
  /** Keeps a batch that no worker has from being handed out, and is done with it soon. @returns false: it cannot. */
  withdraw?(batch: Batch): boolean;
  /** The slot is free again. */
  released(batch: Batch): void;
}

/** A batch in flight, as the supervisor sees it: makes sure that each of its tasks is reported exactly once. */
export class Batch implements Run, Work {
  readonly number: number;
  readonly slot: BatchSlot;
  readonly tasks: readonly StoredTask[];
  worker: Worker | undefined;
  /** A task of it was given up, and may still have something to say. */
  isHaunted = false;
  readonly #observer: RunObserver;
  readonly #owner: BatchOwner;
  readonly #isReported: Uint8Array;
  #left: number;
  #isTakenBack = false;
  readonly #stops = new Map<number, { readonly at: EpochMs; readonly timer: Timer | undefined }>();

  constructor(number: number, slot: BatchSlot, tasks: readonly StoredTask[], observer: RunObserver, owner: BatchOwner) {
    this.number = number;
    this.slot = slot;
    this.tasks = tasks;
    this.#observer = observer;
    this.#owner = owner;
    this.#isReported = new Uint8Array(tasks.length);
    this.#left = tasks.length;
  }

  get isOver(): boolean {
    return this.#left === 0;
  }

  get isHeld(): boolean {
    return this.#isTakenBack;
  }

  /** The place of the task that is running, while its end is not known. */
  get running(): number | undefined {
    // The slot of a batch that is over may belong to another.
    const index = this.isOver ? undefined : this.slot.running?.index;
    return index !== undefined && this.#isOpen(index) ? index : undefined;
  }

  current(): { readonly id: TaskId; readonly startedAt: EpochMs } | undefined {
    const task = this.tasks[this.running ?? -1];
    return task && { id: task.id, startedAt: this.slot.startedAt };
  }

  workerName(): string | undefined {
    return this.worker?.name;
  }

  hurry(): void {
    if (this.isOver) return;
    this.slot.hurry?.();
    this.collect();
  }

  revoke(): void {
    // By then the slot may belong to another batch.
    if (this.isOver) return;
    this.#isTakenBack = true;
    if (this.worker !== undefined || this.#owner.withdraw?.(this) !== true) this.slot.revoke(this);
  }

  /** What was not among the first `taken` tasks will not be started. */
  revoked(taken: number): void {
    this.collect();
    this.#report((index) => (index >= taken ? { end: { type: "unstarted" } } : undefined));
  }

  stop(id: TaskId, reason: string, graceMs: number): void {
    this.collect();
    const index = this.tasks.findIndex((task) => task.id === id);
    if (!this.#isOpen(index)) return;
    if (this.worker === undefined) return this.revoke();
    const giveUp = (): void => {
      if (this.running === index) this.#owner.giveUp(this, index, `a task on it was stopped: ${reason}`);
    };
    const at = systemClock.now() + graceMs;
    const before = this.#stops.get(index);
    if (before !== undefined) {
      // It was told already: all that is left is to lose patience sooner.
      if (at >= before.at) return;
      before.timer?.cancel();
    }
    this.#stops.set(index, { at, timer: Number.isFinite(at) ? systemClock.wakeAt(at, giveUp) : undefined });
    // A task cannot be taken out of the middle: everything that was not started comes back with it.
    if (before === undefined) this.slot.stop(this, index, reason);
  }

  /** Passes on what the worker reports of attempts that ended: in this frame, or left in the slot. */
  collect(given?: Uint8Array): void {
    // When it is over, the slot may belong to another batch.
    const frame = given ?? (this.isOver ? undefined : this.slot.collect?.());
    if (frame === undefined || frame.byteLength === 0) return;
    // What attempts said was sent before their ends were left.
    if (given === undefined) this.worker?.drain?.();
    const workerId = this.worker?.name;
    const reports: AttemptReport[] = [];
    for (const { index, startedAt, durationMs, end } of readReports(frame)) {
      const report = { end, startedAt, durationMs, ...(workerId === undefined ? undefined : { workerId }) };
      if (this.#isOpen(index)) reports.push(this.#close(index, report));
    }
    if (reports.length > 0) this.#observer.ended(reports);
  }

  noted(note: AttemptNote): void {
    this.#observer.noted?.(note);
  }

  async answer(asked: AttemptQuestion): Promise<AttemptAnswer> {
    switch (asked.type) {
      case "keep":
        return { isKept: (await this.#observer.keep?.(asked.checkpoint)) ?? false };
      case "recall": {
        const value = await this.#observer.recall?.(asked.id, asked.key);
        return value === undefined ? {} : { value };
      }
      case "enqueue": {
        const taskId = await this.#observer.enqueue?.(asked.call);
        return taskId === undefined ? {} : { taskId };
      }
    }
  }

  /** Its worker never got it, or is done with it: what was not started comes back, and the slot is free. */
  done(): void {
    this.lose({ how: "it lost the outcome" }, false);
  }

  lose(death: Death, isGuilty: boolean): void {
    this.collect();
    if (!this.isOver) this.#explain(death, isGuilty);
    this.#owner.released(this);
    this.#observer.idle();
  }

  #explain(death: Death, isGuilty: boolean): void {
    const { taken } = this.slot;
    const { running } = this;
    this.#report((index) => {
      if (index >= taken) return { end: { type: "unstarted" } };
      const times = index === running ? this.#times() : undefined;
      if (this.#stops.has(index)) return { end: { type: "stopped" }, ...times };
      return { end: isGuilty && index === running ? (death.end ?? crash(death)) : interruption(death), ...times };
    });
  }

  #report(explain: (index: number) => Omit<AttemptReport, "id"> | undefined): void {
    const reports: AttemptReport[] = [];
    for (const index of this.tasks.keys()) {
      const report = this.#isOpen(index) ? explain(index) : undefined;
      if (report !== undefined) reports.push(this.#close(index, report));
    }
    if (reports.length > 0) this.#observer.ended(reports);
  }

  #isOpen(index: number): boolean {
    return this.#isReported[index] === 0;
  }

  #close(index: number, report: Omit<AttemptReport, "id">): AttemptReport {
    this.#isReported[index] = 1;
    this.#left -= 1;
    this.#stops.get(index)?.timer?.cancel();
    return { id: (this.tasks[index] as StoredTask).id, ...report };
  }

  #times(): Omit<AttemptReport, "id" | "end"> {
    const { startedAt } = this.slot;
    const durationMs = Math.max(systemClock.now() - startedAt, 0);
    return { startedAt, durationMs, ...(this.worker === undefined ? undefined : { workerId: this.worker.name }) };
  }
}

function crash({ how, cause }: Death): AttemptReport["end"] {
  const error = new WorkerCrashError(how, cause === undefined ? {} : { cause: fromTaskError(cause) });
  return { type: "fault", fault: { reason: "crash", isRetryable: true }, error: toTaskError(error) };
}

const interruption = ({ how }: Death): AttemptReport["end"] => ({
  type: "fault",
  fault: { reason: "interrupted", isRetryable: true },
  error: {
    name: "Interrupted",
    message: `The worker ended before it had told how this task went: ${how}`,
    code: "INTERRUPTED",
  },
});
