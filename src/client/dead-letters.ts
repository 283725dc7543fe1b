import type { SupervisorCalls } from "../bridge/contract.ts";
import { isTerminal } from "../task/state.ts";
import type { TaskId } from "../task/task.ts";
import { queryOf, type Filter } from "./filter.ts";
import { recordOf, type TaskRecord } from "./record.ts";

type FailedFilter = Omit<Filter, "state">;

/** How many tasks are requeued in one transaction. */
const step = 500;

/** Tasks that failed for good, with the errors of their attempts. They stay until their retention ends. */
export class DeadLetters {
  readonly #calls: SupervisorCalls;

  /** @internal */
  constructor(calls: SupervisorCalls) {
    this.#calls = calls;
  }

  async list(filter: FailedFilter = {}): Promise<{ readonly tasks: readonly TaskRecord[]; readonly cursor?: string }> {
    const { tasks, cursor } = await this.#calls.list(queryOf({ ...filter, state: "failed" }));
    return { tasks: tasks.map(recordOf), ...(cursor === undefined ? {} : { cursor }) };
  }

  /** Runs failed tasks again: these, or all that match. Resolves with how many. */
  async requeue(which: readonly TaskId[] | Omit<FailedFilter, "limit" | "cursor"> = {}): Promise<number> {
    if (isIds(which)) return this.#requeue(which);
    let count = 0;
    const query = queryOf({ ...which, state: "failed", limit: step });
    for (let cursor: string | undefined, isMore = true; isMore; isMore = cursor !== undefined) {
      const page = await this.#calls.list({ ...query, ...(cursor === undefined ? {} : { cursor }) });
      count += await this.#requeue(page.tasks.map(({ id }) => id));
      cursor = page.cursor;
    }
    return count;
  }

  /** Deletes failed tasks that match. Resolves with how many. */
  purge(filter: Omit<FailedFilter, "limit" | "cursor"> = {}): Promise<number> {
    const { limit: _limit, ...query } = queryOf({ ...filter, state: "failed" });
    return this.#calls.purge(query);
  }

  async #requeue(ids: readonly TaskId[]): Promise<number> {
    if (ids.length === 0) return 0;
    const found = await this.#calls.requeue(ids);
    return found.filter((state) => state !== undefined && state !== "completed" && isTerminal(state)).length;
  }
}

const isIds = (which: readonly TaskId[] | object): which is readonly TaskId[] => Array.isArray(which);
