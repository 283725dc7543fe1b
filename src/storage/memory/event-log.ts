import type { EpochMs } from "../../base/clock.ts";
import type { TaskEvent } from "../../task/event.ts";
import type { EventQuery } from "../storage.ts";

/** The events that are kept, in order; their sequence numbers have no gaps. */
export class EventLog {
  #events: TaskEvent[] = [];
  #next = 1;

  append(event: Omit<TaskEvent, "sequence">): void {
    this.#events.push({ sequence: this.#next, ...event });
    this.#next += 1;
  }

  query({ taskId, types, queue, since, until, after = 0, limit }: EventQuery): TaskEvent[] {
    const found: TaskEvent[] = [];
    for (let at = Math.max(after - this.#firstSequence() + 1, 0); at < this.#events.length; at += 1) {
      if (found.length === limit) break;
      const event = this.#events[at] as TaskEvent;
      if (taskId !== undefined && event.taskId !== taskId) continue;
      if (types !== undefined && !types.includes(event.type)) continue;
      if (queue !== undefined && event.queue !== queue) continue;
      if (since !== undefined && event.at < since) continue;
      if (until !== undefined && event.at >= until) continue;
      found.push(event);
    }
    return found;
  }

  /** When the oldest happened. */
  oldestAt(): EpochMs | undefined {
    return this.#events[0]?.at;
  }

  /** Forgets the oldest, up to the first that happened after `end`. */
  dropUntil(end: EpochMs, limit: number): number {
    const rest = this.#events.findIndex(({ at }, index) => at > end || index === limit);
    const count = rest === -1 ? Math.min(this.#events.length, limit) : rest;
    this.#events = this.#events.slice(count);
    return count;
  }

  /** What undoes everything that is done from now on. */
  mark(): () => void {
    const events = this.#events;
    const next = this.#next;
    const { length } = events;
    return () => {
      events.length = length;
      this.#events = events;
      this.#next = next;
    };
  }

  #firstSequence(): number {
    return this.#next - this.#events.length;
  }
}
