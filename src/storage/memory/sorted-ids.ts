import type { TaskId } from "../../task/task.ts";
import { firstIndex } from "./first-index.ts";

/** The keys of a map in order, sorted only when somebody reads: ids mostly come in rising order already. */
export class SortedIds {
  readonly #all: ReadonlyMap<TaskId, unknown>;
  #ids: TaskId[] = [];
  #isSorted = true;
  #removed = 0;

  constructor(all: ReadonlyMap<TaskId, unknown>) {
    this.#all = all;
  }

  added(id: TaskId): void {
    const last = this.#ids.at(-1);
    if (last !== undefined && id <= last) this.#isSorted = false;
    this.#ids.push(id);
    this.#tidy();
  }

  removed(): void {
    this.#removed += 1;
    this.#tidy();
  }

  /** The ids that follow `cursor`, which need not exist, and some that were removed. */
  *after(cursor: TaskId = ""): Generator<TaskId> {
    if (!this.#isSorted) this.#sort();
    const start = firstIndex(this.#ids.length, (index) => (this.#ids[index] as TaskId) > cursor);
    for (let at = start; at < this.#ids.length; at += 1) {
      yield this.#ids[at] as TaskId;
    }
  }

  #sort(): void {
    this.#ids = [...this.#all.keys()].sort();
    this.#isSorted = true;
    this.#removed = 0;
  }

  // What was removed stays in the list until it is the greater part of it.
  #tidy(): void {
    if (this.#removed < 64 || this.#removed * 2 < this.#ids.length) return;
    this.#ids = this.#ids.filter((id) => this.#all.has(id));
    this.#removed = 0;
  }
}
