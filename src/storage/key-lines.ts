import type { TaskRequest } from "../task/task.ts";
import type { Limits } from "./storage.ts";

/** Tasks that share a key of their requests, and what holds some of them back. */
export interface KeyLine {
  /** No other line has it. It holds control characters, which no key or name does. */
  readonly name: string;
  /** Only the first of those that have not ended may be claimed. */
  readonly isOrdered: boolean;
  /** The most that run at the same time. */
  readonly capacity: number;
}

/** Whether the task stands in any line. Most do not, and pay nothing. */
export const isLined = ({ orderingKey, concurrencyKey }: TaskRequest): boolean =>
  orderingKey !== undefined || concurrencyKey !== undefined;

/** The lines of a task, in the order in which they have to admit it. */
export function linesOf(
  { queue, name, orderingKey, concurrencyKey }: TaskRequest,
  ofName?: Limits,
  ofQueue?: Limits,
): readonly KeyLine[] {
  const lines: KeyLine[] = [];
  if (orderingKey !== undefined) {
    lines.push({ name: `ordered\0${queue}\0${orderingKey}`, isOrdered: true, capacity: 1 });
  }
  if (concurrencyKey !== undefined) {
    lines.push(
      { name: `name\0${name}\0${concurrencyKey}`, isOrdered: false, capacity: capacityOf(ofName) },
      { name: `queue\0${queue}\0${concurrencyKey}`, isOrdered: false, capacity: capacityOf(ofQueue) },
    );
  }
  return lines;
}

const capacityOf = (limits?: Limits): number => limits?.concurrencyPerKey ?? Number.POSITIVE_INFINITY;
