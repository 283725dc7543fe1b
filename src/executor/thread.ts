import { receiveMessageOnPort, type MessagePort, type Worker } from "node:worker_threads";
import { TaskModuleError } from "../base/errors.ts";
import type { TaskError, TaskId } from "../task/task.ts";
import { toTaskError } from "../task/task-error.ts";
import { Batch, type Death } from "./batch.ts";
import type { Catalogue } from "./executor.ts";
import { loadError } from "./loader.ts";
import type { FromThread, ToThread } from "./thread-protocol.ts";

/** What a thread may be given to do. */
export interface Work {
  /** The thread that has it; none while it waits for one. */
  thread: Thread | undefined;
}

/** What the owner of a thread is told. */
export interface ThreadObserver {
  /** Something was thrown outside of any attempt; `taskId` is the task that left it behind. */
  threw(thread: Thread, error: TaskError, taskId: TaskId | undefined): void;
  /** The thread is dead. */
  gone(thread: Thread): void;
}

/** A thread of the pool, as the supervisor sees it: what it does, what it says, how it ends. */
export class Thread {
  readonly id: number;
  /** The worker's name in records, such as `thread-3`. */
  readonly name: string;
  /** Takes nothing new, and is ended when its work is done: its state is not to be trusted. */
  isRetiring = false;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #observer: ThreadObserver;
  readonly #work = new Set<Work>();
  #loading: { readonly resolve: (catalogue: Catalogue) => void; readonly reject: (error: Error) => void } | undefined;
  #loadingFile = "";
  /** Why it ends, as soon as that is known. */
  #death: Death | undefined;
  #isOurDoing = false;

  constructor(worker: Worker, port: MessagePort, observer: ThreadObserver) {
    this.id = worker.threadId;
    this.name = `thread-${worker.threadId}`;
    this.#worker = worker;
    this.#port = port;
    this.#observer = observer;
    port.on("message", (message: FromThread) => this.#receive(message));
    port.unref();
    worker.once("error", (error: unknown) => (this.#death ??= deathBy(error)));
    worker.once("exit", (code) => this.#exit(code));
  }

  tell(message: ToThread): void {
    this.#port.postMessage(message);
  }

  /** @throws TaskModuleError, DuplicateNameError. */
  load(): Promise<Catalogue> {
    return new Promise((resolve, reject) => {
      this.#loading = { resolve, reject };
      this.tell({ type: "load" });
    });
  }

  /** How much it has to do: what is over, and only waits to be noticed, does not count. */
  get openWork(): number {
    let load = 0;
    for (const work of this.#work) if (!(work instanceof Batch && work.isOver)) load++;
    return load;
  }

  take(work: Work): void {
    work.thread = this;
    this.#work.add(work);
  }

  /** The work is done. */
  release(work: Work): void {
    this.#work.delete(work);
    if (this.isRetiring && this.#work.size === 0) this.end("it was replaced");
  }

  /** Ends the thread: nobody is to blame. */
  end(how: string): void {
    if (this.#death !== undefined) return;
    this.#death = { how };
    this.#isOurDoing = true;
    void this.#worker.terminate();
  }

  /** Ends the thread because it failed at its work; does nothing when it is ending already. */
  fail(error: unknown): void {
    if (this.#death !== undefined) return;
    this.#death = deathBy(error);
    void this.#worker.terminate();
  }

  /** Receives what the thread has said by now, without waiting for the event loop. */
  drain(): void {
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port)) {
      this.#receive(next.message as FromThread);
    }
  }

  #receive(message: FromThread): void {
    switch (message.type) {
      case "reports":
        return this.#batches()
          .find(({ number }) => number === message.batch)
          ?.read(message.frame);
      case "loading":
        this.#loadingFile = message.file;
        return;
      case "loaded":
        this.#loading?.resolve(message.catalogue);
        this.#loading = undefined;
        return;
      case "notLoaded":
        this.#loading?.reject(loadError(message.problem));
        this.#loading = undefined;
        return;
      case "retiring":
        this.isRetiring = true;
        if (message.error !== undefined) this.#observer.threw(this, message.error, message.taskId);
        if (this.#work.size === 0) this.end("it was replaced");
        return;
      case "dying":
        this.#death = { how: `${message.error.name}: ${message.error.message}`, cause: message.error };
        this.#observer.threw(this, message.error, undefined);
    }
  }

  #exit(code: number): void {
    this.drain();
    this.#port.close();
    const death = (this.#death ??= { how: `it exited with code ${code}` });
    this.#loading?.reject(new TaskModuleError(this.#loadingFile, `ended the worker that loaded it: ${death.how}`));
    this.#observer.gone(this);
    const batches = this.#batches();
    const guilty = this.#isOurDoing ? [] : culprits(batches);
    for (const batch of batches) batch.lose(death, guilty.includes(batch));
    this.#work.clear();
  }

  #batches(): Batch[] {
    return [...this.#work].filter((work) => work instanceof Batch);
  }
}

/** Whose running task has ended the thread: what is known of it, else the one inside its handler, else all. */
function culprits(batches: readonly Batch[]): readonly Batch[] {
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
