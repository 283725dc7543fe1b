import { readCall } from "../config/call-options.ts";
import type { TaskQuery } from "../storage/storage.ts";
import type { TaskState } from "../task/state.ts";

/** Which tasks are meant. Filters are joined by "and". */
export interface Filter {
  /** One state, or any of several. */
  readonly state?: TaskState | readonly TaskState[] | undefined;
  readonly queue?: string | undefined;
  readonly name?: string | undefined;
  /** All of them. */
  readonly tags?: readonly string[] | undefined;
  /** Tasks of this schedule. */
  readonly scheduleId?: string | undefined;
  /** Finished (or, unfinished, created) before this moment. */
  readonly before?: Date | number | undefined;
  /** Tasks of a page, 1 to 1,000. Default 100. */
  readonly limit?: number | undefined;
  /** Where the page starts: `cursor` of the page before. */
  readonly cursor?: string | undefined;
}

/** @throws InvalidArgumentError, UnknownOptionError. */
export function queryOf(filter: Filter | undefined): TaskQuery {
  const { state: states, limit = 100, ...rest } = readCall("filter", filter, "filter");
  return states === undefined ? { ...rest, limit } : { ...rest, states, limit };
}
