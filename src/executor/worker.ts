import { systemClock } from "../base/clock.ts";
import { TaskModuleError } from "../base/errors.ts";
import type { TaskError, TaskId } from "../task/task.ts";
import { toTaskError } from "../task/task-error.ts";
import { Batch } from "./batch.ts";
import type { AttemptReport, Catalogue } from "./executor.ts";
import { loadError } from "./loader.ts";
import type { AttemptQuestion, FromWorker, ToWorker, ValidateAnswer } from "./worker-protocol.ts";

/** From the moment at which a worker says that it ends, until it is ended. */
const longestDyingMs = 1_000;
/** From the moment at which a worker is told to tear down its resources. */
const longestTeardownMs = 5_000;

/** What a worker may be given to do. */
export interface Work {
  readonly number: number;
  /** The worker that has it; none while it waits for one. */
  worker: Worker | undefined;
  /** Nothing is left to do, and that only waits to be noticed. */
  readonly isOver: boolean;
  /** It takes long: nothing should wait behind it while another worker has room. */
  readonly isHeld?: boolean;
  /** The worker is done with it. */
  done(answer?: ValidateAnswer): void;
  /** The worker is dead. @param isGuilty this work has done it. */
  lose(death: Death, isGuilty: boolean): void;
}

/** How a worker ended. */
export interface Death {
  readonly how: string;
  readonly cause?: TaskError;
  /** How the attempt of the task that has done it ended; a crash when left out. */
  readonly end?: AttemptReport["end"];
}

/** What the owner of a worker is told. */
export interface WorkerObserver {
  /** Something was thrown outside of any attempt; `taskId` is the task that left it behind. */
  threw(worker: Worker, error: TaskError, taskId: TaskId | undefined): void;
  /** The worker has all that it needs to run tasks. */
  equipped?(worker: Worker): void;
  /** The worker takes nothing new from now on. */
  retiring?(worker: Worker): void;
  /** The worker is done with something that it was told to do. */
  freed?(worker: Worker): void;
  /** The worker is dead. Its work is told after that. */
  gone(worker: Worker): void;
}

/** A worker of whatever kind, as the supervisor sees it: what it does, what it says, how it ends. */
export abstract class Worker {
  /** In records, such as `thread-3`. */
  abstract readonly name: string;
  readonly #observer: WorkerObserver;
  readonly #work = new Map<number, Work>();
  /** Batches that are done, and are to hear what comes too late. */
  readonly #haunted = new Map<number, Batch>();
  #isRetiring = false;
  #readiness: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  #loading: { readonly resolve: (catalogue: Catalogue) => void; readonly reject: (error: Error) => void } | undefined;
  #loadingFile = "";
  /** Why it ends, as soon as that is known. */
  #death: Death | undefined;
  #isOurDoing = false;
  #isKilled = false;
  #hasResources = false;
  /** Ends the wait for its resources to be torn down. */
  #onTornDown = (): void => {};

  constructor(observer: WorkerObserver) {
    this.#observer = observer;
  }

  abstract tell(message: ToWorker, transfer?: readonly ArrayBuffer[]): void;

  /** Ends it, whatever it is doing. Calls `exited` when that is done. */
  protected abstract kill(): void;

  /** Receives what it has said by now, without waiting for the event loop. Those that leave nothing in slots need it not. */
  drain?(): void;

  /** It has nothing to do, or no longer nothing. */
  protected rest?(isResting: boolean): void;

  /** Takes nothing new, and is ended when its work is done: its state is not to be trusted. */
  get isRetiring(): boolean {
    return this.#isRetiring;
  }

  /** How much it has to do. */
  get openWork(): number {
    let load = 0;
    for (const work of this.#work.values()) if (!work.isOver) load += work.isHeld === true ? 2 : 1;
    return load;
  }

  /** How much it was given and is not done with. */
  get workload(): number {
    return this.#work.size;
  }

  /** Rejects when it dies before it can be given work. */
  ready(): Promise<void> {
    return new Promise((resolve, reject) => (this.#readiness = { resolve, reject }));
  }

  /** @throws TaskModuleError, DuplicateNameError. */
  load(): Promise<Catalogue> {
    return new Promise((resolve, reject) => {
      this.#loading = { resolve, reject };
      this.tell({ type: "load" });
    });
  }

  take(work: Work): void {
    work.worker = this;
    this.#work.set(work.number, work);
    if (this.#work.size === 1) this.rest?.(false);
  }

  /** The work is done. */
  release(work: Work): void {
    this.#work.delete(work.number);
    if (work instanceof Batch && work.isHaunted) this.#haunted.set(work.number, work);
    if (this.#work.size > 0) return;
    this.rest?.(true);
    if (this.#isRetiring) void this.#replace();
  }

  retire(): void {
    if (this.#isRetiring) return;
    this.#isRetiring = true;
    this.#observer.retiring?.(this);
    if (this.#work.size === 0) void this.#replace();
  }

  /** Tears down the resources of a worker that is about to be ended. One that is at work has no time for that. */
  async tearDown(): Promise<void> {
    if (!this.#hasResources || this.#work.size > 0 || this.#isKilled) return;
    this.#hasResources = false;
    this.#isRetiring = true;
    this.rest?.(false);
    await new Promise<void>((resolve) => {
      const timer = systemClock.wakeAt(systemClock.now() + longestTeardownMs, resolve);
      this.#onTornDown = () => (timer.cancel(), resolve());
      this.tell({ type: "tearDown" });
    });
  }

  /** Ends the worker: nobody is to blame. */
  end(how: string): void {
    if (this.#death === undefined) this.#isOurDoing = true;
    this.die({ how });
  }

  /** Ends the worker because it failed at its work. */
  fail(error: unknown): void {
    this.die(deathBy(error));
  }

  /** Ends it, for this reason unless there was one before. */
  protected die(death: Death): void {
    this.#death ??= death;
    this.#isRetiring = true;
    if (this.#isKilled) return;
    this.#isKilled = true;
    this.kill();
  }

  /** An error has ended the worker: it is about to exit. */
  protected broke(error: unknown): void {
    this.#death ??= deathBy(error);
  }

  protected receive(message: FromWorker): void {
    switch (message.type) {
      case "reports":
        return this.#batch(message.batch)?.collect(message.frame);
      case "revoked":
        return this.#batch(message.batch)?.revoked(message.taken);
      case "note":
        return this.#talking(message.batch)?.noted(message.note);
      case "recall":
      case "keep":
      case "enqueue":
        return void this.#answer(message);
      case "done":
        return this.#done(message.work, message.answer);
      default:
        return this.#hearOfItself(message);
    }
  }

  /** How it is, whatever it is doing. */
  #hearOfItself(message: Exclude<FromWorker, { batch: number } | { type: "done" }>): void {
    switch (message.type) {
      case "loading":
        this.#loadingFile = message.file;
        return;
      case "loaded":
      case "notLoaded":
        return this.#loaded(message);
      case "setUp":
        return this.#setUp(message.wantsTeardown);
      case "tornDown":
        return this.#tornDown(message.error);
      case "retiring":
        if (message.error !== undefined) this.#observer.threw(this, message.error, message.taskId);
        return this.retire();
      case "dying":
        return this.#dying(message.error);
      case "ready":
        return this.#readiness?.resolve();
      case "pong":
    }
  }

  /** The worker is dead, and everything that it has said was received. */
  protected exited(how: string): void {
    const death = (this.#death ??= { how });
    this.#isRetiring = true;
    this.#isKilled = true;
    this.#onTornDown();
    this.#readiness?.reject(new Error(`A worker ended before it could be given work: ${death.how}`));
    this.#loading?.reject(new TaskModuleError(this.#loadingFile, `ended the worker that loaded it: ${death.how}`));
    this.#observer.gone(this);
    const guilty = this.#isOurDoing ? [] : culprits(this.#batches());
    for (const work of this.#work.values()) work.lose(death, guilty.includes(work));
    this.#work.clear();
    this.rest?.(true);
  }

  #setUp(wantsTeardown: boolean): void {
    this.#hasResources = wantsTeardown;
    this.#observer.equipped?.(this);
  }

  #tornDown(error: TaskError | undefined): void {
    if (error !== undefined) this.#observer.threw(this, error, undefined);
    this.#onTornDown();
  }

  #loaded(message: Extract<FromWorker, { type: "loaded" | "notLoaded" }>): void {
    if (message.type === "loaded") this.#loading?.resolve(message.catalogue);
    else this.#loading?.reject(loadError(message.problem));
    this.#loading = undefined;
  }

  /** A batch that is over asks for nothing that counts. */
  async #answer(message: AttemptQuestion): Promise<void> {
    const { question } = message;
    try {
      const answer = await this.#talking(message.batch)?.answer(message);
      this.tell({ type: "answer", question, ...answer });
    } catch (thrown) {
      this.tell({ type: "answer", question, error: toTaskError(thrown) });
    }
  }

  async #replace(): Promise<void> {
    if (this.#hasResources) await this.tearDown();
    this.end("it was replaced");
  }

  /** The worker ends itself, unless something keeps it from that. */
  #dying(error: TaskError): void {
    const death: Death = { how: `${error.name}: ${error.message}`, cause: error };
    this.#death ??= death;
    this.#isRetiring = true;
    systemClock.wakeAt(systemClock.now() + longestDyingMs, () => this.die(death));
    this.#observer.threw(this, error, undefined);
  }

  #done(number: number, answer: ValidateAnswer | undefined): void {
    const work = this.#work.get(number);
    if (work === undefined) return;
    work.done(answer);
    this.release(work);
    this.#observer.freed?.(this);
  }

  #batch(number: number): Batch | undefined {
    const work = this.#work.get(number);
    return work instanceof Batch ? work : undefined;
  }

  #talking(number: number): Batch | undefined {
    return this.#batch(number) ?? this.#haunted.get(number);
  }

  #batches(): Batch[] {
    return [...this.#work.values()].filter((work) => work instanceof Batch);
  }
}

/** Whose running task has ended the worker: what is known of it, else the one inside its handler, else all. */
function culprits(batches: readonly Batch[]): readonly Work[] {
  const known = batches.filter(({ slot }) => slot.blamed === "guilty");
  const suspects = batches.filter(({ slot }) => slot.blamed === "unknown" && slot.running !== undefined);
  const inside = suspects.filter(({ slot }) => slot.running?.isWaiting === false);
  return known.length > 0 ? known : inside.length > 0 ? inside : suspects;
}

function deathBy(thrown: unknown): Death {
  const cause = toTaskError(thrown);
  return cause.code === "ERR_WORKER_OUT_OF_MEMORY"
    ? { how: "it ran out of memory" }
    : { how: `${cause.name}: ${cause.message}`, cause };
}
