import { setImmediate } from "node:timers";
import { splitPayloads } from "../task/codec.ts";
import { toTaskError } from "../task/task-error.ts";
import { layersInUse } from "../task/middleware.ts";
import { definedResources } from "../task/resources.ts";
import { handlerKey, type Payload, type TaskError } from "../task/task.ts";
import { currentAttempt } from "./attempt-context.ts";
import { ActiveBatch } from "./active-batch.ts";
import { Attempt } from "./attempt.ts";
import { unpackHeaders, type AttemptEnd, type TaskHeader } from "./frames.ts";
import { Desk } from "./desk.ts";
import { Equipment } from "./equipment.ts";
import type { Outbox } from "./outbox.ts";
import { checkInput } from "./input.ts";
import { loadError, loadTasks, type Loaded, type TaskTable } from "./loader.ts";
import type { Slot } from "./slots.ts";
import type {
  BatchMessage,
  FromWorker,
  ToWorker,
  ValidateAnswer,
  ValidateMessage,
  WorkerSettings,
} from "./worker-protocol.ts";

/** What the kinds of workers do in different ways. */
export interface RunnerHost {
  /** Batches wait for each other, even while a handler waits. */
  readonly isSequential?: boolean;
  tell(message: FromWorker, transfer?: ArrayBuffer[]): void;
  slot(number: number): Slot;
  /** Without it, whatever ends is told. */
  outbox?(number: number): Outbox;
  /** Receives what was sent by now, without waiting for the event loop. */
  receiveNow(): void;
}

// As they are now: handlers may replace them.
const exit = process.exit.bind(process);
const { now: wallClock } = Date;
const stopwatch = performance.now.bind(performance);

// Outcomes that are to be told may wait this long for the tasks behind them.
const longestUnflushedMs = 1;

/** Runs batches, in a worker of whatever kind. A worker has one; it answers for every error that nobody catches. */
export class Runner {
  readonly host: RunnerHost;
  readonly maxResultBytes: number;
  readonly maxLogBytes: number | undefined;
  readonly desk: Desk;
  readonly #modules: readonly string[];
  #loading: Promise<Loaded> | undefined;
  #prepared: Prepared | undefined;
  /** What the first task waits for. */
  #preparing: Promise<Prepared> | undefined;
  #last = Promise.resolve();
  /** Batches in flight by number. One runs only while the handlers of the others wait. */
  readonly #active = new Map<number, ActiveBatch>();
  /** Something was thrown that no attempt will answer for by itself: what the worker holds may be half done. */
  #isRetiring = false;
  // Handlers by name whose last promise was settled as soon as the event loop's turn was over: waiting for those is
  // short, and worth no message.
  readonly #quick = new Set<string>();
  #turn = 0;
  #isTurnAwaited = false;

  constructor({ modules, maxResultBytes, maxLogBytes }: WorkerSettings, host: RunnerHost) {
    this.host = host;
    this.maxResultBytes = maxResultBytes;
    this.maxLogBytes = maxLogBytes;
    this.desk = new Desk((message) => host.tell(message));
    this.#modules = modules;
    const blame = (thrown: unknown): void => this.#blame(thrown);
    process.on("uncaughtException", blame);
    process.on("unhandledRejection", blame);
    process.on("exit", () => this.#exit());
  }

  receive(message: ToWorker): void {
    switch (message.type) {
      case "load":
        return void this.#load();
      case "batch":
        return this.#take(message);
      case "validate": {
        const { work } = message;
        return void this.validate(message).then((answer) => this.host.tell({ type: "done", work, answer }));
      }
      case "answer":
        return this.desk.receive(message);
      case "tearDown":
        return void this.#tearDown();
      case "stop":
        return this.#running(message)?.stop(message.reason);
      case "abandon":
        return this.#running(message)?.abandon();
      case "settings":
      case "revoke":
    }
  }

  async validate({ name, args }: ValidateMessage): Promise<ValidateAnswer> {
    const result = await this.#load();
    if ("problem" in result) return { type: "error", error: toTaskError(loadError(result.problem)) };
    const task = result.tasks.get(name);
    return task === undefined ? { type: "unknown" } : checkInput(task, args, this.maxResultBytes);
  }

  /**
   * Runs the tasks of a batch one after the other, until none is left or the rest is revoked. What becomes of them is
   * told at the end, and, unless it lies where the supervisor can see it and is in no hurry, before a task that may take long.
   */
  async runBatch(message: BatchMessage): Promise<void> {
    const batch = new ActiveBatch(message, this);
    const headers = unpackHeaders(message.headers);
    const payloads = splitPayloads(message.args);
    this.#active.set(message.batch, batch);
    if (this.#isRetiring) batch.slot.revoke();
    let now = batch.flushedAt;
    for (;;) {
      // Only one task waits for what all need: another could not be taken back when that one blocks the worker.
      if (this.#prepared === undefined && this.#preparing !== undefined) await this.#preparing;
      const index = batch.slot.take(headers.length);
      if (index === -1) break;
      if (now - batch.flushedAt > longestUnflushedMs) batch.flush();
      batch.index = index;
      const found = this.#prepared ?? (await this.#prepareFor(batch));
      const startedAt = wallClock();
      const before = stopwatch();
      batch.slot.begin(index, startedAt);
      let end = this.#start(batch, found, headers[index] as TaskHeader, payloads[index] as Payload, startedAt);
      if (end instanceof Promise) end = await this.#settled(batch, end, (headers[index] as TaskHeader).request.name);
      now = stopwatch();
      batch.attempt?.finish();
      batch.attempt = undefined;
      batch.slot.end();
      batch.leave(index, startedAt, now - before, end);
    }
    batch.flushLast();
    this.#active.delete(message.batch);
  }

  #take(message: BatchMessage): void {
    const run = async (): Promise<void> => {
      await this.runBatch(message);
      this.host.tell({ type: "done", work: message.batch });
    };
    if (this.host.isSequential === true) this.#last = this.#last.then(run);
    else void run();
  }

  #running({ batch, index }: { readonly batch: number; readonly index: number }): Attempt | undefined {
    const active = this.#active.get(batch);
    return active?.index === index ? active.attempt : undefined;
  }

  #load(): Promise<Loaded> {
    const { host } = this;
    return (this.#loading ??= loadTasks(this.#modules, (file) => host.tell({ type: "loading", file })).then(
      (result) => {
        if (!("problem" in result) && definedResources().length === 0) {
          this.#prepared = equipped(result);
          host.tell({ type: "setUp", wantsTeardown: false });
        }
        host.tell(
          "problem" in result ? { type: "notLoaded", ...result } : { type: "loaded", catalogue: result.catalogue },
        );
        return result;
      },
    ));
  }

  /** The task that comes first on a worker answers for what the modules and their resources do to the worker. */
  #prepareFor({ slot, index }: ActiveBatch): Promise<Prepared> {
    slot.begin(index, wallClock());
    slot.wait();
    this.#preparing = this.#prepare();
    return this.#preparing;
  }

  async #prepare(): Promise<Prepared> {
    try {
      const loaded = await this.#load();
      if ("problem" in loaded) throw loadError(loaded.problem);
      const prepared = equipped(loaded);
      await prepared.equipment.setUp();
      this.host.tell({ type: "setUp", wantsTeardown: prepared.equipment.needsTeardown });
      return (this.#prepared = prepared);
    } catch (thrown) {
      const error = toTaskError(thrown);
      this.#retire({ type: "retiring", error });
      return (this.#prepared = { error });
    }
  }

  async #tearDown(): Promise<void> {
    try {
      if (this.#prepared !== undefined && "equipment" in this.#prepared) await this.#prepared.equipment.tearDown();
      this.host.tell({ type: "tornDown" });
    } catch (thrown) {
      this.host.tell({ type: "tornDown", error: toTaskError(thrown) });
    }
  }

  #start(batch: ActiveBatch, found: Prepared, header: TaskHeader, args: Payload, startedAt: number) {
    if (batch.slot.isStopAsked(batch.index)) return { type: "stopped" } satisfies AttemptEnd;
    // Another worker may do better.
    if ("error" in found) return { type: "fault", fault: retryable, error: found.error } satisfies AttemptEnd;
    batch.equipment = found.equipment;
    batch.attempt = new Attempt(header, found.tasks.get(handlerKey(header.request)), startedAt, batch);
    return batch.attempt.run(args);
  }

  async #settled(batch: ActiveBatch, end: Promise<AttemptEnd>, name: string): Promise<AttemptEnd> {
    batch.slot.wait();
    if (!this.#quick.has(name)) batch.flush();
    const before = this.#turn;
    if (!this.#isTurnAwaited) {
      this.#isTurnAwaited = true;
      setImmediate(() => {
        this.#isTurnAwaited = false;
        this.#turn += 1;
        for (const other of this.#active.values()) other.flush();
      });
    }
    const result = await end;
    if (this.#turn === before) this.#quick.add(name);
    else this.#quick.delete(name);
    return result;
  }

  #retire(message: Extract<FromWorker, { type: "retiring" }>): void {
    this.#isRetiring = true;
    for (const { slot } of this.#active.values()) slot.revoke();
    this.host.tell(message);
  }

  #blame(thrown: unknown): void {
    const attempt = currentAttempt();
    const error = toTaskError(thrown);
    if (attempt === undefined && this.#active.size > 0) {
      this.host.tell({ type: "dying", error });
      exit(1);
    }
    if (attempt?.fail(thrown) === true) return this.#retire({ type: "retiring" });
    const taskId = attempt?.header.id;
    this.#retire({ type: "retiring", error, ...(taskId === undefined ? undefined : { taskId }) });
  }

  #exit(): void {
    const guilty = currentAttempt();
    for (const batch of this.#active.values()) {
      batch.flushLast();
      if (guilty !== undefined) batch.slot.blame(batch.attempt === guilty);
    }
  }
}

/** What a worker needs to run tasks, or why it cannot. */
type Prepared = { readonly tasks: TaskTable; readonly equipment: Equipment } | { readonly error: TaskError };

const equipped = ({ tasks }: Extract<Loaded, { tasks: TaskTable }>): Extract<Prepared, { tasks: TaskTable }> => ({
  tasks,
  equipment: new Equipment(layersInUse(), definedResources()),
});

const retryable = { reason: "error", isRetryable: true } as const;
