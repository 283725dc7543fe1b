import { systemClock, type EpochMs, type Timer } from "../base/clock.ts";
import { WorkerCrashError } from "../base/errors.ts";
import { fromTaskError, toTaskError } from "../task/task-error.ts";
import type { StoredTask, TaskError, TaskId } from "../task/task.ts";
import type { AttemptReport, Run, RunObserver } from "./executor.ts";
import { readReports } from "./frames.ts";
import type { Slot } from "./slots.ts";
import type { Thread } from "./thread.ts";

/** How a worker ended. */
export interface Death {
  readonly how: string;
  readonly cause?: TaskError;
}

/** A batch in flight, as the supervisor sees it: makes sure that each of its tasks is reported exactly once. */
export class Batch implements Run {
  readonly number: number;
  readonly slot: Slot;
  /** The thread that has it; none while it waits for one. */
  thread: Thread | undefined;
  readonly #tasks: readonly StoredTask[];
  readonly #observer: RunObserver;
  readonly #release: () => void;
  readonly #isReported: Uint8Array;
  #left: number;
  readonly #stops = new Map<number, { readonly at: EpochMs; readonly timer: Timer | undefined }>();

  /** @param release called when the slot is free again. */
  constructor(number: number, slot: Slot, tasks: readonly StoredTask[], observer: RunObserver, release: () => void) {
    this.number = number;
    this.slot = slot;
    this.#tasks = tasks;
    this.#observer = observer;
    this.#release = release;
    this.#isReported = new Uint8Array(tasks.length);
    this.#left = tasks.length;
    slot.clear();
  }

  /** Every task of it was reported. */
  get isOver(): boolean {
    return this.#left === 0;
  }

  /** The place of the task that is running, while its end is not known. */
  get running(): number | undefined {
    const index = this.slot.running?.index;
    return index !== undefined && this.#isOpen(index) ? index : undefined;
  }

  current(): { readonly id: TaskId; readonly startedAt: EpochMs } | undefined {
    const task = this.#tasks[this.running ?? -1];
    return task && { id: task.id, startedAt: this.slot.startedAt };
  }

  revoke(): void {
    // By then the slot may belong to another batch.
    if (this.#left === 0) return;
    const taken = this.slot.revoke();
    queueMicrotask(() => this.#report((index) => (index >= taken ? { end: { type: "unstarted" } } : undefined)));
  }

  stop(id: TaskId, reason: string, graceMs: number): void {
    const index = this.#tasks.findIndex((task) => task.id === id);
    if (!this.#isOpen(index)) return;
    // A task cannot be taken out of the middle: everything that was not started comes back with it.
    if (index >= this.slot.taken && index >= this.slot.revoke()) return this.revoke();
    const end = (): void => {
      if (this.running === index) this.thread?.end(`a task on it was stopped: ${reason}`);
    };
    const at = systemClock.now() + graceMs;
    const before = this.#stops.get(index);
    if (before !== undefined) {
      // It was told already: all that is left is to lose patience sooner.
      if (at >= before.at) return;
      before.timer?.cancel();
    }
    this.#stops.set(index, { at, timer: Number.isFinite(at) ? systemClock.wakeAt(at, end) : undefined });
    if (before !== undefined) return;
    // The message before the flag: who sees the flag finds the reason.
    this.thread?.tell({ type: "stop", batch: this.number, index, reason });
    this.slot.askStop(index);
  }

  /** Passes on what the worker reports of attempts that ended. */
  read(frame: Uint8Array): void {
    const workerId = this.thread?.name;
    const reports: AttemptReport[] = [];
    for (const { index, startedAt, durationMs, end } of readReports(frame)) {
      const report = { end, startedAt, durationMs, ...(workerId === undefined ? undefined : { workerId }) };
      if (this.#isOpen(index)) reports.push(this.#close(index, report));
    }
    if (reports.length > 0) this.#observer.ended(reports);
  }

  /** The worker is done with it, or never got it: what was not started comes back, and the slot is free. */
  finish(): void {
    this.lose({ how: "it lost the outcome" }, false);
  }

  /**
   * The worker is dead: the end of the batch.
   *
   * @param isGuilty the running task has done it.
   */
  lose(death: Death, isGuilty: boolean): void {
    const taken = this.slot.revoke();
    const running = this.running;
    this.#report((index) => {
      if (index >= taken) return { end: { type: "unstarted" } };
      const times = index === running ? this.#times() : undefined;
      if (this.#stops.has(index)) return { end: { type: "stopped" }, ...times };
      return { end: isGuilty && index === running ? crash(death) : interruption(death), ...times };
    });
    this.#release();
    this.#observer.idle();
  }

  #report(explain: (index: number) => Omit<AttemptReport, "id"> | undefined): void {
    const reports: AttemptReport[] = [];
    for (const index of this.#tasks.keys()) {
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
    return { id: (this.#tasks[index] as StoredTask).id, ...report };
  }

  #times(): Omit<AttemptReport, "id" | "end"> {
    const { startedAt } = this.slot;
    const durationMs = Math.max(systemClock.now() - startedAt, 0);
    return { startedAt, durationMs, ...(this.thread === undefined ? undefined : { workerId: this.thread.name }) };
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
