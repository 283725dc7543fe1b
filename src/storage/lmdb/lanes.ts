import type { TaskState } from "../../task/state.ts";
import type { TaskRequest } from "../../task/task.ts";

/**
 * A line of ready tasks of one queue, name and executor, so that a claim can leave it alone as a whole. Tasks that are
 * being staged stand in lanes of their stage, which nobody looks into until it is published. So a million tasks appear
 * by one small write.
 */
export interface Lane {
  readonly number: number;
  readonly queue: string;
  readonly name: string;
  readonly executor?: string;
  /** It is where such tasks stand that come or come back; others were filled by a stage. */
  readonly isOwn: boolean;
  /** Set while it is being filled, and until all in it is forgotten where the stage was given up. */
  stage?: string;
}

interface Stage {
  readonly lanes: number[];
  readonly sizes: Map<string, Map<TaskState, number>>;
}

/** How many tasks of each queue a stage has, by their first state. */
export type StageSizes = ReadonlyMap<string, ReadonlyMap<TaskState, number>>;

/** Names hold no control characters. */
const kindOf = ({ queue, name, executor = "" }: Pick<TaskRequest, "queue" | "name" | "executor">): string =>
  `${queue}\0${name}\0${executor}`;

/** All lanes, known by heart. */
export class Lanes {
  readonly #lanes = new Map<number, Lane>();
  readonly #own = new Map<string, Lane>();
  readonly #hidden = new Set<number>();
  /** Those that may still be published. */
  readonly #stages = new Map<string, Stage>();
  readonly #nextNumber: () => number;
  readonly #changed: (lane: Lane) => void;
  #lastRequest: TaskRequest | undefined;
  #lastLane: Lane | undefined;

  /** @param lanes as they were left. @param changed is told each that is made, changed or dropped. */
  constructor(lanes: Iterable<Lane>, nextNumber: () => number, changed: (lane: Lane) => void) {
    this.#nextNumber = nextNumber;
    this.#changed = changed;
    for (const lane of lanes) this.#keep(lane);
  }

  get(number: number): Lane | undefined {
    return this.#lanes.get(number);
  }

  /** Those that claims look into. */
  *visible(): Iterable<Lane> {
    for (const lane of this.#lanes.values()) if (lane.stage === undefined) yield lane;
  }

  isHidden(number: number): boolean {
    return this.#hidden.size > 0 && this.#hidden.has(number);
  }

  /** Where tasks like this stand when they are ready. */
  of(request: TaskRequest): Lane {
    if (request === this.#lastRequest && this.#lastLane !== undefined) return this.#lastLane;
    this.#lastRequest = request;
    this.#lastLane = this.known(request) ?? this.#make(request);
    return this.#lastLane;
  }

  /** The lane, if it was ever used. */
  known(request: Pick<TaskRequest, "queue" | "name" | "executor">): Lane | undefined {
    return this.#own.get(kindOf(request));
  }

  drop(number: number): void {
    const lane = this.#lanes.get(number);
    this.#lanes.delete(number);
    this.#hidden.delete(number);
    if (lane !== undefined) this.#changed(lane);
  }

  // ---------------------------------------------------------------------------------------------------- stages

  /** The lane in which tasks like this gather until `stage` is published. */
  ofStage(stage: string, request: TaskRequest): number {
    let entry = this.#stages.get(stage);
    if (entry === undefined) {
      entry = { lanes: [], sizes: new Map() };
      this.#stages.set(stage, entry);
    }
    const kind = kindOf(request);
    for (const number of entry.lanes) {
      const lane = this.#lanes.get(number);
      if (lane !== undefined && kindOf(lane) === kind) return number;
    }
    const { number } = this.#make(request, stage);
    entry.lanes.push(number);
    return number;
  }

  /** The lanes of a stage. */
  inStage(stage: string): readonly number[] {
    return this.#stages.get(stage)?.lanes ?? [];
  }

  countStaged(stage: string, queue: string, state: TaskState, by: number): void {
    const sizes = this.#stages.get(stage)?.sizes;
    const ofQueue = sizes?.get(queue) ?? new Map<TaskState, number>();
    ofQueue.set(state, (ofQueue.get(state) ?? 0) + by);
    sizes?.set(queue, ofQueue);
  }

  staged(stage: string): StageSizes {
    return this.#stages.get(stage)?.sizes ?? new Map();
  }

  /** Makes the lanes of a stage visible. */
  publish(stage: string): void {
    for (const number of this.inStage(stage)) {
      const lane = this.#lanes.get(number);
      if (lane === undefined) continue;
      delete lane.stage;
      this.#hidden.delete(number);
      this.#changed(lane);
    }
    this.#stages.delete(stage);
  }

  /** The stage will not be published. Its lanes stay hidden until they are dropped. */
  abandon(stage: string): void {
    this.#stages.delete(stage);
  }

  /** A lane of a stage that was given up, also by the end of an earlier opening. */
  firstAbandoned(): number | undefined {
    for (const number of this.#hidden) if (!this.#stages.has(this.#lanes.get(number)?.stage ?? "")) return number;
    return undefined;
  }

  // ------------------------------------------------------------------------------------------------------------

  #make({ queue, name, executor }: TaskRequest, stage?: string): Lane {
    const lane: Lane = {
      number: this.#nextNumber(),
      queue,
      name,
      isOwn: stage === undefined,
      ...(executor === undefined ? {} : { executor }),
      ...(stage === undefined ? {} : { stage }),
    };
    this.#keep(lane);
    this.#changed(lane);
    return lane;
  }

  #keep(lane: Lane): void {
    this.#lanes.set(lane.number, lane);
    if (lane.isOwn) this.#own.set(kindOf(lane), lane);
    if (lane.stage !== undefined) this.#hidden.add(lane.number);
  }
}
