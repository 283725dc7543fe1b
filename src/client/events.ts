import { InvalidArgumentError, UnknownOptionError } from "../base/errors.ts";
import { checkName, nearest } from "../base/names.ts";
import type { SupervisorCalls } from "../bridge/contract.ts";
import { taskEventTypes, type TaskEvent, type TaskEventType } from "../task/event.ts";
import { momentOf } from "./filter.ts";

/** Which events are meant. Filters are joined by "and". */
export interface EventFilter {
  readonly taskId?: string | undefined;
  /** One type, or any of several. */
  readonly type?: TaskEventType | readonly TaskEventType[] | undefined;
  readonly queue?: string | undefined;
  /** From, inclusive. */
  readonly since?: Date | number | undefined;
  /** To, exclusive. */
  readonly until?: Date | number | undefined;
  /** Only events with a higher `sequence`: the last one of the page before. */
  readonly after?: number | undefined;
  /** 1 to 1,000. Default 100. */
  readonly limit?: number | undefined;
}

const known = ["taskId", "type", "queue", "since", "until", "after", "limit"] as const;

/** The log of what happened to tasks. What is kept is an option of `open`: by default only trouble. */
export class Events {
  readonly #calls: SupervisorCalls;

  /** @internal */
  constructor(calls: SupervisorCalls) {
    this.#calls = calls;
  }

  /** Events that match, oldest first. @throws InvalidArgumentError, UnknownOptionError. */
  async query(filter: EventFilter = {}): Promise<readonly TaskEvent[]> {
    for (const key of Object.keys(filter)) {
      if (!(known as readonly string[]).includes(key))
        throw new UnknownOptionError(`filter.${key}`, nearest(key, known), known);
    }
    const { taskId, type, queue, since, until, after, limit = 100 } = filter;
    if (!Number.isInteger(limit) || limit < 1 || limit > 1_000) {
      throw new InvalidArgumentError("filter.limit", `${String(limit)} is not a whole number from 1 to 1000.`);
    }
    return this.#calls.events({
      limit,
      ...(taskId === undefined ? {} : { taskId: checkName("filter.taskId", taskId) }),
      ...(type === undefined ? {} : { types: typesOf(type) }),
      ...(queue === undefined ? {} : { queue: checkName("filter.queue", queue) }),
      ...(since === undefined ? {} : { since: momentOf(since, "filter.since") }),
      ...(until === undefined ? {} : { until: momentOf(until, "filter.until") }),
      ...(after === undefined ? {} : { after }),
    });
  }
}

function typesOf(given: TaskEventType | readonly TaskEventType[]): readonly TaskEventType[] {
  const types = typeof given === "string" ? [given] : given;
  for (const type of types) {
    if (taskEventTypes.includes(type)) continue;
    throw new InvalidArgumentError(
      "filter.type",
      `${JSON.stringify(type)} is not an event. Known are ${taskEventTypes.join(", ")}.`,
    );
  }
  return types;
}
