import type { EpochMs } from "../../base/clock.ts";
import type { TaskRequest } from "../../task/task.ts";
import type { Retention } from "../storage.ts";
import { pruneKey } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import { encodeKeys } from "./records.ts";
import type { Ending } from "./store.ts";
import type { Table } from "./tables.ts";

export const pruneKind = { task: 0, result: 1 } as const;
export type PruneKind = (typeof pruneKind)[keyof typeof pruneKind];

/** When what has ended is to be forgotten; see `prune` in time.ts. */
export class Forgetting {
  readonly #table: Table;
  readonly #ledger: Ledger;
  readonly #retention: Retention;
  /** Tasks and spans that ended in this transaction, by the moment their records (or results) are forgotten. */
  #ended = new Map<EpochMs, { tasks: Buffer[]; results: Buffer[] }>();

  constructor(table: Table, ledger: Ledger, retention: Retention) {
    this.#table = table;
    this.#ledger = ledger;
    this.#retention = retention;
  }

  /** A task, or those of a span, ended: its record and its result are to be forgotten in time. */
  later(key: Buffer, { resultTtlMs }: TaskRequest, { state, at }: Ending): void {
    const { completedMs, failedMs } = this.#retention;
    const kept = state === "failed" ? failedMs : completedMs;
    const resultTtl = resultTtlMs ?? kept;
    if (resultTtl < kept && state === "completed") this.#endedAt(at + resultTtl).results.push(key);
    this.#endedAt(at + Math.max(kept, resultTtl)).tasks.push(key);
  }

  /** These are to be forgotten at a moment. */
  put(at: EpochMs, kind: PruneKind, keys: readonly Buffer[]): void {
    if (keys.length === 0) return;
    const value = Buffer.concat([Buffer.from([kind]), encodeKeys(keys)]);
    this.#table.put(pruneKey(at, this.#ledger.nextSequence()), value);
  }

  /** At the end of each transaction. */
  save(): void {
    if (this.#ended.size === 0) return;
    for (const [at, { tasks, results }] of this.#ended) {
      this.put(at, pruneKind.task, tasks);
      this.put(at, pruneKind.result, results);
    }
    this.#ended = new Map();
  }

  #endedAt(at: EpochMs): { tasks: Buffer[]; results: Buffer[] } {
    let entry = this.#ended.get(at);
    if (entry === undefined) {
      entry = { tasks: [], results: [] };
      this.#ended.set(at, entry);
    }
    return entry;
  }
}
