import type { TaskRequest } from "../task/task.ts";
import type { Limits } from "./storage.ts";
import type { RateLimit } from "./token-bucket.ts";

/** Tasks that share a key of their requests, and what holds some of them back. */
export interface KeyLine {
  /** No other line has it. It holds control characters, which no key or name does. */
  readonly name: string;
  /** Only the first of those that have not ended may be claimed. */
  readonly isOrdered: boolean;
  /** The most that run at the same time. */
  readonly capacity: number;
  /** How many may start in a time. */
  readonly rateLimit?: RateLimit;
}

/** Whether the task stands in any line. Most do not, and pay nothing. */
export const isLined = ({ orderingKey, concurrencyKey }: TaskRequest): boolean =>
  orderingKey !== undefined || concurrencyKey !== undefined;

/** The lines of a task, in the order in which they have to admit it. */
export function linesOf(request: TaskRequest, ofName?: Limits, ofQueue?: Limits): readonly KeyLine[] {
  const ordered = orderedLineOf(request);
  const limited = limitedLinesOf(request, ofName, ofQueue);
  return ordered === undefined ? limited : [ordered, ...limited];
}

/** The tasks of a queue with one `orderingKey`. */
export const orderedLineOf = ({ queue, orderingKey }: TaskRequest): KeyLine | undefined =>
  orderingKey === undefined ? undefined : { name: `ordered\0${queue}\0${orderingKey}`, isOrdered: true, capacity: 1 };

/** The tasks of a name, and those of a queue, with one `concurrencyKey`. */
export const limitedLinesOf = (
  { queue, name, concurrencyKey }: TaskRequest,
  ofName?: Limits,
  ofQueue?: Limits,
): readonly KeyLine[] =>
  concurrencyKey === undefined
    ? none
    : [
        limitedLine(`name\0${name}\0${concurrencyKey}`, ofName),
        limitedLine(linesOfQueue(queue) + concurrencyKey, ofQueue),
      ];

/** With what the names of all lines of a queue that have a `concurrencyKey` begin. */
export const linesOfQueue = (queue: string): string => `queue\0${queue}\0`;

/** The `concurrencyKey` of the tasks in a line that has one. */
export const keyOfLine = (name: string): string => name.slice(name.lastIndexOf("\0") + 1);

function limitedLine(name: string, { concurrencyPerKey, rateLimit }: Limits = {}): KeyLine {
  const line = { name, isOrdered: false, capacity: concurrencyPerKey ?? Number.POSITIVE_INFINITY };
  return rateLimit?.perKey === true ? { ...line, rateLimit } : line;
}

const none: readonly KeyLine[] = [];
