import { lineLaneOf, lineRange, type LinePart } from "./keys.ts";
import type { TaskRow } from "./records.ts";
import type { Table } from "./tables.ts";

/** What it takes to know where a task stands. */
export type Standing = Pick<TaskRow, "request" | "lane" | "sequence">;

/** An entry of the table of places among tasks with one key. */
export interface KeyPlace {
  readonly at: Buffer;
  /** Of the task. */
  readonly key: Buffer;
}

/** The first place of a part, or of a lane of it. */
export function firstPlace(table: Table, part: LinePart, id: Buffer, lane?: number): KeyPlace | undefined {
  return firstIn(table, lineRange(part, id, lane));
}

/** The first place of each lane, however many stand behind it. */
export function* firstPlaces(table: Table, part: LinePart, id: Buffer): Iterable<KeyPlace> {
  const { start, end } = lineRange(part, id);
  for (let next = firstIn(table, { start, end }); next !== undefined;) {
    yield next;
    next = firstIn(table, { start: lineRange(part, id, lineLaneOf(next.at)).end, end });
  }
}

function firstIn(table: Table, { start, end }: { start: Buffer; end: Buffer }): KeyPlace | undefined {
  for (const { key, value } of table.getRange({ start, end, limit: 1 })) return { at: key, key: value };
  return undefined;
}
