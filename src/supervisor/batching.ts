import type { StoredTask } from "../task/task.ts";

/**
 * How many tasks travel to a worker together. Short ones go many to a message, because a message costs more than they
 * do. A batch is long enough that a worker with one more behind it never runs dry: where all cores are busy, the
 * supervisor may have to wait for its turn for some milliseconds, and every time that it gets one costs the workers
 * theirs. It is shorter where somebody waits for a task of it. What was not started can be taken back at any time.
 */
export const batchMs = { awaited: 4, others: 40 } as const;
export const largestBatch = 512;

/** What a task of a name that never ran is taken to take. It goes alone. */
const unknownMs = 4;
const weightOfOne = 0.2;
/** More tasks weigh no more: they may all have met with the same mishap. */
const mostAtOnce = 8;

/** Learns how long the tasks of each name take. */
export class Durations {
  readonly #means = new Map<string, number>();
  #meanOfAll: number = batchMs.others;

  /** @param count how many tasks took so long on average. */
  learn(name: string, durationMs: number, count = 1): void {
    const weight = 1 - (1 - weightOfOne) ** Math.min(count, mostAtOnce);
    const mean = this.#means.get(name);
    this.#means.set(name, mean === undefined ? durationMs : mean + weight * (durationMs - mean));
    this.#meanOfAll += weight * (durationMs - this.#meanOfAll);
  }

  /** The size of a batch of such tasks as ran lately. */
  typicalBatch(): number {
    return Math.min(largestBatch, Math.max(1, Math.floor(batchMs.others / Math.max(this.#meanOfAll, shortest))));
  }

  of(name: string): number | undefined {
    return this.#means.get(name);
  }
}

/**
 * How long tasks took that are reported together. Where there are more threads than cores, some task or other is kept
 * waiting for a core by thousands of its own durations: that must not make it look long.
 */
export class Took {
  readonly #sums = new Map<string, { ms: number; count: number }>();

  add(name: string, durationMs: number): void {
    const sum = this.#sums.get(name);
    if (sum === undefined) {
      this.#sums.set(name, { ms: durationMs, count: 1 });
      return;
    }
    sum.ms += durationMs;
    sum.count += 1;
  }

  *means(): Iterable<{ readonly name: string; readonly meanMs: number; readonly count: number }> {
    for (const [name, { ms, count }] of this.#sums) yield { name, meanMs: ms / count, count };
  }
}

const shortest = batchMs.others / largestBatch;

/** A claimed task, as far as batches are concerned. */
interface Candidate {
  readonly task: StoredTask;
  readonly isAwaited: boolean;
}

/** How many tasks from the head of `tasks` make the next batch: at least one, at most `most`. */
export function nextBatch(
  tasks: readonly Candidate[],
  from: number,
  durations: Durations,
  most: number = largestBatch,
): { size: number; estimateMs: number } {
  let size = 0;
  let estimateMs = 0;
  for (let at = from; at < tasks.length && size < Math.min(most, largestBatch); at++) {
    const waiting = tasks[at];
    if (waiting === undefined) break;
    const known = durations.of(waiting.task.request.name);
    const duration = known ?? unknownMs;
    const longest = waiting.isAwaited ? batchMs.awaited : batchMs.others;
    if (size > 0 && (known === undefined || estimateMs + duration > longest)) break;
    estimateMs += duration;
    size++;
    if (known === undefined) break;
  }
  return { size, estimateMs };
}
