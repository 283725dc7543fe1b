import { firstPlace, firstPlaces, type KeyPlace, type Standing } from "./key-places.ts";
import { isPlaceBefore, lineId, lineKey, lineLaneOf, linePart, type LinePart } from "./keys.ts";
import type { Table } from "./tables.ts";

/** Ready tasks with one `concurrencyKey`, by lane: some are forward, in the order of ready tasks, others aside. */
export class KeyedTasks {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  put(part: KeyedPart, key: Buffer, standing: Standing): void {
    this.#table.put(placeIn(part, standing), key);
  }

  remove(standing: Standing): void {
    this.#table.remove(placeIn(linePart.forward, standing));
    this.#table.remove(placeIn(linePart.aside, standing));
  }

  isAside(standing: Standing): boolean {
    return this.#table.doesExist(placeIn(linePart.aside, standing));
  }

  /** Whether one of its lane that goes before it is forward. */
  isBehind(standing: Standing): boolean {
    return this.#isForwardBefore(placeIn(linePart.aside, standing), idOf(standing), standing.lane);
  }

  /** The lanes that have tasks aside. */
  *lanesAside(concurrencyKey: string): Iterable<number> {
    for (const { at } of firstPlaces(this.#table, linePart.aside, lineId(concurrencyKey))) yield lineLaneOf(at);
  }

  /** The best of those aside in the lane, unless a better one is forward. */
  bestAside(concurrencyKey: string, lane: number): KeyPlace | undefined {
    const id = lineId(concurrencyKey);
    const best = firstPlace(this.#table, linePart.aside, id, lane);
    return best === undefined || this.#isForwardBefore(best.at, id, lane) ? undefined : best;
  }

  #isForwardBefore(at: Buffer, id: Buffer, lane: number): boolean {
    const forward = firstPlace(this.#table, linePart.forward, id, lane);
    return forward !== undefined && isPlaceBefore(forward.at, at);
  }
}

type KeyedPart = Extract<LinePart, typeof linePart.forward | typeof linePart.aside>;

const idOf = ({ request: { concurrencyKey = "" } }: Standing): Buffer => lineId(concurrencyKey);

const placeIn = (part: KeyedPart, standing: Standing): Buffer =>
  lineKey(part, idOf(standing), standing.lane, standing.request.priority, standing.sequence);
