import type { EpochMs } from "../../base/clock.ts";
import type { TaskRequest } from "../../task/task.ts";
import { keyOfLine, limitedLinesOf, linesOfQueue, orderedLineOf, type KeyLine } from "../key-lines.ts";
import type { Standing } from "./key-places.ts";
import { KeyedTasks } from "./keyed-tasks.ts";
import { linePart } from "./keys.ts";
import { OrderedTasks } from "./ordered-tasks.ts";
import type { Store } from "./store.ts";

/**
 * Tasks that share a key, most of which are kept out of the order of ready tasks: a million of one key cost a claim
 * nothing. A ready task stands in that order, or behind others of its `orderingKey`, or aside from others of its
 * `concurrencyKey`.
 *
 * Two things always hold. The first that has not ended of an `orderingKey` is not behind, unless another one runs. And
 * of the tasks of a kind (one queue, name and executor) with one `concurrencyKey`, none is aside while there is room for
 * it and no better one is forward. There is no room only because of what runs and of what rate limits hold, all of
 * which is known by heart, so neither an opening nor a limit that has changed has to look through the tasks that wait.
 */
export class Lines {
  readonly #store: Store;
  readonly #ordered: OrderedTasks;
  readonly #keyed: KeyedTasks;

  constructor(store: Store) {
    this.#store = store;
    this.#ordered = new OrderedTasks(store.tables.lines, store.ledger);
    this.#keyed = new KeyedTasks(store.tables.lines, store.ledger.lanes);
  }

  /** A task is stored, or is unfinished again. */
  join(key: Buffer, standing: Standing): void {
    if (standing.request.orderingKey !== undefined) this.#ordered.join(key, standing);
  }

  /** A task is over, or deleted: the next in order may be claimed. It waits no more, and is not claimed. */
  leave(standing: Standing): void {
    if (standing.request.orderingKey === undefined) return;
    this.#ordered.leave(standing);
    this.#nextInOrder(standing.request);
  }

  /** A task is ready. */
  place(key: Buffer, standing: Standing): void {
    if (this.#mustStayBehind(standing)) this.#ordered.putBehind(key, standing);
    else this.#placeByKey(key, standing);
  }

  /** A task that was ready waits no more. */
  withdraw(standing: Standing): void {
    this.#remove(standing);
    this.#nextOfKind(standing);
  }

  /** A claim has ended. The task, if it is ready again, is placed after this. */
  freed(request: TaskRequest): void {
    if (request.orderingKey !== undefined) this.#nextInOrder(request);
    if (request.concurrencyKey !== undefined) this.#nextOfKey(request.concurrencyKey);
  }

  /** Whether a task that was taken out of the order may be claimed; one that may not is put behind or aside. */
  admit(key: Buffer, standing: Standing, now: EpochMs): boolean {
    this.#remove(standing);
    if (this.#mustStayBehind(standing)) {
      this.#ordered.putBehind(key, standing);
      this.#nextOfKind(standing);
      return false;
    }
    if (this.#limitsOf(standing.request).every((line) => this.#hasRoom(line) && this.#mayStart(line, now))) return true;
    this.#keyed.put(linePart.aside, key, standing);
    return false;
  }

  /** A task that was admitted runs. */
  started(standing: Standing, now: EpochMs): void {
    const limits = this.#limitsOf(standing.request);
    for (const { name, rateLimit } of limits) {
      if (rateLimit !== undefined) this.#store.ledger.rates.keys.started(name, rateLimit, now);
    }
    // Those of its kind have the same limits.
    if (limits.every((line) => this.#hasRoom(line))) this.#nextOfKind(standing);
  }

  /** Whether the task is ready, but not in the order. */
  isOut(standing: Standing): boolean {
    const { orderingKey, concurrencyKey } = standing.request;
    return (
      (orderingKey !== undefined && this.#ordered.isBehind(standing)) ||
      (concurrencyKey !== undefined && this.#keyed.isAside(standing))
    );
  }

  /** Limits of a queue have changed. */
  reconfigured(queue: string): void {
    const { claims, ledger } = this.#store;
    for (const name of claims.linesRunning(linesOfQueue(queue))) this.#nextOfKey(keyOfLine(name));
    ledger.rates.keys.releaseAll();
  }

  /** Puts forward what rate limits have held until now, some at a time; gives whether there was any. */
  release(now: EpochMs): boolean {
    const names = this.#store.ledger.rates.keys.release(now, mostReleased);
    for (const name of names) this.#nextOfKey(keyOfLine(name));
    return names.length > 0;
  }

  #placeByKey(key: Buffer, standing: Standing): void {
    const { request, sequence } = standing;
    if (request.concurrencyKey !== undefined) {
      const limits = this.#limitsOf(request);
      if (!limits.every((line) => this.#hasRoom(line)) || this.#keyed.isBehind(standing)) {
        this.#keyed.put(linePart.aside, key, standing);
        return;
      }
      // Without a limit, nobody stays aside because of it.
      if (limits.some(isLimit)) this.#keyed.put(linePart.forward, key, standing);
    }
    this.#store.ready.put(this.#store.ledger.lanes.of(request).number, request.priority, sequence, key);
  }

  #nextInOrder(request: TaskRequest): void {
    const key = this.#ordered.takeFirst(request);
    const row = key === undefined ? undefined : this.#store.row(key);
    if (key !== undefined && row !== undefined) this.place(key, row);
  }

  #nextOfKey(concurrencyKey: string): void {
    for (const lane of Array.from(this.#keyed.lanesAside(concurrencyKey))) this.#nextIn(concurrencyKey, lane);
  }

  #nextOfKind(standing: Standing): void {
    const { concurrencyKey } = standing.request;
    if (concurrencyKey !== undefined) this.#nextIn(concurrencyKey, this.#keyed.laneOf(standing));
  }

  /** Puts the best that is aside into the order, if there is room for it and no better one there. */
  #nextIn(concurrencyKey: string, lane: number): void {
    for (;;) {
      const best = this.#keyed.bestAside(concurrencyKey, lane);
      const row = best === undefined ? undefined : this.#store.row(best.key);
      if (best === undefined || row === undefined) return;
      if (!this.#limitsOf(row.request).every((line) => this.#hasRoom(line))) return;
      this.#keyed.remove(row);
      if (!this.#mustStayBehind(row)) {
        this.#keyed.put(linePart.forward, best.key, row);
        this.#store.ready.put(
          this.#store.ledger.lanes.of(row.request).number,
          row.request.priority,
          row.sequence,
          best.key,
        );
        return;
      }
      this.#ordered.putBehind(best.key, row);
    }
  }

  #mustStayBehind(standing: Standing): boolean {
    const line = orderedLineOf(standing.request);
    return line !== undefined && (this.#running(line) > 0 || !this.#ordered.isFirst(standing));
  }

  /** As far as is known without a look at the clock. */
  #hasRoom(line: KeyLine): boolean {
    return this.#running(line) < line.capacity && !this.#store.ledger.rates.keys.isHeld(line.name);
  }

  #mayStart({ name, rateLimit }: KeyLine, now: EpochMs): boolean {
    const { keys } = this.#store.ledger.rates;
    if (rateLimit === undefined || keys.left(name, rateLimit, now) > 0) return true;
    keys.hold(name);
    return false;
  }

  #remove(standing: Standing): void {
    const { orderingKey, concurrencyKey } = standing.request;
    if (orderingKey !== undefined) this.#ordered.removeBehind(standing);
    if (concurrencyKey !== undefined) this.#keyed.remove(standing);
  }

  #running(line: KeyLine): number {
    return this.#store.claims.runningIn(line.name);
  }

  #limitsOf(request: TaskRequest): readonly KeyLine[] {
    const { ledger, settings } = this.#store;
    return limitedLinesOf(request, settings.names?.get(request.name), ledger.knownQueue(request.queue)?.record);
  }
}

/** Lines that rate limits let go of in one step; the others follow. */
const mostReleased = 1_000;

const isLimit = ({ capacity, rateLimit }: KeyLine): boolean =>
  capacity < Number.POSITIVE_INFINITY || rateLimit !== undefined;
