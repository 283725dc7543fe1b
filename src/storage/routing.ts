/**
 * Whose turn it is among queues that have tasks to give: `priority` asks for the best task of all; `strict` empties the
 * queues in their order, those that are not listed last, by name; `round-robin` gives each queue its turn; `weighted`
 * gives each as many turns as its weight says.
 */
export type Routing =
  | { readonly type: "priority" | "round-robin" | "weighted" }
  | { readonly type: "strict"; readonly queues: readonly string[] };

/** Keeps the turns of queues. Not stored: an opening begins anew. */
export class Turns {
  readonly #routing: Routing;
  /** When each queue has had what it was given, in a time that passes with turns: a turn takes 1 / weight. */
  readonly #servedUntil = new Map<string, number>();
  #now = 0;

  constructor(routing: Routing = { type: "priority" }) {
    this.#routing = routing;
  }

  /** Queues do not matter, but for their tasks. */
  get isByPriority(): boolean {
    return this.#routing.type === "priority";
  }

  /** A turn is one task. */
  get isShared(): boolean {
    return this.#routing.type === "round-robin" || this.#routing.type === "weighted";
  }

  /** The one of `queues` that is next. */
  next(queues: Iterable<string>): string | undefined {
    let best: string | undefined;
    for (const queue of queues) if (best === undefined || this.#isBefore(queue, best)) best = queue;
    return best;
  }

  /** A task of the queue was given. */
  took(queue: string, weight = 1): void {
    if (!this.isShared) return;
    // A queue that had nothing to give has lost its turns.
    this.#now = this.#startOf(queue);
    this.#servedUntil.set(queue, this.#now + 1 / (this.#routing.type === "weighted" ? weight : 1));
  }

  #isBefore(one: string, other: string): boolean {
    const [place, otherPlace] = [this.#placeOf(one), this.#placeOf(other)];
    return place === otherPlace ? one < other : place < otherPlace;
  }

  #placeOf(queue: string): number {
    if (this.#routing.type !== "strict") return this.#startOf(queue);
    const place = this.#routing.queues.indexOf(queue);
    return place === -1 ? Number.POSITIVE_INFINITY : place;
  }

  #startOf(queue: string): number {
    return Math.max(this.#now, this.#servedUntil.get(queue) ?? 0);
  }
}
