import type { Counts, Totals } from "../storage/storage.ts";
import { taskStates, type TaskState } from "../task/state.ts";

export interface Stats {
  /** Stored tasks by state. */
  readonly states: Readonly<Record<TaskState, number>>;
  readonly queues: Readonly<Record<string, Readonly<Record<TaskState, number>>>>;
  /** Of the `ready` ones, those that wait for a handler of their name. */
  readonly parked: number;
  /** Since the store was made. */
  readonly totals: Totals;
  /** Circuit breakers that are not closed, by task name. */
  readonly breakers: Readonly<Record<string, "open" | "half-open">>;
}

const zeros = (): Record<TaskState, number> =>
  Object.fromEntries(taskStates.map((state) => [state, 0])) as Record<TaskState, number>;

export function statsOf(
  { queues, parked, totals }: Counts,
  breakers: ReadonlyMap<string, "open" | "half-open">,
): Stats {
  const states = zeros();
  const byQueue: Record<string, Record<TaskState, number>> = Object.create(null);
  for (const [queue, counts] of queues) {
    const mine = zeros();
    for (const state of taskStates) {
      mine[state] = counts[state] ?? 0;
      states[state] += mine[state];
    }
    byQueue[queue] = mine;
  }
  return { states, queues: byQueue, parked, totals, breakers: Object.fromEntries(breakers) };
}
