/**
 * What comes first, first. Entries are never looked for to remove them: one that is no longer current is told with
 * `forget` and dropped when it comes up, or with all others like it once they are the greater part.
 */
export class Heap<T> {
  readonly #isBefore: (a: T, b: T) => boolean;
  readonly #isCurrent: (entry: T) => boolean;
  #entries: T[] = [];
  #forgotten = 0;

  constructor(isBefore: (a: T, b: T) => boolean, isCurrent: (entry: T) => boolean = () => true) {
    this.#isBefore = isBefore;
    this.#isCurrent = isCurrent;
  }

  push(entry: T): void {
    this.#entries.push(entry);
    this.#rise(this.#entries.length - 1, entry);
  }

  /** The first current entry; it stays. */
  peek(): T | undefined {
    let first = this.#entries[0];
    while (first !== undefined && !this.#isCurrent(first)) {
      this.#dropFirst();
      this.#forgotten -= 1;
      first = this.#entries[0];
    }
    return first;
  }

  pop(): T | undefined {
    const first = this.peek();
    if (first !== undefined) this.#dropFirst();
    return first;
  }

  /** An entry has just ceased to be current. */
  forget(): void {
    this.#forgotten += 1;
    if (this.#forgotten < 64 || this.#forgotten * 2 < this.#entries.length) return;
    this.#entries = this.#entries.filter(this.#isCurrent);
    this.#forgotten = 0;
    for (let at = (this.#entries.length >> 1) - 1; at >= 0; at -= 1) this.#sink(at, this.#entries[at] as T);
  }

  #dropFirst(): void {
    const last = this.#entries.pop();
    if (last !== undefined && this.#entries.length > 0) this.#sink(0, last);
  }

  #rise(from: number, entry: T): void {
    const entries = this.#entries;
    let at = from;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = entries[parentAt] as T;
      if (!this.#isBefore(entry, parent)) break;
      entries[at] = parent;
      at = parentAt;
    }
    entries[at] = entry;
  }

  #sink(from: number, entry: T): void {
    const entries = this.#entries;
    let at = from;
    for (let child = 2 * at + 1; child < entries.length; child = 2 * at + 1) {
      const right = child + 1;
      if (right < entries.length && this.#isBefore(entries[right] as T, entries[child] as T)) child = right;
      if (!this.#isBefore(entries[child] as T, entry)) break;
      entries[at] = entries[child] as T;
      at = child;
    }
    entries[at] = entry;
  }
}
