import { Heap } from "../heap.ts";
import type { Version } from "./ledger.ts";

const isOlder = (a: Version, b: Version): boolean => a.sequence < b.sequence;

/** The ready tasks of a lane: by priority, then age. */
export class Ready {
  readonly #byPriority = new Map<number, Heap<Version>>();

  push(version: Version): void {
    const { priority } = version.task.request;
    let versions = this.#byPriority.get(priority);
    if (versions === undefined) {
      versions = new Heap(isOlder, ({ isCurrent }) => isCurrent);
      this.#byPriority.set(priority, versions);
    }
    versions.push(version);
  }

  /** One that is the first of its priority is taken out. */
  shift({ task }: Version): void {
    this.#byPriority.get(task.request.priority)?.pop();
  }

  /** One has ceased to be current. */
  forget({ task }: Version): void {
    this.#byPriority.get(task.request.priority)?.forget();
  }

  /** The first of each priority. */
  *firstOfEach(): Iterable<Version> {
    for (const [priority, versions] of this.#byPriority) {
      const first = versions.peek();
      if (first === undefined) this.#byPriority.delete(priority);
      else yield first;
    }
  }
}
