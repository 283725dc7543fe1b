import { InvalidArgumentError, UnknownOptionError } from "../base/errors.ts";
import { checkName, nearest } from "../base/names.ts";
import { taskStates, type TaskState } from "../task/state.ts";
import type { TaskQuery } from "../storage/storage.ts";

/** Which tasks are meant. Filters are joined by "and". */
export interface Filter {
  /** One state, or any of several. */
  readonly state?: TaskState | readonly TaskState[] | undefined;
  readonly queue?: string | undefined;
  readonly name?: string | undefined;
  /** All of them. */
  readonly tags?: readonly string[] | undefined;
  /** Finished (or, unfinished, created) longer ago than this moment. */
  readonly before?: Date | number | undefined;
  /** Tasks of a page, 1 to 1,000. Default 100. */
  readonly limit?: number | undefined;
  /** Where the page starts: `cursor` of the page before. */
  readonly cursor?: string | undefined;
}

const known = ["state", "queue", "name", "tags", "before", "limit", "cursor"] as const;
const largestPage = 1_000;

/** @throws InvalidArgumentError, UnknownOptionError. */
export function queryOf(filter: Filter = {}): TaskQuery {
  for (const key of Object.keys(filter)) {
    if (!(known as readonly string[]).includes(key))
      throw new UnknownOptionError(`filter.${key}`, nearest(key, known), known);
  }
  const { state, queue, name, tags, before, limit = 100, cursor } = filter;
  if (!Number.isInteger(limit) || limit < 1 || limit > largestPage) {
    throw new InvalidArgumentError("filter.limit", `${String(limit)} is not a whole number from 1 to ${largestPage}.`);
  }
  return {
    limit,
    ...(state === undefined ? {} : { states: statesOf(state) }),
    ...(queue === undefined ? {} : { queue: checkName("filter.queue", queue) }),
    ...(name === undefined ? {} : { name: checkName("filter.name", name) }),
    ...(tags === undefined ? {} : { tags: tags.map((tag, index) => checkName(`filter.tags[${index}]`, tag)) }),
    ...(before === undefined ? {} : { before: momentOf(before) }),
    ...(cursor === undefined ? {} : { cursor: checkName("filter.cursor", cursor) }),
  };
}

function statesOf(given: TaskState | readonly TaskState[]): readonly TaskState[] {
  const states = typeof given === "string" ? [given] : given;
  for (const state of states) {
    if (!taskStates.includes(state)) {
      throw new InvalidArgumentError(
        "filter.state",
        `${JSON.stringify(state)} is not a state. Known are ${taskStates.join(", ")}.`,
      );
    }
  }
  return states;
}

export function momentOf(given: Date | number, path = "filter.before"): number {
  const moment = given instanceof Date ? given.getTime() : given;
  if (!Number.isFinite(moment))
    throw new InvalidArgumentError(path, "is not a moment: give a Date, or milliseconds since 1970.");
  return moment;
}
