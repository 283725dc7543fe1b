import type { Clock, EpochMs, Timer } from "../../src/base/clock.ts";
import type { AttemptReport, Catalogue, Executor, Run, RunObserver } from "../../src/executor/executor.ts";
import type { AttemptFault } from "../../src/task/retry.ts";
import type { Payload, StoredTask, TaskId } from "../../src/task/task.ts";

/** What a handler does, and when. A handler that is asked to stop goes on to its end unless `onStop` says otherwise. */
export interface Behaviour {
  /** Until it ends by itself. `Infinity`: never. */
  readonly durationMs: number;
  readonly end?: "value" | "error" | "crash" | Partial<AttemptFault>;
  /** How it takes being asked to stop: ends at once as stopped, gives its value at once, or throws at once. */
  readonly onStop?: "obey" | "value" | "error";
}

export interface Start {
  readonly id: TaskId;
  readonly attempt: number;
  readonly at: EpochMs;
  readonly worker: number;
}

/** How many batches one worker has: the one it runs, and the one that is next. */
const batchesPerWorker = 2;
/** Ends that are reported one by one; shorter tasks are reported with those that follow. */
const reportedAloneFromMs = 1;

/** Workers that run on a virtual clock: every handler does what `behave` says of its task. */
export class SimulatedExecutor implements Executor {
  readonly slots: number;
  /** Every start of a handler, in order. */
  readonly starts: Start[] = [];
  /** Every batch that was handed over, in order. */
  readonly batches: TaskId[][] = [];
  /** Who is told of each task that was handed over, the latest time. */
  readonly observers = new Map<TaskId, RunObserver>();
  /** How many batches were taken back. */
  revocations = 0;
  /** What must never happen, and did. */
  readonly violations: string[] = [];
  /** Called before a batch is taken; what it throws, `run` throws. */
  beforeRun: (() => void) | undefined;
  readonly clock: Clock;
  behave: (task: StoredTask) => Behaviour;
  readonly running = new Map<TaskId, number>();
  readonly #workers: Worker[];
  #isClosed = false;

  constructor(clock: Clock, threads: number, behave: (task: StoredTask) => Behaviour) {
    this.clock = clock;
    this.behave = behave;
    this.slots = threads * batchesPerWorker;
    this.#workers = Array.from({ length: threads }, (_, number) => new Worker(this, number));
  }

  async start(): Promise<Catalogue> {
    return [];
  }

  run(tasks: readonly StoredTask[], observer: RunObserver): Run {
    this.beforeRun?.();
    if (this.#isClosed) throw new Error("The executor is closed.");
    const free = this.#workers.filter(({ line }) => line.length < batchesPerWorker);
    const worker = free.toSorted((one, other) => one.load - other.load)[0];
    if (worker === undefined) throw new RangeError("All slots are taken.");
    this.batches.push(tasks.map(({ id }) => id));
    for (const { id } of tasks) this.observers.set(id, observer);
    const batch = new SimulatedBatch(worker, tasks, observer);
    worker.line.push(batch);
    queueMicrotask(() => worker.goOn());
    return batch;
  }

  async validate(_name: string, args: readonly Payload[]): Promise<Payload[]> {
    return [...args];
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const worker of this.#workers) worker.end("interrupted");
  }
}

class Worker {
  readonly executor: SimulatedExecutor;
  readonly number: number;
  /** The batch it runs, and the one that waits. */
  line: SimulatedBatch[] = [];

  constructor(executor: SimulatedExecutor, number: number) {
    this.executor = executor;
    this.number = number;
  }

  /** One that was taken back holds its worker: nothing is to wait behind it if another worker has room. */
  get load(): number {
    return this.line.reduce((sum, { isRevoked }) => sum + (isRevoked ? batchesPerWorker : 1), 0);
  }

  goOn(): void {
    const batch = this.line[0];
    if (batch === undefined || batch.isRunning) return;
    if (batch.begin()) return;
    this.line.shift();
    batch.finish();
    this.goOn();
  }

  /** Ends the worker under whatever it runs; another one takes its place. */
  end(why: "crash" | "interrupted" | "stopped"): void {
    const [first, ...others] = this.line;
    this.line = [];
    first?.lose(why);
    for (const batch of others) batch.lose("interrupted");
  }
}

class SimulatedBatch implements Run {
  readonly #worker: Worker;
  readonly #tasks: readonly StoredTask[];
  readonly #observer: RunObserver;
  readonly #reported = new Set<TaskId>();
  #unsent: AttemptReport[] = [];
  #taken = 0;
  #isRevoked = false;
  #current: { task: StoredTask; startedAt: EpochMs; behaviour: Behaviour; timer: Timer | undefined } | undefined;
  #grace: Timer | undefined;

  constructor(worker: Worker, tasks: readonly StoredTask[], observer: RunObserver) {
    this.#worker = worker;
    this.#tasks = tasks;
    this.#observer = observer;
  }

  get isRevoked(): boolean {
    return this.#isRevoked;
  }

  get isRunning(): boolean {
    return this.#current !== undefined;
  }

  get #clock(): Clock {
    return this.#worker.executor.clock;
  }

  /** Starts the next handler; `false` when there is none left. */
  begin(): boolean {
    const task = this.#isRevoked ? undefined : this.#tasks[this.#taken];
    if (task === undefined) return false;
    this.#taken++;
    const { executor, number } = this.#worker;
    const startedAt = this.#clock.now();
    if (executor.running.has(task.id)) executor.violations.push(`${task.id} runs twice at a time`);
    executor.running.set(task.id, task.life.attempt);
    executor.starts.push({ id: task.id, attempt: task.life.attempt, at: startedAt, worker: number });
    const behaviour = executor.behave(task);
    const timer = Number.isFinite(behaviour.durationMs)
      ? this.#clock.wakeAt(startedAt + behaviour.durationMs, () => this.#end(behaviour.end ?? "value"))
      : undefined;
    if (behaviour.durationMs >= reportedAloneFromMs) this.#send();
    this.#current = { task, startedAt, behaviour, timer };
    return true;
  }

  finish(): void {
    this.#send();
    this.#observer.idle();
  }

  /** The worker is gone. */
  lose(why: "crash" | "interrupted" | "stopped"): void {
    if (this.#current !== undefined) {
      const error = { name: "WorkerCrashError", message: why };
      this.#close(
        why === "stopped" ? { type: "stopped" } : { type: "fault", fault: { reason: why, isRetryable: true }, error },
      );
    }
    this.#isRevoked = true;
    for (const { id } of this.#tasks.slice(this.#taken)) this.#report({ id, end: { type: "unstarted" } });
    this.finish();
  }

  current(): { readonly id: TaskId; readonly startedAt: EpochMs } | undefined {
    return this.#current && { id: this.#current.task.id, startedAt: this.#current.startedAt };
  }

  workerName(): string {
    return `worker-${this.#worker.number}`;
  }

  revoke(): void {
    this.#worker.executor.revocations++;
    this.#isRevoked = true;
    const left = this.#tasks.slice(this.#taken);
    queueMicrotask(() => {
      for (const { id } of left) this.#report({ id, end: { type: "unstarted" } });
      this.#send();
    });
  }

  stop(id: TaskId, _reason: string, graceMs: number): void {
    if (this.#reported.has(id)) return;
    if (this.#current?.task.id !== id) return this.revoke();
    switch (this.#current.behaviour.onStop) {
      case "obey":
        return this.#end("stopped");
      case "value":
        return this.#end("value");
      case "error":
        return this.#end("error");
      case undefined: {
        if (this.#grace !== undefined || !Number.isFinite(graceMs)) return;
        this.#grace = this.#clock.wakeAt(this.#clock.now() + graceMs, () => {
          if (this.#current?.task.id === id) this.#worker.end("stopped");
        });
      }
    }
  }

  #end(end: "stopped" | NonNullable<Behaviour["end"]>): void {
    if (this.#current === undefined) return;
    if (end === "crash") return this.#worker.end("crash");
    if (end === "stopped") this.#close({ type: "stopped" });
    else if (end === "value") this.#close({ type: "value", result: this.#current.task.args });
    else {
      const fault = { reason: "error", isRetryable: true, ...(end === "error" ? {} : end) } as const;
      this.#close({ type: "fault", fault, error: { name: "Error", message: "thrown by the handler" } });
    }
    this.#worker.goOn();
  }

  #close(end: AttemptReport["end"]): void {
    if (this.#current === undefined) return;
    const { task, startedAt, timer } = this.#current;
    timer?.cancel();
    this.#grace?.cancel();
    this.#grace = undefined;
    this.#current = undefined;
    this.#worker.executor.running.delete(task.id);
    const durationMs = this.#clock.now() - startedAt;
    this.#report({ id: task.id, end, startedAt, durationMs, workerId: `worker-${this.#worker.number}` });
    if (durationMs >= reportedAloneFromMs) this.#send();
  }

  #report(report: AttemptReport): void {
    if (this.#reported.has(report.id)) return;
    this.#reported.add(report.id);
    this.#unsent.push(report);
  }

  #send(): void {
    const reports = this.#unsent;
    this.#unsent = [];
    if (reports.length > 0) this.#observer.ended(reports);
  }
}
