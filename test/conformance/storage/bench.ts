import type { EpochMs } from "../../../src/base/clock.ts";
import type {
  Advance,
  Advanced,
  Claim,
  Claimed,
  NewTask,
  Opened,
  QueueRecord,
  QueueSettings,
  Settlement,
  Storage,
  StorageSettings,
} from "../../../src/storage/storage.ts";
import type { TaskState } from "../../../src/task/state.ts";
import type { AttemptFailure, FailureReason, StoredTask, TaskId, TaskLife } from "../../../src/task/task.ts";
import { birth, someBytes } from "../../support/tasks.ts";

/** A storage that was not opened yet, and how to get it again. */
export interface StorageFixture {
  readonly storage: Storage;
  /** A storage, not opened yet, over what the one before left behind, as a crash or a clean end leaves it. */
  reopen(): Promise<Storage>;
  dispose(): Promise<void>;
}

export type CreateFixture = () => Promise<StorageFixture>;

export const someSettings: StorageSettings = {
  owner: "conformance",
  now: birth,
  events: "all",
  retention: { completedMs: 1_000, failedMs: 5_000, eventsMs: 10_000 },
};

export const noTallies = { failures: 0, crashes: 0, interruptions: 0 };

export const aFailure = (attempt: number, at: EpochMs = birth, reason: FailureReason = "error"): AttemptFailure => ({
  attempt,
  at,
  reason,
  error: { name: "Error", message: `attempt ${attempt} failed` },
});

export const idsOf = (tasks: readonly { readonly id: TaskId }[]): TaskId[] => tasks.map(({ id }) => id);

/** The storage under test with the words that tests speak. `now` is the tasks' birth where it is left out. */
export class Bench {
  readonly #create: CreateFixture;
  #fixture: StorageFixture | undefined;
  #storage: Storage | undefined;
  epoch = 0;

  constructor(create: CreateFixture) {
    this.#create = create;
  }

  get storage(): Storage {
    if (this.#storage === undefined) throw new Error("The bench was not started.");
    return this.#storage;
  }

  async start(settings: Partial<StorageSettings> = {}): Promise<void> {
    await this.dispose();
    this.#fixture = await this.#create();
    await this.#open(this.#fixture.storage, settings);
  }

  async reopen(settings: Partial<StorageSettings> = {}): Promise<Opened> {
    if (this.#fixture === undefined) throw new Error("The bench was not started.");
    return this.#open(await this.#fixture.reopen(), settings);
  }

  async dispose(): Promise<void> {
    await this.#fixture?.dispose();
    this.#fixture = undefined;
  }

  async enqueue(...tasks: NewTask[]): Promise<readonly (TaskId | undefined)[]> {
    const [ids] = await this.storage.commit([{ type: "enqueue", tasks }]);
    return ids;
  }

  async claim(given: Partial<Omit<Claim, "type">> = {}): Promise<Claimed> {
    const [claimed] = await this.storage.commit([{ type: "claim", limit: 100, now: birth, owner: "bench", ...given }]);
    return claimed;
  }

  /** Enqueues one task and claims it. */
  async running(task: NewTask, given: Partial<Omit<Claim, "type">> = {}): Promise<StoredTask> {
    await this.enqueue(task);
    return this.claimOne(given);
  }

  async claimOne(given: Partial<Omit<Claim, "type">> = {}): Promise<StoredTask> {
    const [task] = (await this.claim({ ...given, limit: 1 })).tasks;
    if (task === undefined) throw new Error("Nothing was there to claim.");
    return task;
  }

  async settle(
    { id, life }: StoredTask,
    end: Settlement["end"],
    { now = birth, ...given }: Partial<Settlement> & { readonly now?: EpochMs } = {},
  ): Promise<boolean> {
    const settlement: Settlement = { id, fence: { epoch: this.epoch, attempt: life.attempt }, end, ...given };
    const [[counted]] = await this.storage.commit([{ type: "settle", now, settlements: [settlement] }]);
    return counted === true;
  }

  complete(task: StoredTask, now?: EpochMs): Promise<boolean> {
    return this.settle(task, { to: "completed", result: someBytes(7) }, now === undefined ? {} : { now });
  }

  fail(task: StoredTask, now: EpochMs = birth): Promise<boolean> {
    const failure = aFailure(task.life.attempt, now);
    return this.settle(task, { to: "failed", reason: "error", failure, ...noTallies, failures: 1 }, { now });
  }

  retry(task: StoredTask, runAt: EpochMs, now: EpochMs = birth): Promise<boolean> {
    const tallies = { ...noTallies, failures: task.life.failures + 1 };
    const failure = aFailure(task.life.attempt, now);
    return this.settle(task, { to: "retrying", runAt, failure, ...tallies }, { now });
  }

  async advance(now: EpochMs, given: Partial<Advance> = {}): Promise<Advanced> {
    const [advanced] = await this.storage.commit([{ type: "advance", now, limit: 1_000, ...given }]);
    return advanced;
  }

  async cancel(...ids: TaskId[]): Promise<readonly (TaskState | undefined)[]> {
    const [states] = await this.storage.commit([{ type: "cancel", ids, now: birth, reason: "not wanted" }]);
    return states;
  }

  async requeue(ids: readonly TaskId[], now: EpochMs = birth): Promise<readonly (TaskState | undefined)[]> {
    const [states] = await this.storage.commit([{ type: "requeue", ids, now }]);
    return states;
  }

  async delete(ids: readonly TaskId[], given: { readonly force?: boolean } = {}): Promise<readonly boolean[]> {
    const [found] = await this.storage.commit([{ type: "delete", ids, now: birth, ...given }]);
    return found;
  }

  async configure(queue: string, patch: QueueSettings): Promise<QueueRecord> {
    const [record] = await this.storage.commit([{ type: "configureQueue", queue, patch }]);
    return record;
  }

  async life(id: TaskId): Promise<TaskLife | undefined> {
    return (await this.storage.get([id]))[0]?.life;
  }

  async state(id: TaskId): Promise<TaskState | undefined> {
    return (await this.life(id))?.state;
  }

  /** All tasks, page by page. */
  async all(): Promise<StoredTask[]> {
    return allOf(this.storage);
  }

  async #open(storage: Storage, settings: Partial<StorageSettings>): Promise<Opened> {
    this.#storage = storage;
    const opened = await storage.open({ ...someSettings, ...settings });
    this.epoch = opened.epoch;
    return opened;
  }
}

/** All tasks of a storage, page by page. */
export async function allOf(storage: Storage): Promise<StoredTask[]> {
  const tasks: StoredTask[] = [];
  let cursor: string | undefined;
  do {
    const page = await storage.list({ limit: 1_000, ...(cursor === undefined ? {} : { cursor }) });
    tasks.push(...page.tasks);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return tasks;
}
