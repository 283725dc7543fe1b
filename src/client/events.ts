import type { SupervisorCalls } from "../bridge/contract.ts";
import { readCall } from "../config/call-options.ts";
import type { TaskEvent, TaskEventType } from "../task/event.ts";

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

/** The log of what happened to tasks. What is kept is an option of `open`: by default only trouble. */
export class Events {
  readonly #calls: SupervisorCalls;

  /** @internal */
  constructor(calls: SupervisorCalls) {
    this.#calls = calls;
  }

  /** Events that match, oldest first. @throws InvalidArgumentError, UnknownOptionError. */
  async query(filter?: EventFilter): Promise<readonly TaskEvent[]> {
    const { type: types, limit = 100, ...rest } = readCall("events", filter, "filter");
    return this.#calls.events(types === undefined ? { ...rest, limit } : { ...rest, types, limit });
  }
}
