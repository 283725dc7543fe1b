import type { SupervisorCalls } from "../bridge/contract.ts";
import { readCall } from "../config/call-options.ts";
import type { ScheduleEvent, ScheduleEventType, StoredEvent, TaskEvent, TaskEventType } from "../task/event.ts";

/** Which events are meant. Filters are joined by "and". */
export interface EventFilter {
  readonly taskId?: string | undefined;
  readonly scheduleId?: string | undefined;
  /** One type, or any of several. */
  readonly type?: EventType | readonly EventType[] | undefined;
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

type EventType = TaskEventType | ScheduleEventType;

/** What a filter lets through, as far as its type tells. */
type EventOf<F> = F extends { readonly taskId: string } | OfType<TaskEventType>
  ? TaskEvent
  : F extends { readonly scheduleId: string } | OfType<ScheduleEventType>
    ? ScheduleEvent
    : StoredEvent;

type OfType<T> = { readonly type: T | readonly T[] };

/** The log of what happened to tasks and schedules. What is kept is an option of `open`: by default only trouble. */
export class Events {
  readonly #calls: SupervisorCalls;

  /** @internal */
  constructor(calls: SupervisorCalls) {
    this.#calls = calls;
  }

  /** Events that match, oldest first. @throws InvalidArgumentError, UnknownOptionError. */
  async query<const F extends EventFilter = EventFilter>(filter?: F): Promise<readonly EventOf<F>[]> {
    const { type: types, limit = 100, ...rest } = readCall("events", filter, "filter");
    const found = await this.#calls.events(types === undefined ? { ...rest, limit } : { ...rest, types, limit });
    return found as readonly EventOf<F>[];
  }
}
