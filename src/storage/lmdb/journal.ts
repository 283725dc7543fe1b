import type { EpochMs } from "../../base/clock.ts";
import type { StoredSchedule } from "../../schedule/schedule.ts";
import {
  isKept,
  type ScheduleEvent,
  type ScheduleEventType,
  type StoredEvent,
  type TaskEvent,
  type TaskEventType,
} from "../../task/event.ts";
import type { TaskId, TaskRequest } from "../../task/task.ts";
import type { StorageSettings } from "../storage.ts";
import { numberKey } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import { encodeData } from "./records.ts";
import type { Table } from "./tables.ts";

/** The events of tasks and schedules, stored here or told to whoever keeps them elsewhere. */
export class Journal {
  readonly #events: Table;
  readonly #ledger: Ledger;
  readonly #settings: StorageSettings;
  #toTell: StoredEvent[] = [];

  constructor(events: Table, ledger: Ledger, settings: StorageSettings) {
    this.#events = events;
    this.#ledger = ledger;
    this.#settings = settings;
  }

  /** Whether events of this type are kept. Asked first where every task passes, so that no event is made in vain. */
  keeps(type: StoredEvent["type"]): boolean {
    return isKept(type, this.#settings.events);
  }

  note(
    type: TaskEventType,
    taskId: TaskId,
    { name, queue }: TaskRequest,
    attempt: number,
    { at, reason, error }: Pick<TaskEvent, "at" | "reason" | "error">,
  ): void {
    if (!this.keeps(type)) return;
    const event: TaskEvent = {
      sequence: this.#ledger.nextEvent(),
      type,
      at,
      taskId,
      name,
      queue,
      attempt,
      ...(reason === undefined ? {} : { reason }),
      ...(error === undefined ? {} : { error }),
    };
    this.#keep(event);
  }

  noteSchedule(
    type: ScheduleEventType,
    { id, definition }: Pick<StoredSchedule, "id" | "definition">,
    at: EpochMs,
    what?: Pick<ScheduleEvent, "count" | "error">,
  ): void {
    if (!this.keeps(type)) return;
    const sequence = this.#ledger.nextEvent();
    const { name } = definition;
    this.#keep({ sequence, type, at, scheduleId: id, name, ...what });
  }

  #keep(event: StoredEvent): void {
    if (this.#settings.onEvents === undefined) this.#events.put(numberKey(event.sequence), encodeData(event));
    else this.#toTell.push(event);
  }

  /** After each transaction: events that are kept elsewhere. */
  tell(): void {
    if (this.#toTell.length === 0) return;
    const events = this.#toTell;
    this.#toTell = [];
    this.#settings.onEvents?.(events);
  }
}
