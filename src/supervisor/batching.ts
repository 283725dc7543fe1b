import type { StoredTask } from "../task/task.ts";

/**
 * How many tasks travel to a worker together. Short ones go many to a message, because a message costs more than they
 * do. A batch is short enough to keep a worker, and who wants to know its first result, only for a moment, and long
 * enough that a worker with one more behind it never runs dry: where all cores are busy, the supervisor may have to
 * wait for its turn for some milliseconds. What of a batch was not started can be taken back at any time.
 */
export const batchMs = 4;
export const largestBatch = 512;

/** What is known about a name that never ran: enough to go alone. */
const unknownMs = batchMs;
const weight = 0.2;

/** Learns how long the tasks of each name take. */
export class Durations {
  readonly #means = new Map<string, number>();
  #meanOfAll = unknownMs;

  learn(name: string, durationMs: number): void {
    const mean = this.#means.get(name);
    this.#means.set(name, mean === undefined ? durationMs : mean + weight * (durationMs - mean));
    this.#meanOfAll += weight * (durationMs - this.#meanOfAll);
  }

  /** The size of a batch of such tasks as ran lately. */
  typicalBatch(): number {
    return Math.min(largestBatch, Math.max(1, Math.floor(batchMs / Math.max(this.#meanOfAll, batchMs / largestBatch))));
  }

  of(name: string): number {
    return this.#means.get(name) ?? unknownMs;
  }
}

/** How many tasks from the head of `tasks` make the next batch: at least one, at most `most`. */
export function nextBatch(
  tasks: readonly { readonly task: StoredTask }[],
  from: number,
  durations: Durations,
  most: number = largestBatch,
): { size: number; estimateMs: number } {
  let size = 0;
  let estimateMs = 0;
  for (let at = from; at < tasks.length && size < Math.min(most, largestBatch); at++) {
    const waiting = tasks[at];
    if (waiting === undefined) break;
    const duration = durations.of(waiting.task.request.name);
    if (size > 0 && estimateMs + duration > batchMs) break;
    estimateMs += duration;
    size++;
  }
  return { size, estimateMs };
}
