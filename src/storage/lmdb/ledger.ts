import { isTerminal, taskStates, type TaskState } from "../../task/state.ts";
import { configured, newQueue } from "../queue-record.ts";
import { Rates, type RateKey } from "../rates.ts";
import type { Counts, QueueRecord, QueueSettings, Totals } from "../storage.ts";
import type { Bucket } from "../token-bucket.ts";
import type { TaskRequest } from "../../task/task.ts";
import { decodeData, encodeData, type Place } from "./records.ts";
import type { Table } from "./tables.ts";

/**
 * A line of ready tasks of one queue, name and executor, so that a claim can leave it alone as a whole. Tasks that are
 * being staged stand in lanes of their stage, which nobody looks into until it is published. So a million tasks appear
 * by one small write.
 */
export interface Lane {
  readonly number: number;
  readonly queue: string;
  readonly name: string;
  readonly executor?: string;
  /** It is where such tasks stand that come or come back; others were filled by a stage. */
  readonly isOwn: boolean;
  /** Set while it is being filled. */
  stage?: string;
}

interface QueueEntry {
  readonly record: QueueRecord;
  readonly number: number;
}

interface StageEntry {
  readonly lanes: number[];
  /** Tasks by queue and first state. */
  readonly counts: Map<string, number[]>;
}

type StoredTotals = Record<keyof Totals | "sequence" | "event" | "lane", number>;

/** Names hold no control characters. */
const laneName = ({ queue, name, executor = "" }: Pick<TaskRequest, "queue" | "name" | "executor">): string =>
  `${queue}\0${name}\0${executor}`;

const stateNumbers = Object.fromEntries(taskStates.map((state, index) => [state, index])) as Record<TaskState, number>;

/**
 * What a store knows by heart: queues, lanes, counters. Kept in memory, written at the end of every transaction that
 * changed it, so reading a counter costs nothing and a crash never leaves it wrong. It changes only inside
 * transactions; one that fails fences the store, so nothing needs undoing.
 */
export class Ledger {
  readonly #meta: Table;
  readonly #place: Place;
  readonly #queues = new Map<string, QueueEntry>();
  readonly #lanes = new Map<number, Lane>();
  readonly #ownLanes = new Map<string, Lane>();
  readonly #stages = new Map<string, StageEntry>();
  readonly #counts = new Map<string, number[]>();
  readonly #parked = new Map<string, number>();
  /** Keys of records that are to be written, and queues whose counters are. */
  readonly #dirty = new Set<string>();
  readonly #dirtyCounts = new Set<string>();
  /** What is left of rate limits. */
  readonly rates: Rates;
  #lastRequest: TaskRequest | undefined;
  #lastLane: Lane | undefined;
  #lastQueue: string | undefined;
  #lastCounts: number[] = [];
  #totals: StoredTotals = {
    enqueued: 0,
    completed: 0,
    failed: 0,
    retried: 0,
    interrupted: 0,
    late: 0,
    sequence: 0,
    event: 0,
    lane: 0,
  };

  constructor(meta: Table, place: Place) {
    this.#meta = meta;
    this.#place = place;
    const totals = this.#read<StoredTotals>("totals");
    if (totals !== undefined) this.#totals = totals;
    for (const [name, entry] of this.#range<QueueEntry>("queue:")) this.#queues.set(name, entry);
    for (const [, lane] of this.#range<Lane>("lane:")) this.#keepLane(lane);
    for (const [name, counts] of this.#range<number[]>("counts:")) this.#counts.set(name, counts);
    for (const [name, count] of this.#range<number>("parked:")) this.#parked.set(name, count);
    this.rates = new Rates(this.#range<Bucket>("rate:") as Iterable<[RateKey, Bucket]>, (key) =>
      this.#dirty.add(`rate:${key}`),
    );
  }

  // ---------------------------------------------------------------------------------------------------- counters

  count(queue: string, state: TaskState, by: number): void {
    // Changes come in runs of one queue.
    if (queue !== this.#lastQueue) {
      this.#lastQueue = queue;
      this.#lastCounts = this.#countsOf(queue);
      this.#dirtyCounts.add(queue);
    }
    const index = stateNumbers[state];
    this.#lastCounts[index] = (this.#lastCounts[index] ?? 0) + by;
  }

  countOf(queue: string, state: TaskState): number {
    return this.#counts.get(queue)?.[stateNumbers[state]] ?? 0;
  }

  /** Tasks of the queue that have not ended. */
  unfinished(queue: string): number {
    let sum = 0;
    for (const state of taskStates) if (!isTerminal(state)) sum += this.countOf(queue, state);
    return sum;
  }

  park(name: string, by: number): void {
    this.#parked.set(name, (this.#parked.get(name) ?? 0) + by);
    this.#dirty.add(`parked:${name}`);
  }

  parked(): ReadonlyMap<string, number> {
    return new Map([...this.#parked].filter(([, count]) => count > 0));
  }

  total(what: keyof Totals, by = 1): void {
    this.#totals[what] += by;
    this.#dirty.add("totals");
  }

  counts(): Counts {
    const queues = new Map<string, Partial<Record<TaskState, number>>>();
    for (const [queue, numbers] of this.#counts) {
      const states: Partial<Record<TaskState, number>> = {};
      taskStates.forEach((state, index) => {
        const count = numbers[index] ?? 0;
        if (count > 0) states[state] = count;
      });
      if (Object.keys(states).length > 0) queues.set(queue, states);
    }
    let parked = 0;
    for (const count of this.#parked.values()) parked += count;
    const { sequence: _sequence, event: _event, lane: _lane, ...totals } = this.#totals;
    return { queues, parked, totals };
  }

  /** The next accept sequence, or the first of so many. */
  nextSequence(size = 1): number {
    this.#dirty.add("totals");
    this.#totals.sequence += size;
    return this.#totals.sequence - size + 1;
  }

  nextEvent(): number {
    this.#dirty.add("totals");
    return ++this.#totals.event;
  }

  // ---------------------------------------------------------------------------------------------- queues and lanes

  queues(): QueueRecord[] {
    return [...this.#queues.values()].map(({ record }) => record);
  }

  queue(name: string): QueueEntry {
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const entry: QueueEntry = { record: newQueue(name), number: ++this.#totals.lane };
    this.#queues.set(name, entry);
    this.#dirty.add("totals").add(`queue:${name}`);
    return entry;
  }

  /** The queue, if one of this name was ever used; `queue` would make it. */
  knownQueue(name: string): QueueEntry | undefined {
    return this.#queues.get(name);
  }

  configure(name: string, patch: QueueSettings): QueueRecord {
    const entry = this.queue(name);
    const record = configured(entry.record, patch);
    this.#queues.set(name, { ...entry, record });
    this.#dirty.add(`queue:${name}`);
    return record;
  }

  /** The lanes that claims look into. */
  *openLanes(): Iterable<Lane> {
    for (const lane of this.#lanes.values()) if (lane.stage === undefined) yield lane;
  }

  isHidden(lane: number): boolean {
    return this.#stages.size > 0 && this.#lanes.get(lane)?.stage !== undefined;
  }

  /** Where tasks like this stand when they are ready. */
  lane(request: TaskRequest): Lane {
    if (request === this.#lastRequest && this.#lastLane !== undefined) return this.#lastLane;
    this.#lastRequest = request;
    this.#lastLane = this.knownLane(request) ?? this.#newLane(request, true);
    return this.#lastLane;
  }

  /** The lane, if it was ever used. */
  knownLane(request: Pick<TaskRequest, "queue" | "name" | "executor">): Lane | undefined {
    return this.#ownLanes.get(laneName(request));
  }

  #newLane({ queue, name, executor }: TaskRequest, isOwn: boolean, stage?: string): Lane {
    if (isOwn) this.queue(queue);
    const lane: Lane = {
      number: ++this.#totals.lane,
      queue,
      name,
      isOwn,
      ...(executor === undefined ? {} : { executor }),
      ...(stage === undefined ? {} : { stage }),
    };
    this.#keepLane(lane);
    this.#dirty.add("totals").add(`lane:${lane.number}`);
    return lane;
  }

  #keepLane(lane: Lane): void {
    this.#lanes.set(lane.number, lane);
    if (lane.isOwn) this.#ownLanes.set(laneName(lane), lane);
  }

  dropLane(lane: number): void {
    this.#lanes.delete(lane);
    this.#dirty.add(`lane:${lane}`);
  }

  // ---------------------------------------------------------------------------------------------------- stages

  /** The lane in which tasks like this gather until `stage` is published. */
  stageLane(stage: string, request: TaskRequest): number {
    const entry: StageEntry = this.#stages.get(stage) ?? { lanes: [], counts: new Map() };
    this.#stages.set(stage, entry);
    const wanted = laneName(request);
    for (const number of entry.lanes) {
      const lane = this.#lanes.get(number);
      if (lane !== undefined && laneName(lane) === wanted) return number;
    }
    const { number } = this.#newLane(request, false, stage);
    entry.lanes.push(number);
    return number;
  }

  countStaged(stage: string, queue: string, state: TaskState, by = 1): void {
    const counts = this.#stages.get(stage)?.counts;
    if (counts === undefined) return;
    const numbers = counts.get(queue) ?? taskStates.map(() => 0);
    const index = stateNumbers[state];
    numbers[index] = (numbers[index] ?? 0) + by;
    counts.set(queue, numbers);
  }

  /** Tasks of each queue that a stage would add. */
  staged(stage: string): ReadonlyMap<string, number> {
    const counts = this.#stages.get(stage)?.counts ?? new Map<string, number[]>();
    return new Map([...counts].map(([queue, numbers]) => [queue, numbers.reduce((sum, n) => sum + n, 0)]));
  }

  publish(stage: string): void {
    const entry = this.#stages.get(stage);
    if (entry === undefined) return;
    for (const number of entry.lanes) {
      const lane = this.#lanes.get(number);
      if (lane !== undefined) delete lane.stage;
      this.#dirty.add(`lane:${number}`);
    }
    for (const [queue, numbers] of entry.counts) {
      this.queue(queue);
      taskStates.forEach((state, index) => this.count(queue, state, numbers[index] ?? 0));
      this.total(
        "enqueued",
        numbers.reduce((sum, n) => sum + n, 0),
      );
    }
    this.#stages.delete(stage);
  }

  /** Lanes of `stage`, or of every stage that is not published. */
  hiddenLanes(stage?: string): Lane[] {
    return [...this.#lanes.values()].filter((lane) => lane.stage !== undefined && (stage ?? lane.stage) === lane.stage);
  }

  forgetStage(stage: string): void {
    this.#stages.delete(stage);
  }

  // ---------------------------------------------------------------------------------------------------- persistence

  /** Writes what changed; inside the transaction that changed it. */
  save(): void {
    this.#lastQueue = undefined;
    for (const queue of this.#dirtyCounts) this.#dirty.add(`counts:${queue}`);
    this.#dirtyCounts.clear();
    for (const key of this.#dirty) {
      const value = this.#valueOf(key);
      if (value === undefined) this.#meta.remove(Buffer.from(key, "utf8"));
      else this.#meta.put(Buffer.from(key, "utf8"), encodeData(value));
    }
    this.#dirty.clear();
  }

  #valueOf(key: string): unknown {
    if (key === "totals") return this.#totals;
    const colon = key.indexOf(":");
    const name = key.slice(colon + 1);
    switch (key.slice(0, colon)) {
      case "queue":
        return this.#queues.get(name);
      case "lane":
        return this.#lanes.get(Number(name));
      case "counts":
        return this.#counts.get(name);
      case "rate":
        return this.rates.get(name as RateKey);
      default:
        return this.#parked.get(name) || undefined;
    }
  }

  #countsOf(queue: string): number[] {
    let counts = this.#counts.get(queue);
    if (counts === undefined) {
      counts = taskStates.map(() => 0);
      this.#counts.set(queue, counts);
    }
    return counts;
  }

  #read<T>(key: string): T | undefined {
    const bytes = this.#meta.get(Buffer.from(key, "utf8"));
    return bytes === undefined ? undefined : decodeData<T>(bytes, this.#place);
  }

  *#range<T>(prefix: string): Iterable<[string, T]> {
    const start = Buffer.from(prefix, "utf8");
    const end = Buffer.concat([start, Buffer.from([0xff])]);
    for (const { key, value } of this.#meta.getRange({ start, end })) {
      yield [Buffer.from(key).toString("utf8", start.length), decodeData<T>(value, this.#place)];
    }
  }
}
