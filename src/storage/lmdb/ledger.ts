import { isTerminal, taskStates, type TaskState } from "../../task/state.ts";
import { configured, newQueue } from "../queue-record.ts";
import { KeyRates } from "../key-rates.ts";
import { Rates, type RateKey } from "../rates.ts";
import type { Counts, QueueRecord, QueueSettings, Totals } from "../storage.ts";
import type { Bucket } from "../token-bucket.ts";
import { Lanes, type Lane } from "./lanes.ts";
import { decodeData, encodeData } from "./records.ts";
import type { Table } from "./tables.ts";

interface QueueEntry {
  readonly record: QueueRecord;
  readonly number: number;
}

type StoredTotals = Record<keyof Totals | "sequence" | "event" | "lane", number>;

const stateNumbers = Object.fromEntries(taskStates.map((state, index) => [state, index])) as Record<TaskState, number>;

/**
 * What a store knows by heart: queues, lanes, counters. Kept in memory, written at the end of every transaction that
 * changed it, so reading a counter costs nothing and a crash never leaves it wrong. It changes only inside
 * transactions; one that fails fences the store, so nothing needs undoing.
 */
export class Ledger {
  readonly #meta: Table;
  readonly #queues = new Map<string, QueueEntry>();
  readonly #counts = new Map<string, number[]>();
  readonly #parked = new Map<string, number>();
  /** Keys of records that are to be written, and queues whose counters are. */
  readonly #dirty = new Set<string>();
  readonly #dirtyCounts = new Set<string>();
  readonly lanes: Lanes;
  /** What is left of rate limits. */
  readonly rates: Rates;
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

  constructor(meta: Table) {
    this.#meta = meta;
    const totals = this.#read<StoredTotals>("totals");
    if (totals !== undefined) this.#totals = totals;
    for (const [name, entry] of this.#range<QueueEntry>("queue:")) this.#queues.set(name, entry);
    const lanes = Array.from(this.#range<Lane>("lane:"), ([, lane]) => lane);
    this.lanes = new Lanes(
      lanes,
      () => this.#nextNumber(),
      ({ number, queue, isOwn }) => {
        if (isOwn) this.queue(queue);
        this.#dirty.add(`lane:${number}`);
      },
    );
    for (const [name, counts] of this.#range<number[]>("counts:")) this.#counts.set(name, counts);
    for (const [handler, count] of this.#range<number>("parked:")) this.#parked.set(handler, count);
    this.rates = new Rates(
      this.#range<Bucket>("rate:") as Iterable<[RateKey, Bucket]>,
      (key) => this.#dirty.add(`rate:${key}`),
      new KeyRates(this.#range<Bucket>("key-rate:"), (line) => this.#dirty.add(`key-rate:${line}`)),
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

  /** Counts tasks that wait for a handler. */
  park(handler: string, by: number): void {
    this.#parked.set(handler, (this.#parked.get(handler) ?? 0) + by);
    this.#dirty.add(`parked:${handler}`);
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

  /** The accept sequence that was given last. */
  get lastSequence(): number {
    return this.#totals.sequence;
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

  // ---------------------------------------------------------------------------------------------- queues

  queues(): QueueRecord[] {
    return [...this.#queues.values()].map(({ record }) => record);
  }

  queue(name: string): QueueEntry {
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const entry: QueueEntry = { record: newQueue(name), number: this.#nextNumber() };
    this.#queues.set(name, entry);
    this.#dirty.add(`queue:${name}`);
    return entry;
  }

  /** Of queues and lanes. */
  #nextNumber(): number {
    this.#dirty.add("totals");
    return ++this.#totals.lane;
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

  /** Makes what a stage holds appear, and counts it. */
  publish(stage: string): void {
    for (const [queue, sizes] of this.lanes.staged(stage)) {
      this.queue(queue);
      for (const [state, size] of sizes) {
        this.count(queue, state, size);
        this.total("enqueued", size);
      }
    }
    this.lanes.publish(stage);
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
        return this.lanes.get(Number(name));
      case "counts":
        return this.#counts.get(name);
      case "rate":
        return this.rates.get(name as RateKey);
      case "key-rate":
        return this.rates.keys.get(name);
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
    return bytes === undefined ? undefined : decodeData<T>(bytes);
  }

  *#range<T>(prefix: string): Iterable<[string, T]> {
    const start = Buffer.from(prefix, "utf8");
    const end = Buffer.concat([start, Buffer.from([0xff])]);
    for (const { key, value } of this.#meta.getRange({ start, end })) {
      yield [Buffer.from(key).toString("utf8", start.length), decodeData<T>(value)];
    }
  }
}
