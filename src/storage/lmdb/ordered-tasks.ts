import type { TaskRequest } from "../../task/task.ts";
import { firstPlaces, type Standing } from "./key-places.ts";
import { lineId, lineKey, lineLaneOf, linePart, lineSequenceOf } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import type { Table } from "./tables.ts";

/**
 * Tasks of a queue with one `orderingKey`. All that have not ended are members; of those that are ready, the ones that
 * a member goes before stand behind. What is staged goes before nobody until it is published.
 */
export class OrderedTasks {
  readonly #table: Table;
  readonly #ledger: Ledger;

  constructor(table: Table, ledger: Ledger) {
    this.#table = table;
    this.#ledger = ledger;
  }

  join(key: Buffer, standing: Standing): void {
    this.#table.put(placeIn(linePart.member, standing), key);
  }

  leave(standing: Standing): void {
    this.#table.remove(placeIn(linePart.member, standing));
  }

  isFirst({ request, sequence }: Standing): boolean {
    return this.#firstMember(request)?.sequence === sequence;
  }

  putBehind(key: Buffer, standing: Standing): void {
    this.#table.put(placeIn(linePart.behind, standing), key);
  }

  removeBehind(standing: Standing): void {
    this.#table.remove(placeIn(linePart.behind, standing));
  }

  isBehind(standing: Standing): boolean {
    return this.#table.doesExist(placeIn(linePart.behind, standing));
  }

  /** Takes out the first of all, if it stands behind. */
  takeFirst(request: TaskRequest): Buffer | undefined {
    const first = this.#firstMember(request);
    if (first === undefined) return undefined;
    const standing = { request, ...first };
    if (!this.isBehind(standing)) return undefined;
    this.removeBehind(standing);
    return first.key;
  }

  /** Each lane rises by itself. */
  #firstMember(request: TaskRequest): { lane: number; sequence: number; key: Buffer } | undefined {
    let first: { lane: number; sequence: number; key: Buffer } | undefined;
    for (const { at, key } of firstPlaces(this.#table, linePart.member, idOf(request))) {
      const [lane, sequence] = [lineLaneOf(at), lineSequenceOf(at)];
      if (this.#ledger.lanes.isHidden(lane)) continue;
      if (first === undefined || sequence < first.sequence) first = { lane, sequence, key };
    }
    return first;
  }
}

const idOf = ({ queue, orderingKey }: TaskRequest): Buffer => lineId(`${queue}\0${orderingKey}`);

/** Strict order knows no priorities. */
const placeIn = (
  part: typeof linePart.member | typeof linePart.behind,
  { request, lane, sequence }: Standing,
): Buffer => lineKey(part, idOf(request), lane, 0, sequence);
