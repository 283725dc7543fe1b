import { systemClock } from "../../src/base/clock.ts";
import { ClosedError, InvalidInputError, UnknownTaskError } from "../../src/base/errors.ts";
import { Attempt } from "../../src/executor/attempt.ts";
import type { AttemptReport, Catalogue, Executor, Run, RunObserver } from "../../src/executor/executor.ts";
import { packHeaders, unpackHeaders, type AttemptEnd, type TaskHeader } from "../../src/executor/frames.ts";
import { checkInput } from "../../src/executor/input.ts";
import { loadError, loadTasks, type TaskTable } from "../../src/executor/loader.ts";
import { joinPayloads, splitPayloads } from "../../src/task/codec.ts";
import { fromTaskError } from "../../src/task/task-error.ts";
import type { Payload, StoredTask, TaskId } from "../../src/task/task.ts";
import type { ExecutorOptions } from "../conformance/executor/bench.ts";

/** The least that is an executor: handlers run where it is called, with nothing between them and their neighbours. */
export class InlineExecutor implements Executor {
  readonly slots = 4;
  readonly #options: ExecutorOptions;
  readonly #runs = new Set<InlineRun>();
  #tasks: TaskTable | undefined;
  #isClosed = false;
  #onLastIdle = (): void => {};

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  async start(): Promise<Catalogue> {
    const loaded = this.#isClosed ? undefined : await loadTasks(this.#options.modules, () => {});
    // It may have been closed in the meantime.
    if (loaded === undefined || this.#isClosed) throw new ClosedError("The executor");
    if ("problem" in loaded) throw loadError(loaded.problem);
    this.#tasks = loaded.tasks;
    return loaded.catalogue;
  }

  run(batch: readonly StoredTask[], observer: RunObserver): Run {
    const run = new InlineRun(batch, this.#open(), this.#options.maxResultBytes, {
      ended: (reports) => observer.ended(reports),
      idle: () => {
        this.#runs.delete(run);
        observer.idle();
        if (this.#runs.size === 0) this.#onLastIdle();
      },
    });
    this.#runs.add(run);
    return run;
  }

  async validate(name: string, args: readonly Payload[]): Promise<Payload[]> {
    const task = this.#open().get(name);
    if (task === undefined) throw new UnknownTaskError(name, undefined);
    const verdict = await checkInput(task, joinPayloads(args), this.#options.maxResultBytes);
    if (verdict.type === "refused") throw new InvalidInputError(name, verdict.issues);
    if (verdict.type === "error") throw fromTaskError(verdict.error);
    return splitPayloads(verdict.args);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#tasks = undefined;
    for (const run of this.#runs) run.revoke();
    if (this.#runs.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onLastIdle = resolve;
        setTimeout(resolve, this.#options.graceMs ?? 0);
      });
    }
    for (const run of this.#runs) run.interrupt();
  }

  #open(): TaskTable {
    if (this.#tasks === undefined) throw new ClosedError("The executor");
    return this.#tasks;
  }
}

type End = AttemptReport["end"];

const unstarted: End = { type: "unstarted" };
const interrupted: End = {
  type: "fault",
  fault: { reason: "interrupted", isRetryable: true },
  error: { name: "Interrupted", message: "The executor was closed." },
};

class InlineRun implements Run {
  readonly #left: (readonly [TaskHeader, Payload])[];
  readonly #tasks: TaskTable;
  readonly #maxResultBytes: number;
  readonly #observer: RunObserver;
  #current: { readonly id: TaskId; readonly startedAt: number; readonly attempt: Attempt } | undefined;
  #isOver = false;

  constructor(batch: readonly StoredTask[], tasks: TaskTable, maxResultBytes: number, observer: RunObserver) {
    // Headers of its own, which handlers cannot change.
    this.#left = unpackHeaders(packHeaders(batch)).map((header, index) => [header, (batch[index] as StoredTask).args]);
    this.#tasks = tasks;
    this.#maxResultBytes = maxResultBytes;
    this.#observer = observer;
    setImmediate(() => void this.#work());
  }

  current(): { readonly id: TaskId; readonly startedAt: number } | undefined {
    return this.#isOver ? undefined : this.#current;
  }

  revoke(): void {
    const taken = this.#left.splice(0);
    queueMicrotask(() => this.#report(taken.map(([{ id }]) => ({ id, end: unstarted }))));
  }

  stop(id: TaskId, reason: string, graceMs: number): void {
    const running = this.#current;
    if (running?.id !== id) {
      if (this.#left.some(([header]) => header.id === id)) this.revoke();
      return;
    }
    running.attempt.stop(reason);
    // What runs here cannot be ended, only given up.
    if (Number.isFinite(graceMs)) systemClock.wakeAt(systemClock.now() + graceMs, () => running.attempt.abandon());
  }

  /** Reports what runs as interrupted, and hears of it no more. */
  interrupt(): void {
    if (this.#current !== undefined) this.#report([{ ...this.#timesOf(this.#current), end: interrupted }]);
    this.#isOver = true;
    this.#observer.idle();
  }

  async #work(): Promise<void> {
    for (let next = this.#left.shift(); next !== undefined && !this.#isOver; next = this.#left.shift()) {
      const [header, args] = next;
      const { id } = header;
      const startedAt = Date.now();
      const host = { maxResultBytes: this.#maxResultBytes, poll() {} };
      const attempt = new Attempt(header, this.#tasks.get(header.request.name), startedAt, host);
      this.#current = { id, startedAt, attempt };
      const before = performance.now();
      const end = copied(await attempt.run(args));
      const durationMs = performance.now() - before;
      if (this.#isOver) return;
      this.#current = undefined;
      this.#report([{ id, end, startedAt, durationMs, workerId: "inline-1" }]);
    }
    if (this.#isOver) return;
    this.#isOver = true;
    this.#observer.idle();
  }

  #timesOf({ id, startedAt }: { readonly id: TaskId; readonly startedAt: number }): Omit<AttemptReport, "end"> {
    return { id, startedAt, durationMs: Date.now() - startedAt, workerId: "inline-1" };
  }

  #report(reports: readonly AttemptReport[]): void {
    if (reports.length > 0 && !this.#isOver) this.#observer.ended(reports);
  }
}

/** An attempt gives its result in memory that the next one uses again. */
const copied = (end: AttemptEnd): AttemptEnd =>
  end.type === "value" ? { type: "value", result: new Uint8Array(end.result) } : end;
