import type { EpochMs } from "../base/clock.ts";
import { earliest, type RateKey, type Rates } from "./rates.ts";
import type { Claim, Limits, QueueRecord, StorageSettings } from "./storage.ts";
import type { RateLimit } from "./token-bucket.ts";

/** What tasks share that stand in one line of ready tasks. */
export interface Line {
  readonly queue: string;
  readonly name: string;
  readonly executor?: string | undefined;
}

/** What limits are counted against. */
export interface Usage {
  readonly settings: StorageSettings;
  readonly rates: Rates;
  record(queue: string): QueueRecord | undefined;
  /** Running tasks of a queue. */
  runningIn(queue: string): number;
  /** Running tasks of a name that has limits. */
  runningAs(name: string): number;
}

/** What is left of one limit. */
interface Share {
  left: number;
  readonly rate?: { readonly key: RateKey; readonly limit: RateLimit };
}

/** How many more tasks of each line a claim may give: the least of what is left of all that limits the line. */
export class ClaimRoom {
  readonly #claim: Claim;
  readonly #usage: Usage;
  readonly #shares = new Map<string, readonly Share[]>();
  readonly #sharesOf = new Map<Line, readonly Share[]>();
  readonly #exhausted = new Set<RateKey>();

  constructor(claim: Claim, usage: Usage) {
    this.#claim = claim;
    this.#usage = usage;
  }

  /** How many; 0 also where the claim leaves the line alone. */
  of(line: Line): number {
    let least = Number.POSITIVE_INFINITY;
    const shares = this.#of(line);
    for (const { left } of shares) if (left < least) least = left;
    if (least <= 0)
      for (const { left, rate } of shares) if (left <= 0 && rate !== undefined) this.#exhausted.add(rate.key);
    return least;
  }

  /** So many of the line were claimed. */
  started(line: Line, count: number): void {
    for (const share of this.#of(line)) {
      share.left -= count;
      const { rate } = share;
      if (rate !== undefined) this.#usage.rates.started(rate.key, rate.limit, count, this.#claim.now);
    }
  }

  /** After the claim: when the first that was left because of a rate limit may start. */
  heldUntil(): EpochMs | undefined {
    let at: EpochMs | undefined;
    for (const rate of this.#exhausted) at = earliest(at, this.#usage.rates.hold(rate));
    return at;
  }

  #of(line: Line): readonly Share[] {
    let shares = this.#sharesOf.get(line);
    if (shares === undefined) {
      shares = this.#find(line);
      this.#sharesOf.set(line, shares);
    }
    return shares;
  }

  #find({ queue, name, executor }: Line): readonly Share[] {
    const { queues, room, perName } = this.#claim;
    const { settings } = this.#usage;
    const record = this.#usage.record(queue);
    if (queues?.includes(queue) === false || record?.isPaused === true) return nothing;
    const shares = [...this.#limited(`queue:${queue}`, record, () => this.#usage.runningIn(queue))];
    const limits = settings.names?.get(name);
    if (limits !== undefined) shares.push(...this.#limited(`name:${name}`, limits, () => this.#usage.runningAs(name)));
    const most = perName?.get(name);
    if (most !== undefined) shares.push(...this.#shared(`claim:${name}`, () => [{ left: most }]));
    if (room !== undefined) {
      const where = executor ?? settings.defaultExecutor ?? "thread";
      shares.push(...this.#shared(`executor:${where}`, () => [{ left: room.get(where) ?? 0 }]));
    }
    return shares;
  }

  #limited(key: RateKey, limits: Limits | undefined, running: () => number): readonly Share[] {
    const { concurrency, rateLimit: given } = limits ?? {};
    const rateLimit = given?.perKey === true ? undefined : given;
    if (concurrency === undefined && rateLimit === undefined) return [];
    return this.#shared(key, () => [
      ...(concurrency === undefined ? [] : [{ left: concurrency - running() }]),
      ...(rateLimit === undefined
        ? []
        : [{ left: this.#usage.rates.left(key, rateLimit, this.#claim.now), rate: { key, limit: rateLimit } }]),
    ]);
  }

  /** Lines that share a limit share its count. */
  #shared(key: string, make: () => readonly Share[]): readonly Share[] {
    let shares = this.#shares.get(key);
    if (shares === undefined) {
      shares = make();
      this.#shares.set(key, shares);
    }
    return shares;
  }
}

const nothing: readonly Share[] = [{ left: 0 }];
