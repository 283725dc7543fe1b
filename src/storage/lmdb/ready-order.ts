import { agedPriority, waitingSince } from "../aging.ts";
import { ClaimRoom } from "../claim-room.ts";
import { Heap } from "../heap.ts";
import type { Claim } from "../storage.ts";
import { priorityOf, type Span } from "./keys.ts";
import type { Lane } from "./lanes.ts";
import type { Entry } from "./ready.ts";
import type { Store } from "./store.ts";

/** What was taken out of the order: a task, or neighbours in a segment. */
export interface Taken {
  readonly lane: Lane;
  readonly key: Buffer;
  readonly span?: Span;
}

/** What stands first in a lane, or first of its priority where tasks age. */
interface Candidate {
  readonly lane: Lane;
  readonly entry: Entry;
  /** As it has risen. */
  readonly priority: number;
}

const isBefore = (a: Candidate, b: Candidate): boolean =>
  a.priority === b.priority ? a.entry.sequence < b.entry.sequence : a.priority > b.priority;

/** All queues together, where they take no turns. */
const allQueues = "";

/** Ready tasks over all lanes that may give any, best first. */
export class ReadyOrder {
  readonly #store: Store;
  readonly #claim: Claim;
  readonly #room: ClaimRoom;
  /** By the queue whose turn it may be. */
  readonly #candidates = new Map<string, Heap<Candidate>>();

  constructor(store: Store, claim: Claim) {
    this.#store = store;
    this.#claim = claim;
    const { ledger, claims, settings } = store;
    this.#room = new ClaimRoom(claim, {
      settings,
      rates: ledger.rates,
      record: (queue) => ledger.knownQueue(queue)?.record,
      runningIn: (queue) => ledger.countOf(queue, "running"),
      runningAs: (name) => claims.runningAs(name),
    });
    store.ready.takeTouched();
    for (const lane of ledger.lanes.visible()) this.#look(lane);
  }

  /** Takes the best that is left out of the order: a task, or up to `most` neighbours. */
  take(most: number): Taken | undefined {
    const { ready, turns, ledger } = this.#store;
    // What a task kept out of the order may be put into it when that one is claimed.
    for (const number of ready.takeTouched()) {
      const lane = ledger.lanes.get(number);
      if (lane !== undefined && lane.stage === undefined) this.#look(lane);
    }
    const best = this.#best();
    if (best === undefined) return undefined;
    const { lane, entry } = best;
    const taken = this.#takeEntry(lane, entry, Math.min(most, turns.isShared ? 1 : this.#room.of(lane)));
    if (this.#agingStepOf(lane) === undefined) this.#add(lane);
    else this.#addAging(lane, ready.firstOf(lane.number, priorityOf(entry.rank)));
    return taken;
  }

  /** So many of what was taken will run. */
  started(lane: Lane, size: number): void {
    this.#room.started(lane, size);
    const { turns, ledger } = this.#store;
    if (turns.isShared && size > 0) turns.took(lane.queue, ledger.knownQueue(lane.queue)?.record.weight);
  }

  /** When the first that was left because of a rate limit may start, once nothing is left to take. */
  heldUntil(): number | undefined {
    return this.#room.heldUntil();
  }

  #best(): Candidate | undefined {
    const { turns } = this.#store;
    if (turns.isByPriority) {
      const candidates = this.#candidates.get(allQueues);
      return candidates !== undefined && this.#hasAny(candidates) ? candidates.pop() : undefined;
    }
    for (const [queue, candidates] of this.#candidates) if (!this.#hasAny(candidates)) this.#candidates.delete(queue);
    const next = turns.next(this.#candidates.keys());
    return next === undefined ? undefined : this.#candidates.get(next)?.pop();
  }

  /** Whether one is left that there is room for; it is the first then. */
  #hasAny(candidates: Heap<Candidate>): boolean {
    for (let first = candidates.peek(); first !== undefined; first = candidates.peek()) {
      if (this.#isStillFirst(first) && this.#room.of(first.lane) > 0) return true;
      candidates.pop();
    }
    return false;
  }

  /** What a lane gives may have been told before. */
  #isStillFirst({ lane, entry }: Candidate): boolean {
    const { ready } = this.#store;
    const { number } = lane;
    const isAging = this.#agingStepOf(lane) !== undefined;
    const first = isAging ? ready.firstOf(number, priorityOf(entry.rank)) : ready.first(number);
    return first?.sequence === entry.sequence && first.rank === entry.rank;
  }

  #look(lane: Lane): void {
    if (this.#agingStepOf(lane) === undefined) this.#add(lane);
    else for (const entry of this.#store.ready.firstOfEach(lane.number)) this.#addAging(lane, entry);
  }

  #add(lane: Lane): void {
    const { ready, ledger } = this.#store;
    const entry = ready.first(lane.number);
    if (entry !== undefined) {
      this.#push({ lane, entry, priority: priorityOf(entry.rank) });
    } else if (!lane.isOwn) {
      // A lane of a published stage is gone for good once it is empty: what comes back goes to the lane of its kind.
      ledger.lanes.drop(lane.number);
      ready.forget(lane.number);
    }
  }

  #addAging(lane: Lane, entry: Entry | undefined): void {
    const step = this.#agingStepOf(lane);
    if (entry === undefined || step === undefined) return;
    const { key, span } = entry;
    const task = span === undefined ? this.#store.row(key) : this.#store.segments.get(span.segment);
    if (task === undefined) return;
    const priority = agedPriority(task.request.priority, waitingSince(task.request, task.life), step, this.#claim.now);
    this.#push({ lane, entry, priority });
  }

  #push(candidate: Candidate): void {
    const group = this.#store.turns.isByPriority ? allQueues : candidate.lane.queue;
    let candidates = this.#candidates.get(group);
    if (candidates === undefined) {
      candidates = new Heap(isBefore);
      this.#candidates.set(group, candidates);
    }
    candidates.push(candidate);
  }

  #agingStepOf(lane: Lane): number | undefined {
    return this.#store.ledger.knownQueue(lane.queue)?.record.agingStepMs;
  }

  #takeEntry(lane: Lane, entry: Entry, most: number): Taken {
    const { ready, segments } = this.#store;
    const { key, span } = entry;
    if (span === undefined) {
      ready.take(lane.number, entry);
      return { lane, key };
    }
    // Sequences of a segment have no gaps: no task of another lane belongs between two of its tasks.
    const to = Math.min(span.to, span.from + most);
    segments.takeSpan(lane.number, span);
    if (to < span.to) {
      segments.putSpan(lane.number, { ...span, from: to });
    }
    return { lane, key, span: { ...span, to } };
  }
}
