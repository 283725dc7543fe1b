import type { EpochMs } from "../../base/clock.ts";
import type { TaskId } from "../../task/task.ts";
import type { Extend } from "../storage.ts";
import { due, dueKey, taskIdOf } from "./keys.ts";
import { interrupt, release } from "./settle.ts";
import type { Step, Store } from "./store.ts";

export function extend(store: Store, change: Extend, epoch: number): Step<readonly boolean[]> {
  return {
    apply: () =>
      change.leases.map(({ id, fence }) => {
        const held = store.claims.get(id);
        if (held === undefined || fence.epoch !== epoch || fence.attempt !== held.life.attempt) return false;
        if (held.until !== undefined && change.until > held.until) {
          store.tables.due.remove(dueKey(held.until, due.lease, held.lane, held.sequence));
          store.tables.due.put(dueKey(change.until, due.lease, held.lane, held.sequence), held.key);
          held.until = change.until;
          // So that the next opening knows which moment to take out of the index.
          store.claims.prolong(held.batch, change.until);
        }
        return true;
      }),
  };
}

/**
 * The lease ran out: an interruption, perhaps one too many. The attempt keeps its number, so that what its holder may
 * still say is known to be late. Gives the task's id, or `undefined` when the lease was prolonged or is over.
 */
export function endLease(store: Store, key: Buffer, now: EpochMs): TaskId | undefined {
  const id = taskIdOf(key);
  const held = store.claims.get(id);
  if (held?.until === undefined || held.until > now) return undefined;
  release(store, id, held);
  const { before, life, request } = held;
  const interruptions = before.interruptions + 1;
  if (interruptions <= (request.maxInterruptions ?? Number.POSITIVE_INFINITY)) {
    interrupt(store, held, { ...before, attempt: life.attempt, interruptions }, now);
    return id;
  }
  const ending = { state: "failed", at: now, reason: "interrupted" } as const;
  const { attempt } = life;
  const ended = { ...before, attempt, interruptions, state: ending.state, finishedAt: now, reason: ending.reason };
  store.ledger.total("interrupted");
  store.end(key, held, "running", { state: ending.state, attempt, finishedAt: now, life: ended }, ending);
  return id;
}

/** Drops the claim of a task that is being deleted; its outcome will come too late. */
export function dropClaim(store: Store, id: TaskId): void {
  const held = store.claims.get(id);
  if (held === undefined) return;
  store.claims.bury(id);
  release(store, id, held);
}
