import type { Clock } from "../../src/base/clock.ts";
import type { AnswerTo, Change, Settlement, Storage, TaskQuery } from "../../src/storage/storage.ts";
import type { Fence, TaskId } from "../../src/task/task.ts";

/** An end that counted. */
export interface RecordedEnd {
  readonly id: TaskId;
  readonly fence: Fence;
  readonly end: Settlement["end"];
}

/**
 * A storage that takes as long as a disk does, on a virtual clock, and fails when it is told to. What is given is
 * applied in order; what is read, is read after everything that was given before.
 */
export class ObservedStorage implements Storage {
  /** Everything that was given to `commit`, applied or not. */
  readonly commits: (readonly Change[])[] = [];
  /** Every end that counted. */
  readonly ends: RecordedEnd[] = [];
  /** How long a commit takes. */
  latencyMs = 0;
  /** What it returns is thrown instead of committing. */
  refuse: ((changes: readonly Change[]) => Error | undefined) | undefined;
  /** What it returns is thrown instead of reading. */
  refuseRead: ((read: "get" | "list" | "counts") => Error | undefined) | undefined;
  readonly open: Storage["open"];
  readonly result: Storage["result"];
  readonly notes: Storage["notes"];
  readonly checkpoint: Storage["checkpoint"];
  readonly events: Storage["events"];
  readonly queues: Storage["queues"];
  readonly parked: Storage["parked"];
  readonly nextDue: Storage["nextDue"];
  readonly schedules: Storage["schedules"];
  readonly dueSchedules: Storage["dueSchedules"];
  readonly scheduleHistory: Storage["scheduleHistory"];
  readonly scheduleTotals: Storage["scheduleTotals"];
  readonly close: Storage["close"];
  /** What is on disk. */
  readonly inner: Storage;
  readonly #clock: Clock;
  #last: Promise<unknown> = Promise.resolve();

  constructor(inner: Storage, clock: Clock) {
    this.inner = inner;
    this.#clock = clock;
    this.open = (settings) => inner.open(settings);
    this.result = (id) => this.#after(() => inner.result(id));
    this.notes = (id) => this.#after(() => inner.notes(id));
    this.checkpoint = (id, key) => this.#after(() => inner.checkpoint(id, key));
    this.events = (query) => this.#after(() => inner.events(query));
    this.queues = () => this.#after(() => inner.queues());
    this.parked = () => this.#after(() => inner.parked());
    this.nextDue = () => this.#after(() => inner.nextDue());
    this.schedules = (query) => this.#after(() => inner.schedules(query));
    this.dueSchedules = (now, limit) => this.#after(() => inner.dueSchedules(now, limit));
    this.scheduleHistory = (id, limit) => this.#after(() => inner.scheduleHistory(id, limit));
    this.scheduleTotals = (now) => this.#after(() => inner.scheduleTotals(now));
    this.close = () => inner.close();
  }

  commit<const C extends readonly Change[]>(changes: C): Promise<{ -readonly [K in keyof C]: AnswerTo<C[K]> }> {
    this.commits.push(changes);
    const onDisk =
      this.latencyMs === 0
        ? undefined
        : new Promise<void>((resolve) => this.#clock.wakeAt(this.#clock.now() + this.latencyMs, resolve));
    return this.#after(async () => {
      await onDisk;
      const refusal = this.refuse?.(changes);
      if (refusal !== undefined) throw refusal;
      const answers = await this.inner.commit(changes);
      this.#record(changes, answers);
      return answers;
    });
  }

  get(ids: readonly TaskId[]): ReturnType<Storage["get"]> {
    return this.#after(() => this.#read("get", () => this.inner.get(ids)));
  }

  list(query: TaskQuery): ReturnType<Storage["list"]> {
    return this.#after(() => this.#read("list", () => this.inner.list(query)));
  }

  counts(): ReturnType<Storage["counts"]> {
    return this.#after(() => this.#read("counts", () => this.inner.counts()));
  }

  /** The commits that hold a change of this type. */
  commitsOf(type: Change["type"]): (readonly Change[])[] {
    return this.commits.filter((changes) => changes.some((change) => change.type === type));
  }

  #read<T>(read: "get" | "list" | "counts", work: () => Promise<T>): Promise<T> {
    const refusal = this.refuseRead?.(read);
    return refusal === undefined ? work() : Promise.reject(refusal);
  }

  #record(changes: readonly Change[], answers: readonly unknown[]): void {
    changes.forEach((change, index) => {
      if (change.type !== "settle") return;
      const counted = answers[index] as readonly boolean[];
      change.settlements.forEach(
        ({ id, fence, end }, at) => counted[at] === true && this.ends.push({ id, fence, end }),
      );
    });
  }

  #after<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}
