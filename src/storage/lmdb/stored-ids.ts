import { writeUuid } from "../../base/id.ts";
import type { TaskId } from "../../task/task.ts";
import type { NewTask } from "../storage.ts";
import { firstOfOthers, isUuidKey, taskIdOf, taskKey } from "./keys.ts";
import type { Segments } from "./segments.ts";
import type { Table } from "./tables.ts";

/** The ids of the tasks of one call. */
export interface NewIds {
  /** 16 for each that is a UUID. */
  readonly bytes: Buffer;
  /** Which are known to be new: UUIDs that rise within the call, and lie where the store has none. */
  readonly areRising: readonly boolean[];
  /** The greatest that is a UUID; else `""`. */
  readonly greatest: TaskId;
}

/** Which ids are taken, as far as that is known without a look at each. */
export class StoredIds {
  readonly #tasks: Table;
  readonly #segments: Segments;
  /** No UUID in the store is greater, so a greater one is new. Our own ids rise. */
  #newest: TaskId;

  constructor(tasks: Table, segments: Segments) {
    this.#tasks = tasks;
    this.#segments = segments;
    const [key] = tasks.getKeys({ start: afterUuids, reverse: true, limit: 1 });
    const alone = key === undefined ? "" : taskIdOf(key);
    const inSegments = segments.lastId();
    this.#newest = alone > inSegments ? alone : inSegments;
  }

  /** Looks at the ids of a call together: what we made up ourselves costs one look, or none. Only reads. */
  look(tasks: readonly NewTask[]): NewIds {
    const bytes = Buffer.allocUnsafe(tasks.length * 16);
    let first = -1;
    let last = -1;
    let greatest = "";
    const areRising = tasks.map(({ id }, index) => {
      // Texts of UUIDs lie in the order of their bytes.
      const isUuid = writeUuid(id, bytes, index * 16) && (bytes[index * 16] ?? 0) < firstOfOthers;
      if (!isUuid || id <= greatest) return false;
      greatest = id;
      last = index;
      if (first === -1) first = index;
      return true;
    });
    const least = tasks[first]?.id;
    const keyAt = (index: number): Buffer => bytes.subarray(index * 16, (index + 1) * 16);
    const areNew = least === undefined || least > this.#newest || this.#isFree(keyAt(first), keyAt(last));
    return { bytes, areRising: areNew ? areRising : areRising.map(() => false), greatest };
  }

  /** Whether the tasks with these ids, if there are any, have records of their own. Only reads. */
  areApart(ids: readonly TaskId[]): boolean {
    const keys = ids.map(taskKey).filter(isUuidKey).sort(Buffer.compare);
    const [first, last] = [keys[0], keys.at(-1)];
    return first === undefined || last === undefined || this.#segments.areApart(first, last);
  }

  /** One is stored now. */
  addOne(id: TaskId): void {
    if (id > this.#newest && isUuidKey(taskKey(id))) this.#newest = id;
  }

  /** They are stored now. */
  add({ greatest }: NewIds): void {
    if (greatest > this.#newest) this.#newest = greatest;
  }

  /** Whether no task, published or not, has an id from one up to another. */
  #isFree(first: Buffer, last: Buffer): boolean {
    const end = Buffer.concat([last, Buffer.from([0])]);
    for (const _ of this.#tasks.getKeys({ start: first, end, limit: 1 })) return false;
    return this.#segments.areApart(first, last);
  }
}

/** Greater than the key of every UUID. */
const afterUuids = Buffer.from([firstOfOthers]);
