import { ClosedError, UnknownTaskError, WorkerCrashError } from "../base/errors.ts";
import { toTaskError } from "../task/task-error.ts";
import type { Payload, StoredTask, TaskId } from "../task/task.ts";
import type { CustomExecutor } from "./custom.ts";
import type { AttemptReport, Catalogue, Executor, Run, RunObserver } from "./executor.ts";
import { checkedCall, checkedCheckpoint, checkedKey, checkedNote, checkedReport } from "./reported.ts";

type End = AttemptReport["end"];

/** Keeps the promises of the contract where an executor that was written elsewhere does not. */
export class Guarded implements Executor {
  readonly slots: number;
  readonly #inner: CustomExecutor;
  readonly #maxResultBytes: number;
  readonly #log: (thrown: unknown) => void;
  #closing: Promise<void> | undefined;
  #onClose = (): void => {};

  /** @param log told of what it throws where nobody can be told. */
  constructor(inner: CustomExecutor, maxResultBytes: number, log: (thrown: unknown) => void) {
    this.#inner = inner;
    this.#maxResultBytes = maxResultBytes;
    this.#log = log;
    this.slots = inner.slots;
  }

  async start(): Promise<Catalogue> {
    if (this.#closing !== undefined) throw new ClosedError("The executor");
    const closed = new Promise<never>((_, reject) => (this.#onClose = () => reject(new ClosedError("The executor"))));
    const start = async (): Promise<unknown> => this.#inner.start();
    await Promise.race([closed, start()]);
    return [];
  }

  run(batch: readonly StoredTask[], observer: RunObserver): Run {
    const left = new Set(batch.map(({ id }) => id));
    let isOver = false;
    // Nothing is told before this has returned; what is told meanwhile keeps its order.
    let early: (() => void)[] | undefined = [];
    queueMicrotask(() => {
      for (const tell of early ?? []) tell();
      early = undefined;
    });
    const soon = (tell: () => void): void => {
      if (early === undefined) this.#tried(tell);
      else early.push(() => this.#tried(tell));
    };
    const ended = (reports: readonly AttemptReport[]): void => {
      const news: AttemptReport[] = [];
      for (const report of reports) {
        const id = this.#tried(() => report.id);
        if (id !== undefined && left.delete(id)) news.push(this.#checked(id, report));
      }
      if (news.length > 0) observer.ended(news);
    };
    const idle = (why = forgotten): void => {
      if (isOver) return;
      isOver = true;
      if (left.size > 0) observer.ended(Array.from(left, (id) => ({ id, end: why })));
      left.clear();
      observer.idle();
    };
    try {
      const run = this.#inner.run(batch, {
        ended: (reports) => soon(() => ended(reports)),
        idle: () => soon(idle),
        noted: (note) => soon(() => left.has(note.id) && observer.noted?.(checkedNote(note))),
        recall: async (id, key) => observer.recall?.(...checkedKey(id, key)),
        keep: async (checkpoint) => (await observer.keep?.(checkedCheckpoint(checkpoint))) ?? false,
        enqueue: async (call) => observer.enqueue?.(checkedCall(call)),
      });
      return this.#guardedRun(run);
    } catch (thrown) {
      const error = toTaskError(thrown);
      soon(() => idle({ type: "fault", fault: { reason: "error", isRetryable: true }, error }));
      return { current: () => undefined, revoke() {}, stop() {} };
    }
  }

  async validate(name: string): Promise<Payload[]> {
    throw new UnknownTaskError(name, undefined);
  }

  close(): Promise<void> {
    this.#onClose();
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    try {
      await this.#inner.close();
    } catch (thrown) {
      this.#log(thrown);
    }
  }

  /** A report that nobody could read is a fault of its task, and of no other. */
  #checked(id: TaskId, report: AttemptReport): AttemptReport {
    try {
      return { id, ...checkedReport(report, this.#maxResultBytes) };
    } catch (thrown) {
      return { id, end: crash(`the executor reported nonsense: ${toTaskError(thrown).message}`) };
    }
  }

  #guardedRun(run: Run): Run {
    if (run instanceof Promise) run.catch(this.#log);
    const missing = (["current", "revoke", "stop"] as const).find((method) => typeof run?.[method] !== "function");
    if (missing !== undefined) throw new TypeError(`run() gave no object with a method ${missing}().`);
    return {
      current: () =>
        this.#tried(() => {
          const { id, startedAt } = run.current() ?? {};
          return typeof id === "string" && Number.isFinite(startedAt)
            ? { id, startedAt: Number(startedAt) }
            : undefined;
        }),
      workerName: () => {
        const name: unknown = this.#tried(() => run.workerName?.());
        return typeof name === "string" ? name : undefined;
      },
      hurry: () => this.#tried(() => run.hurry?.()),
      revoke: () => this.#tried(() => run.revoke()),
      stop: (id, reason, graceMs) => this.#tried(() => run.stop(id, reason, graceMs)),
    };
  }

  #tried<T>(call: () => T): T | undefined {
    try {
      const given = call();
      if (given instanceof Promise) given.catch(this.#log);
      return given;
    } catch (thrown) {
      this.#log(thrown);
      return undefined;
    }
  }
}

const crash = (how: string): End => ({
  type: "fault",
  fault: { reason: "crash", isRetryable: true },
  error: toTaskError(new WorkerCrashError(how)),
});

// Nobody knows whose doing that is. As a crash, it ends after the third time.
const forgotten = crash("the executor did not tell how it went");
