import { firstPlace, firstPlaces, type KeyPlace, type Standing } from "./key-places.ts";
import { isPlaceBefore, lineId, lineKey, lineLaneOf, linePart, type LinePart } from "./keys.ts";
import type { Lanes } from "./lanes.ts";
import type { Table } from "./tables.ts";

/**
 * Ready tasks with one `concurrencyKey`: some are forward, in the order of ready tasks, others aside. Those that a stage
 * brought are with the others of their kind, in the lane of which they are when they go forward.
 */
export class KeyedTasks {
  readonly #table: Table;
  readonly #lanes: Lanes;

  constructor(table: Table, lanes: Lanes) {
    this.#table = table;
    this.#lanes = lanes;
  }

  put(part: KeyedPart, key: Buffer, standing: Standing): void {
    this.#table.put(placeIn(part, standing, this.#lanes.of(standing.request).number), key);
  }

  remove(standing: Standing): void {
    const lane = this.laneOf(standing);
    this.#table.remove(placeIn(linePart.forward, standing, lane));
    this.#table.remove(placeIn(linePart.aside, standing, lane));
  }

  isAside(standing: Standing): boolean {
    return this.#table.doesExist(placeIn(linePart.aside, standing, this.laneOf(standing)));
  }

  /** Whether one of its kind that goes before it is forward. */
  isBehind(standing: Standing): boolean {
    const lane = this.laneOf(standing);
    return this.#isForwardBefore(placeIn(linePart.aside, standing, lane), idOf(standing), lane);
  }

  /** The lane of its kind. As long as that was never used, nothing of the kind is here. */
  laneOf({ request, lane }: Standing): number {
    return this.#lanes.known(request)?.number ?? lane;
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

const placeIn = (part: KeyedPart, standing: Standing, lane: number): Buffer =>
  lineKey(part, idOf(standing), lane, standing.request.priority, standing.sequence);
