import type { Self } from "../actor/actor.ts";
import { cancelAgain } from "./control.ts";
import { drained } from "./draining.ts";
import {
  becameReady,
  commit,
  forgetSoon,
  lookForEnds,
  poke,
  retryLeases,
  retryWaitingForRoom,
  tellExpired,
  tellScheduler,
  wakeBy,
  type Inbox,
  type QueueState,
} from "./queue-state.ts";

/** Does what time has made due, then sleeps until there is more. */
export function advance(state: QueueState, _message: Inbox, self: Self<Inbox>): void {
  state.advanceAt = undefined;
  commit(state, self, [{ type: "advance", now: self.clock.now(), limit: 1_000 }], ([result]) => {
    // What expired may have been the first of an ordered line.
    const isMore = result.ready + result.interrupted.length + result.expired.length > 0 || result.released;
    if (isMore) {
      becameReady(state);
      retryLeases(state, self);
      poke(state, self);
    }
    for (const id of result.interrupted) cancelAgain(state, self, id);
    if (result.interrupted.length > 0) {
      // Some have failed by it: they may not be interrupted once more.
      lookForEnds(state, self, result.interrupted);
      forgetSoon(state, self);
      retryWaitingForRoom(state);
      tellScheduler(state);
    }
    tellExpired(state, self, result.expired);
    if (result.hasMore) {
      self.tell({ type: "advance" });
      return;
    }
    self.pipe(
      state.storage.nextDue(),
      (next) => ({ type: "committed", next: () => next.advance !== undefined && wakeBy(state, self, next.advance) }),
      (error) => ({ type: "crash", error }),
    );
    drained(state, self);
  });
}
