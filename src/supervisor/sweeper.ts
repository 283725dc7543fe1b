import { defineActor, type Actor, type Self } from "../actor/actor.ts";
import type { EpochMs } from "../base/clock.ts";
import { StoreFullError } from "../base/errors.ts";
import type { Pruned, Storage } from "../storage/storage.ts";
import type { SweeperMessage } from "./protocol.ts";

type Inbox = SweeperMessage | { readonly type: "due" };

interface State {
  readonly storage: Storage;
  /** When the timer is armed for. */
  at: EpochMs | undefined;
}

/** What is forgotten in one transaction: small, so that tasks are not kept waiting. */
const sweepStep = 1_000;
/** Between sweeps, however often something falls due. */
const leastGapMs = 1_000;

/** Forgets what has outlived its retention. */
export const sweeperActor = (storage: Storage): Actor<Inbox, State> =>
  defineActor<Inbox, State>({
    async start(self) {
      const state: State = { storage, at: undefined };
      const { prune } = await storage.nextDue();
      if (prune !== undefined) arm(state, self, prune);
      return state;
    },
    on: {
      forgetFrom: (state, { at }, self) => arm(state, self, at),
      async sweep(state, { reply }, self) {
        await sweep(state, self).then(reply, reply.reject);
      },
      async due(state, _message, self) {
        state.at = undefined;
        try {
          await sweep(state, self);
        } catch (error) {
          if (!(error instanceof StoreFullError)) throw error;
          arm(state, self, self.clock.now());
        }
      },
    },
  });

function arm(state: State, self: Self<Inbox>, at: EpochMs): void {
  const moment = Math.max(at, self.clock.now() + leastGapMs);
  if (state.at !== undefined && state.at <= moment) return;
  state.at = moment;
  self.setTimer("due", moment, { type: "due" });
}

async function sweep(state: State, self: Self<Inbox>): Promise<{ tasks: number; results: number; events: number }> {
  const sum = { tasks: 0, results: 0, events: 0 };
  let pruned: Pruned;
  do {
    [pruned] = await state.storage.commit([{ type: "prune", now: self.clock.now(), limit: sweepStep }]);
    sum.tasks += pruned.tasks;
    sum.results += pruned.results;
    sum.events += pruned.events;
  } while (pruned.hasMore);
  const { prune } = await state.storage.nextDue();
  if (prune !== undefined) arm(state, self, prune);
  return sum;
}
