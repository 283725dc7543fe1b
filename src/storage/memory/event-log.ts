import type { EpochMs } from "../../base/clock.ts";
import type { TaskEvent } from "../../task/event.ts";
import type { EventQuery } from "../storage.ts";
import { firstIndex } from "./first-index.ts";

/** The events that are kept, in order of sequence, and those of the changes at work that are kept elsewhere. */
export class EventLog {
  #events: TaskEvent[] = [];
  #toTell: TaskEvent[] = [];
  #next = 1;

  /** @param isElsewhere it is not kept here, but told. */
  append(event: Omit<TaskEvent, "sequence">, isElsewhere = false): void {
    (isElsewhere ? this.#toTell : this.#events).push({ sequence: this.#next, ...event });
    this.#next += 1;
  }

  /** The events to tell; they are forgotten. */
  takeToTell(): readonly TaskEvent[] {
    if (this.#toTell.length === 0) return this.#toTell;
    const events = this.#toTell;
    this.#toTell = [];
    return events;
  }

  query({ taskId, types, queue, since, until, after = 0, limit }: EventQuery): TaskEvent[] {
    const found: TaskEvent[] = [];
    const start = firstIndex(this.#events.length, (index) => (this.#events[index]?.sequence ?? 0) > after);
    for (let at = start; at < this.#events.length; at += 1) {
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
      this.#toTell = [];
      this.#next = next;
    };
  }
}
