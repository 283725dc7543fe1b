const smallest = 16;
const keptWhenEmpty = 1_024;

/**
 * A line, first in, first out, that allocates nothing per item. It grows by doubling and gives its memory back once
 * it is empty.
 */
export class RingBuffer<T> {
  // The length is a power of two, so that an index wraps with a mask.
  #slots: (T | undefined)[] = emptySlots(smallest);
  #first = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(item: T): void {
    if (this.#size === this.#slots.length) this.#grow();
    this.#slots[(this.#first + this.#size) & (this.#slots.length - 1)] = item;
    this.#size++;
  }

  /** Takes out the oldest item; `undefined` when there is none. */
  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#slots[this.#first];
    this.#slots[this.#first] = undefined;
    this.#first = (this.#first + 1) & (this.#slots.length - 1);
    this.#size--;
    if (this.#size === 0 && this.#slots.length > keptWhenEmpty) {
      this.#slots = emptySlots(smallest);
      this.#first = 0;
    }
    return item;
  }

  /** The items, oldest first. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (let index = 0; index < this.#size; index++) {
      yield this.#slots[(this.#first + index) & (this.#slots.length - 1)] as T;
    }
  }

  #grow(): void {
    const inOrder = this.#slots.slice(this.#first).concat(this.#slots.slice(0, this.#first));
    this.#slots = inOrder.concat(emptySlots(inOrder.length));
    this.#first = 0;
  }
}

const emptySlots = <T>(length: number): (T | undefined)[] => Array.from({ length });
