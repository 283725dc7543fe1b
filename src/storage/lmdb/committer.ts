import { OmniqError, StoreCorruptError, StoreFailedError } from "../../base/errors.ts";

/** Changes that are committed together or not at all. */
export interface Group {
  /** About how many bytes it adds to the file. */
  readonly bytes: number;
  /** It adds work, so it is the first to be turned away when space runs short. */
  readonly addsWork: boolean;
  /** Reads only. A throw refuses this group and no other. */
  check(): void;
  /** Writes. Must not throw: a throw here undoes the whole transaction and fences the store. */
  apply(): unknown;
}

export interface CommitterParts {
  /** Runs the callback in one synchronous transaction; a throw rolls it back. */
  transact(write: () => void): void;
  /** Throws StoreFullError when there is no room for so many bytes. */
  ensureSpace(bytes: number, addsWork: boolean): void;
  /** Called at the end of every transaction that applied something: writes what many groups changed. */
  finish(): void;
  /** Called when it is on disk, before anybody is answered. */
  committed(): void;
}

/**
 * The only writer. Groups gather while the event loop turns, and go to disk in one synchronous transaction: idle
 * means a transaction of one and the lowest latency, load means large ones. Synchronous, because asynchronous commits
 * leave holes behind a failed one and wait behind other users of the thread pool.
 *
 * The first transaction that fails fences the store for good: what it held, and whatever comes later, is rejected.
 */
export class Committer {
  readonly #parts: CommitterParts;
  #waiting: { group: Group; resolve: (answer: never) => void; reject: (error: unknown) => void }[] = [];
  #flushed: Promise<void> | undefined;
  #failure: StoreFailedError | undefined;

  constructor(parts: CommitterParts) {
    this.#parts = parts;
  }

  get failure(): StoreFailedError | undefined {
    return this.#failure;
  }

  commit<T>(group: Group): Promise<T> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ group, resolve, reject });
      this.#arm();
    });
  }

  /** Resolves when everything given so far is on disk, or was rejected. */
  settled(): Promise<void> {
    return this.#flushed ?? Promise.resolve();
  }

  #arm(): void {
    this.#flushed ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#flushed = undefined;
        this.#flush();
        resolve();
      });
    });
  }

  #flush(): void {
    const groups = this.#waiting;
    this.#waiting = [];
    const answers: (() => void)[] = [];
    try {
      this.#parts.transact(() => {
        let applied = 0;
        let bytes = 0;
        for (const { group, resolve, reject } of groups) {
          try {
            // All groups of a transaction need their space together.
            this.#parts.ensureSpace(bytes + group.bytes, group.addsWork);
            group.check();
          } catch (error) {
            if (!(error instanceof OmniqError) || error instanceof StoreCorruptError) throw error;
            answers.push(() => reject(error));
            continue;
          }
          bytes += group.bytes;
          const answer = group.apply();
          applied++;
          answers.push(() => resolve(answer as never));
        }
        if (applied > 0) this.#parts.finish();
      });
    } catch (error) {
      this.#fail(error);
      for (const { reject } of groups) reject(this.#failure);
      return;
    }
    this.#parts.committed();
    for (const answer of answers) answer();
  }

  #fail(error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error);
    this.#failure = new StoreFailedError(problem, { cause: error });
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}
