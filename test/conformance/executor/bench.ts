import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, vi } from "vitest";
import type { AttemptNote, AttemptReport, Catalogue, Executor, Run } from "../../../src/executor/executor.ts";
import { decode, encode } from "../../../src/task/codec.ts";
import { newLife, type StoredTask, type TaskError, type TaskRequest } from "../../../src/task/task.ts";
import { aRequest } from "../../support/tasks.ts";

export interface ExecutorOptions {
  /** File URLs. */
  readonly modules: readonly string[];
  readonly maxResultBytes: number;
  readonly graceMs?: number;
  readonly log: (message: string, error: TaskError, fields: { readonly taskId?: string }) => void;
}

/** What kind of executor is tested; what it cannot do is not asked of it. */
export interface ExecutorTraits {
  /** A handler that ends or blocks its worker harms nothing but what runs on that worker. */
  readonly isolates: boolean;
  /** How many of the slots run at the same time; in the others batches wait at their worker for its next free moment. */
  readonly atOnce: (slots: number) => number;
  /** Batches whose handlers wait share a worker, and its death. */
  readonly sharesWorkers: boolean;
}

export type CreateExecutor = (options: ExecutorOptions) => Executor;

/** A task to run: the name of a handler and its arguments. */
export type Call = readonly [name: string, ...args: unknown[]];

export interface Logged {
  readonly message: string;
  readonly error: TaskError;
  readonly taskId?: string;
}

const limits = { maxBytes: 64 * 2 ** 20 };

export const fixture = (name: string): string => new URL(`../../fixtures/executor/${name}`, import.meta.url).href;

/** A call as a stored task. Its id is the name of the handler, and a number. */
let made = 0;
export function aCall([name, ...args]: Call, request: Partial<TaskRequest> = {}): StoredTask {
  const whole = aRequest({ name, ...request });
  return {
    id: `${name}-${(made += 1)}`,
    request: whole,
    life: { ...newLife(whole), attempt: 1 },
    args: encode(args, "args", limits),
  };
}

/** The value that the handler returned. */
export const valueOf = (report: AttemptReport | undefined): unknown =>
  report?.end.type === "value" ? decode(report.end.result) : expect.fail(`no value but ${JSON.stringify(report)}`);

/** The fault and the error of an attempt. */
export const faultOf = (report: AttemptReport | undefined): Extract<AttemptReport["end"], { type: "fault" }> =>
  report?.end.type === "fault" ? report.end : expect.fail(`no fault but ${JSON.stringify(report)}`);

/** How attempts ended: `value`, `stopped`, `unstarted`, or the reason of the fault. */
export const endsOf = (reports: readonly (AttemptReport | undefined)[]): (string | undefined)[] =>
  reports.map((report) => (report?.end.type === "fault" ? report.end.fault.reason : report?.end.type));

/** Resolves when `check` holds. */
export const eventually = (check: () => boolean): Promise<void> =>
  vi.waitFor(() => void (check() || expect.fail("did not come true")), { timeout: 30_000, interval: 1 });

/** A batch in flight. */
export class Flight {
  readonly run: Run;
  readonly tasks: readonly StoredTask[];
  /** As they came; every task has one, or none yet. */
  readonly reports = new Map<string, AttemptReport>();
  /** What attempts said, as it came, with those whose report had come. */
  readonly notes: (AttemptNote & { readonly isLate: boolean })[] = [];
  /** Stored checkpoints: `id key` → value. */
  readonly checkpoints = new Map<string, Uint8Array>();
  /** Whether attempts may store them. */
  isKeeping = true;
  /** All reports, in the order of the tasks, when the slot is free again. */
  readonly landed: Promise<AttemptReport[]>;
  isIdle = false;

  constructor(executor: Executor, tasks: readonly StoredTask[]) {
    this.tasks = tasks;
    let land = (): void => {};
    let crash = (_error: unknown): void => {};
    const idle = new Promise<void>((resolve, reject) => ([land, crash] = [resolve, reject]));
    this.landed = idle.then(() => tasks.map(({ id }) => this.reports.get(id) as AttemptReport));
    this.run = executor.run(tasks, {
      ended: (reports) => {
        for (const report of reports) {
          if (this.isIdle) crash(new Error(`${report.id} was reported after the end`));
          if (this.reports.has(report.id)) crash(new Error(`${report.id} was reported twice`));
          if (!tasks.some(({ id }) => id === report.id)) crash(new Error(`${report.id} is none of the batch`));
          this.reports.set(report.id, report);
        }
      },
      idle: () => {
        if (this.isIdle) crash(new Error("idle was called twice"));
        this.isIdle = true;
        if (this.reports.size < tasks.length) crash(new Error("idle was called before the last report"));
        land();
      },
      noted: (note) => this.notes.push({ ...note, isLate: this.reports.has(note.id) }),
      recall: async (id, key) => this.checkpoints.get(`${id} ${key}`),
      keep: async ({ id, key, value }) => {
        if (this.isKeeping) this.checkpoints.set(`${id} ${key}`, value);
        return this.isKeeping;
      },
    });
  }

  id(index: number): string {
    return this.tasks[index]?.id ?? expect.fail(`no task ${index}`);
  }

  /** Waits until the task is running. */
  reaches(index: number): Promise<void> {
    return eventually(() => this.run.current()?.id === this.id(index));
  }
}

/** An executor under test. */
export class Bench {
  readonly traits: ExecutorTraits;
  readonly logged: Logged[] = [];
  catalogue: Catalogue = [];
  readonly #create: CreateExecutor;
  readonly #extra: Executor[] = [];
  #executor: Executor | undefined;
  #folder: string | undefined;
  #files = 0;

  constructor(create: CreateExecutor, traits: ExecutorTraits) {
    this.#create = create;
    this.traits = traits;
  }

  get executor(): Executor {
    return this.#executor ?? expect.fail("the executor was not started");
  }

  /** How many batches run at the same time. */
  get atOnce(): number {
    return this.traits.atOnce(this.executor.slots);
  }

  /** Starts the executor that the tests of a suite share: what harm one does to it must not reach the next. */
  async start(): Promise<void> {
    this.#folder = mkdtempSync(join(tmpdir(), "executor-"));
    this.#executor = this.create();
    this.catalogue = await this.#executor.start();
  }

  /** An executor of one test's own. */
  create(options: Partial<ExecutorOptions> = {}): Executor {
    const executor = this.#create({
      modules: [fixture("handlers.mjs"), fixture("schemas.mjs")],
      maxResultBytes: 100_000,
      log: (message, error, { taskId }) =>
        this.logged.push({ message, error, ...(taskId === undefined ? {} : { taskId }) }),
      ...options,
    });
    this.#extra.push(executor);
    return executor;
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#extra.map((executor) => executor.close()));
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }

  fly(calls: readonly Call[], executor = this.executor): Flight {
    return new Flight(
      executor,
      calls.map((call) => aCall(call)),
    );
  }

  /** Runs a batch to its end. */
  async run(...calls: readonly Call[]): Promise<AttemptReport[]> {
    return this.fly(calls).landed;
  }

  /** A path where no file is yet. */
  path(): string {
    return join(this.#folder ?? expect.fail("not started"), `file-${(this.#files += 1)}`);
  }

  write(text: string, suffix: string): string {
    const path = `${this.path()}${suffix}`;
    writeFileSync(path, text);
    return path;
  }
}
