import type { ActorRef, Message, Reply } from "../../src/actor/actor.ts";
import { seededRandom } from "../../src/actor/seeded-random.ts";
import { SeededTurns } from "../../src/actor/seeded-turns.ts";
import { createSystem, type RunningTree } from "../../src/actor/system.ts";
import { VirtualClock, type EpochMs } from "../../src/base/clock.ts";
import type { ResolvedScheduler } from "../../src/config/scheduler-options.ts";
import { defaultMissedPolicy } from "../../src/schedule/missed.ts";
import type { ScheduleId } from "../../src/schedule/schedule.ts";
import type { RecoveryReport } from "../../src/supervisor/scheduler-state.ts";
import type {
  NewTask,
  QueueRecord,
  QueueSettings,
  Retention,
  StateCounts,
  Storage,
} from "../../src/storage/storage.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import type {
  DispatcherMessage,
  LeasedTask,
  OutcomeSink,
  QueueMessage,
  SchedulerMessage,
  SweeperMessage,
  TaskOutcome,
} from "../../src/supervisor/protocol.ts";
import { Breakers } from "../../src/supervisor/breakers.ts";
import { tree } from "../../src/supervisor/tree.ts";
import type { BreakerSettings } from "../../src/task/breaker.ts";
import type { StoredTask, TaskId, TaskLife } from "../../src/task/task.ts";
import { aTask } from "../support/tasks.ts";
import { ObservedStorage } from "./observed-storage.ts";
import { SimulatedExecutor, type Behaviour } from "./simulated-executor.ts";

export const birth = 1_000;
const forEver = 1e12;
const schedulerDefaults: ResolvedScheduler = {
  enabled: true,
  timezone: "UTC",
  checkIntervalMs: 1_000,
  missed: defaultMissedPolicy,
  metrics: true,
};

export interface SupervisorOptions {
  readonly seed?: number;
  readonly threads?: number;
  /** Names that a module defines. */
  readonly names?: Iterable<string>;
  /** By name of task; `aValue` after 10 ms where there is none. */
  readonly behave?: (task: StoredTask) => Behaviour;
  readonly retention?: Partial<Retention>;
  readonly latencyMs?: number;
  readonly scheduler?: Partial<ResolvedScheduler>;
  /** The version of a task that is the newest. */
  readonly versionOf?: (name: string) => string | undefined;
  readonly queues?: Readonly<Record<string, QueueSettings>>;
  readonly breakers?: Readonly<Record<string, BreakerSettings>>;
  /** Stored before the actors start. */
  readonly stored?: readonly NewTask[];
  /** What is there already; nothing when left out. */
  readonly storage?: Storage;
  /** When it starts; `birth` when left out. */
  readonly now?: EpochMs;
}

/** Takes notes of what it is told. */
export class Listener implements OutcomeSink {
  readonly outcomes: TaskOutcome[] = [];

  deliver(outcomes: readonly TaskOutcome[]): void {
    this.outcomes.push(...outcomes);
  }

  of(id: TaskId): TaskOutcome[] {
    return this.outcomes.filter((outcome) => outcome.id === id);
  }
}

/** The supervisor's actors with nothing real around them: a virtual clock, seeded turns, simulated workers. */
export class TestSupervisor {
  readonly clock: VirtualClock;
  readonly log: { readonly message: string; readonly fields: { readonly actor?: string; readonly error?: unknown } }[] =
    [];
  readonly listener = new Listener();
  readonly scheduleErrors: { readonly id: ScheduleId; readonly error: unknown }[] = [];
  readonly recovered: RecoveryReport[] = [];
  readonly #turns: SeededTurns;
  #parts: { storage: ObservedStorage; executor: SimulatedExecutor; tree: RunningTree } | undefined;

  private constructor(seed: number, now: EpochMs) {
    this.clock = new VirtualClock(now);
    this.#turns = new SeededTurns(seed);
  }

  static async start(options: SupervisorOptions = {}): Promise<TestSupervisor> {
    const {
      seed = 1,
      threads = 1,
      names = ["greet", "short", "long", "other"],
      behave,
      retention,
      queues = {},
    } = options;
    const supervisor = new TestSupervisor(seed, options.now ?? birth);
    const { clock } = supervisor;
    const storage = new ObservedStorage(options.storage ?? memoryStorage(), clock);
    const executor = new SimulatedExecutor(clock, threads, behave ?? (() => ({ durationMs: 10 })));
    const kept = { completedMs: 86_400_000, failedMs: 30 * 86_400_000, eventsMs: 86_400_000, ...retention };
    const { epoch } = await storage.open({ owner: "test", now: clock.now(), events: "all", retention: kept });
    for (const [queue, patch] of Object.entries(queues)) {
      await storage.commit([{ type: "configureQueue", queue, patch }]);
    }
    if (options.stored !== undefined) await storage.commit([{ type: "enqueue", tasks: options.stored }]);
    storage.commits.splice(0);
    storage.latencyMs = options.latencyMs ?? 0;
    const write = (fields: object, message: string): void => void supervisor.log.push({ fields, message });
    const system = createSystem({
      clock,
      turns: supervisor.#turns,
      random: seededRandom(seed),
      log: { warn: write, error: write },
    });
    const running = system.start(
      tree({
        storage,
        epoch,
        executors: { all: new Map([["thread", executor]]), byDefault: "thread" },
        names: names instanceof Set ? names : new Set(names),
        retention: kept,
        breakers: new Breakers(new Map(Object.entries(options.breakers ?? {}))),
        newChild: ({ id, attempt, name, args }) =>
          Promise.resolve({ parent: { id, attempt }, task: { ...aTask({ name }), args }, onFull: "error" }),
        scheduler: {
          settings: { ...schedulerDefaults, ...options.scheduler },
          course: { mode: options.scheduler?.enabled === false ? "stopped" : "running", startedAt: undefined },
          versionOf: options.versionOf ?? (() => undefined),
          onError: (id, error) => void supervisor.scheduleErrors.push({ id, error }),
          onRecovered: (report) => void supervisor.recovered.push(report),
        },
      }),
    );
    supervisor.#parts = { storage, executor, tree: running };
    await supervisor.settle();
    return supervisor;
  }

  get storage(): ObservedStorage {
    return this.#given.storage;
  }

  get executor(): SimulatedExecutor {
    return this.#given.executor;
  }

  get tree(): RunningTree {
    return this.#given.tree;
  }

  get queue(): ActorRef<QueueMessage> {
    return this.tree.ref<QueueMessage>("queue");
  }

  get dispatcher(): ActorRef<DispatcherMessage> {
    return this.tree.ref<DispatcherMessage>("dispatcher");
  }

  get scheduler(): ActorRef<SchedulerMessage> {
    return this.tree.ref<SchedulerMessage>("scheduler");
  }

  get sweeper(): ActorRef<SweeperMessage> {
    return this.tree.ref<SweeperMessage>("sweeper");
  }

  /** Who crashed, in order. */
  get crashes(): (string | undefined)[] {
    return this.log.filter(({ message }) => message === "actor crashed").map(({ fields }) => fields.actor);
  }

  /** Lets the actors finish everything they can do without time passing. */
  async settle(): Promise<void> {
    await this.#turns.runUntilIdle(1_000_000);
  }

  /** Moves the clock by `ms`, letting the actors finish at every moment at which a timer fires. */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new RangeError(`Time cannot be moved by ${ms} ms.`);
    const end = this.clock.now() + ms;
    await this.settle();
    for (let next = this.clock.next(); next !== undefined && next <= end; next = this.clock.next()) {
      // To the exact moment: sums of fractions of a millisecond may miss it.
      this.clock.jumpTo(Math.max(next, this.clock.now()));
      this.clock.advance(0);
      await this.settle();
    }
    this.clock.jumpTo(end);
  }

  /** Gives an actor a message that it cannot handle. */
  crash(actor: "queue" | "dispatcher" | "sweeper" | "scheduler"): void {
    this.tree.ref<Message>(actor).tell({ type: "a message that nobody knows" });
  }

  // ----------------------------------------------------------------------------------------------------- messages

  /** Tells the queue without waiting; the promise is its answer. */
  ask<T>(build: (reply: Reply<T>) => QueueMessage): Promise<T> {
    return watched(this.queue.ask(build, forEver));
  }

  /** Stores tasks; the outcomes go to `listener`. */
  async enqueue(...tasks: readonly NewTask[]): Promise<readonly (TaskId | undefined)[]> {
    return this.answered((reply) => ({ type: "enqueue", tasks, onFull: "error", sink: this.listener, reply }));
  }

  configure(queue: string, patch: QueueSettings): Promise<QueueRecord> {
    return this.answered((reply) => ({ type: "configureQueue", queue, patch, reply }));
  }

  /** Asks; takes as long as it takes. */
  cancel(
    ids: readonly TaskId[],
    running: "no" | "signal" | "terminate" = "no",
    graceMs = 50,
  ): Promise<readonly boolean[]> {
    return this.ask((reply) => ({ type: "cancel", ids, reason: "on request", running, graceMs, reply }));
  }

  lease(
    queues: readonly string[],
    {
      leaseMs = 1_000,
      waitMs = 0,
      ack = "manual",
    }: { leaseMs?: number; waitMs?: number; ack?: "manual" | "auto" } = {},
  ): Promise<LeasedTask | undefined> {
    const noResult = new Uint8Array(0);
    return this.ask((reply) => ({ type: "lease", queues, leaseMs, waitMs, ack, noResult, reply }));
  }

  // ----------------------------------------------------------------------------------------------------- what is there

  async task(id: TaskId): Promise<StoredTask | undefined> {
    const [task] = await this.storage.inner.get([id]);
    return task;
  }

  /** Of one queue. */
  async counts(queue = "default"): Promise<StateCounts> {
    return (await this.storage.inner.counts()).queues.get(queue) ?? {};
  }

  async life(id: TaskId): Promise<TaskLife> {
    const task = await this.task(id);
    if (task === undefined) throw new Error(`There is no task ${id}.`);
    return task.life;
  }

  startsOf(id: TaskId): EpochMs[] {
    return this.executor.starts.filter((start) => start.id === id).map(({ at }) => at);
  }

  /** Asks the scheduler, and lets time pass for the disk until there is an answer. */
  schedule<T>(build: (reply: Reply<T>) => SchedulerMessage): Promise<T> {
    return this.#waited(watched(this.scheduler.ask(build, forEver)));
  }

  /** Asks, and lets time pass for the disk until there is an answer. */
  answered<T>(build: (reply: Reply<T>) => QueueMessage): Promise<T> {
    return this.#waited(this.ask(build));
  }

  async #waited<T>(answer: Promise<T>): Promise<T> {
    await this.settle();
    // The disk takes its time.
    for (let step = 0; step < 100 && (await stateOf(answer)) === "pending"; step++) await this.advance(1);
    return answer;
  }

  get #given(): { storage: ObservedStorage; executor: SimulatedExecutor; tree: RunningTree } {
    if (this.#parts === undefined) throw new Error("The supervisor was not started.");
    return this.#parts;
  }
}

/** A promise that may reject before anybody looks. */
export function watched<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** What has become of a promise. */
export async function stateOf(promise: Promise<unknown>): Promise<"pending" | "resolved" | "rejected"> {
  return Promise.race([
    promise.then(
      () => "resolved" as const,
      () => "rejected" as const,
    ),
    new Promise<"pending">((resolve) => setImmediate(() => resolve("pending"))),
  ]);
}
