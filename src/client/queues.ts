import type { Duration } from "../base/duration.ts";
import { checkName } from "../base/names.ts";
import { readCall } from "../config/call-options.ts";
import type { SupervisorCalls } from "../bridge/contract.ts";
import { queueLimitsOf } from "../config/limits.ts";
import type { Counts, QueueRecord, StateCounts } from "../storage/storage.ts";
import type { RateLimit } from "../storage/token-bucket.ts";
import type { LeasedTask } from "../supervisor/protocol.ts";
import { encode } from "../task/codec.ts";
import type { ConcurrencyOptions, RateLimitOptions } from "../task/definition.ts";
import { toTaskError } from "../task/task-error.ts";
import type { Payload } from "../task/task.ts";
import { queryOf, type Filter } from "./filter.ts";
import { recordOf, type TaskRecord } from "./record.ts";

/** Limits of a queue; `null` takes one away. They are stored. */
export interface QueueLimits {
  /** The most tasks of it that run at the same time. */
  readonly concurrency?: number | ConcurrencyOptions | null | undefined;
  /** How many tasks of it may start. */
  readonly rateLimit?: RateLimitOptions | null | undefined;
  /** The most unfinished tasks it may hold. */
  readonly maxSize?: number | null | undefined;
  /** Its share with routing `"weighted"`, 1 to 1000. Default 1. */
  readonly weight?: number | null | undefined;
  /** With `"aging"`, the priority of a task rises by one with every `agingStep` that it waits. Default `"fifo"`. */
  readonly priorityPolicy?: "fifo" | "aging" | undefined;
  /** Default 1 min. */
  readonly agingStep?: Duration | undefined;
}

export interface QueueStats {
  readonly name: string;
  readonly paused: boolean;
  readonly concurrency?: number | ConcurrencyOptions;
  readonly rateLimit?: RateLimitOptions;
  readonly maxSize?: number;
  readonly weight?: number;
  /** Milliseconds; left out where priorities do not age. */
  readonly agingStep?: number;
  /** Tasks by state; states without tasks are left out. */
  readonly states: StateCounts;
}

export interface DequeueOptions {
  /** How long to wait when there is none. Default 0. */
  readonly waitMs?: Duration | undefined;
  /** How long the task is held; then it is ready again. Default 30 s. */
  readonly leaseMs?: Duration | undefined;
  /** `"manual"` (default): call `ack` or `nack`. `"auto"`: it is completed when this resolves. */
  readonly ack?: "manual" | "auto" | undefined;
}

/** What handles of queues need of the runtime. */
export interface QueueSource {
  readonly calls: SupervisorCalls;
  readonly maxPayloadBytes: number;
  readonly noResult: Payload;
}

/** Named lines of tasks. */
export class Queues {
  readonly #source: QueueSource;

  /** @internal */
  constructor(source: QueueSource) {
    this.#source = source;
  }

  /** The queue of this name, used or not. */
  get(name: string): Queue {
    return new Queue(checkName("queue", name), this.#source);
  }

  /** Every queue that was used, configured or paused, by name. */
  async list(): Promise<QueueStats[]> {
    const { calls } = this.#source;
    const [queues, counts] = await Promise.all([calls.queues(), calls.counts()]);
    return queues.map((record) => statsOf(record, counts)).sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

export class Queue {
  readonly name: string;
  readonly #source: QueueSource;

  /** @internal */
  constructor(name: string, source: QueueSource) {
    this.name = name;
    this.#source = source;
  }

  /** Starts no more of its tasks, also after a restart; what runs goes on. */
  async pause(): Promise<void> {
    await this.#source.calls.configureQueue(this.name, { isPaused: true });
  }

  async resume(): Promise<void> {
    await this.#source.calls.configureQueue(this.name, { isPaused: false });
  }

  /** Changes the limits that are given. @throws InvalidArgumentError. */
  async configure(limits: QueueLimits): Promise<void> {
    const given = readCall("limits", limits, "limits");
    await this.#source.calls.configureQueue(this.name, queueLimitsOf(given, "limits"));
  }

  /** Deletes its tasks that match and do not run. Resolves with how many. */
  async purge(filter: Omit<Filter, "queue" | "limit" | "cursor"> = {}): Promise<number> {
    const { limit: _limit, ...query } = queryOf(filter);
    return this.#source.calls.purge({ ...query, queue: this.name });
  }

  async stats(): Promise<QueueStats> {
    const all = await this.#source.calls.queues();
    const counts = await this.#source.calls.counts();
    return statsOf(all.find(({ name }) => name === this.name) ?? { name: this.name, isPaused: false }, counts);
  }

  /**
   * Takes the next task by hand, instead of a worker: by priority, then age. `undefined` when there is none within
   * `waitMs`. Workers take tasks of the same queue; open the runtime with `executors: { threads: 0 }` to have none.
   */
  async dequeue(options: DequeueOptions = {}): Promise<Lease | undefined> {
    const { waitMs = 0, leaseMs = 30_000, ack = "manual" } = readCall("dequeue", options);
    const { calls, noResult } = this.#source;
    const leased = await calls.lease([this.name], leaseMs, waitMs, ack, noResult);
    return leased === undefined ? undefined : new Lease(leased, this.#source);
  }
}

/** A queue as its owner reads it: limits as they could be given. */
function statsOf(
  { name, isPaused, maxSize, weight, agingStepMs, ...limits }: QueueRecord,
  { queues }: Counts,
): QueueStats {
  const { concurrency: max, concurrencyPerKey: perKey, rateLimit } = limits;
  const concurrency = perKey === undefined ? max : { ...(max === undefined ? {} : { max }), perKey };
  return {
    name,
    paused: isPaused,
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(rateLimit === undefined ? {} : { rateLimit: statedRate(rateLimit) }),
    ...(maxSize === undefined ? {} : { maxSize }),
    ...(weight === undefined ? {} : { weight }),
    ...(agingStepMs === undefined ? {} : { agingStep: agingStepMs }),
    states: queues.get(name) ?? {},
  };
}

const statedRate = ({ perMs, ...rate }: RateLimit): RateLimitOptions => ({ ...rate, per: perMs });

/** A task that was taken by hand. Each method tells whether the lease was still held. */
export class Lease {
  /** As it was when it was taken. */
  readonly task: TaskRecord;
  readonly #leased: LeasedTask;
  readonly #source: QueueSource;

  /** @internal */
  constructor(leased: LeasedTask, source: QueueSource) {
    this.task = recordOf(leased.task);
    this.#leased = leased;
    this.#source = source;
  }

  get id(): string {
    return this.task.id;
  }

  get args(): readonly unknown[] {
    return this.task.args;
  }

  /** When the lease ends, if `extend` was not called. */
  get until(): Date {
    return new Date(this.#leased.until);
  }

  /** It is done. */
  async ack(result?: unknown): Promise<boolean> {
    const { maxPayloadBytes } = this.#source;
    return this.#end({ type: "ack", result: encode(result, "result", { maxBytes: maxPayloadBytes }) });
  }

  /** It failed: it is retried as its options say, or after exactly `delay`. */
  async nack(
    error: unknown = new Error("nack"),
    options: { readonly delay?: Duration | undefined } = {},
  ): Promise<boolean> {
    const { delay } = readCall("nack", options);
    return this.#end({ type: "nack", error: toTaskError(error), ...(delay === undefined ? {} : { delayMs: delay }) });
  }

  /** It was not begun: it is ready again, at its old place. */
  release(): Promise<boolean> {
    return this.#end({ type: "release" });
  }

  /** The lease ends this long from now, unless it ends later already. */
  async extend(lease: Duration): Promise<boolean> {
    const { leaseMs = 0 } = readCall("dequeue", { leaseMs: lease });
    return this.#end({ type: "extend", leaseMs });
  }

  #end(end: Parameters<SupervisorCalls["endLease"]>[2]): Promise<boolean> {
    const { task, fence } = this.#leased;
    return this.#source.calls.endLease(task, fence, end);
  }
}
