import type { EpochMs } from "../../base/clock.ts";
import type { StoredEvent } from "../../task/event.ts";
import type { EventQuery } from "../storage.ts";
import { isEventMatch } from "../matching.ts";
import { firstIndex } from "./first-index.ts";

/** An event that has no number yet. */
export type NewEvent<E extends StoredEvent = StoredEvent> = E extends E ? Omit<E, "sequence"> : never;

/** The events that are kept, in order of sequence, and those of the changes at work that are kept elsewhere. */
export class EventLog {
  #events: StoredEvent[] = [];
  #toTell: StoredEvent[] = [];
  #next = 1;

  /** @param isElsewhere it is not kept here, but told. */
  append(event: NewEvent, isElsewhere = false): void {
    (isElsewhere ? this.#toTell : this.#events).push({ sequence: this.#next, ...event });
    this.#next += 1;
  }

  /** The events to tell; they are forgotten. */
  takeToTell(): readonly StoredEvent[] {
    if (this.#toTell.length === 0) return this.#toTell;
    const events = this.#toTell;
    this.#toTell = [];
    return events;
  }

  query(query: EventQuery): StoredEvent[] {
    const { after = 0, limit } = query;
    const found: StoredEvent[] = [];
    const start = firstIndex(this.#events.length, (index) => (this.#events[index]?.sequence ?? 0) > after);
    for (let at = start; at < this.#events.length && found.length < limit; at += 1) {
      const event = this.#events[at] as StoredEvent;
      if (isEventMatch(event, query)) found.push(event);
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
