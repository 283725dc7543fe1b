import { defineActor, type Actor, type Self } from "../actor/actor.ts";
import { cancelTasks, deleteTasks, purge, requeueTasks } from "./control.ts";
import { enqueueTasks, publishStage } from "./enqueueing.ts";
import { endLease, lease, leaseWaitOver } from "./leases.ts";
import {
  advance,
  becameReady,
  commit,
  createState,
  drained,
  poke,
  retryLeases,
  retryWaitingForRoom,
  type Inbox,
  type QueueParts,
  type QueueState,
} from "./queue-state.ts";
import { handleAttemptsEnded, releaseLost, settleAgain } from "./settling.ts";

/**
 * Decides what is next. Every message becomes one list of changes, committed together; where workers have room, a claim
 * rides along in the same transaction, so a task is on disk and claimed with one write. Replies wait for the commit.
 */
export const queueActor = (parts: QueueParts): Actor<Inbox, QueueState> =>
  defineActor<Inbox, QueueState>({
    start: (self) => start(parts, self),
    on: {
      enqueue: enqueueTasks,
      stage(state, { stage, tasks, reply }, self) {
        commit(state, self, [{ type: "stage", stage, tasks }], () => reply(), reply.reject);
      },
      publish: publishStage,
      wait(state, { ids, sink }, self) {
        for (const id of ids) state.waiters.add(id, sink);
        self.pipe(
          state.storage.get(ids),
          (found) => ({ type: "found", ids, found }),
          (error) => ({ type: "crash", error }),
        );
      },
      found(state, { ids, found }) {
        state.waiters.deliver(
          ids.flatMap((id, index) => {
            const outcome = state.outcomeOf(id, found[index]);
            return outcome === undefined ? [] : [outcome];
          }),
        );
      },
      stopWaiting(state, { ids, sink }) {
        for (const id of ids) state.waiters.remove(id, sink);
      },
      cancel: cancelTasks,
      requeue: requeueTasks,
      delete: deleteTasks,
      purge,
      configureQueue(state, { queue, patch, reply }, self) {
        becameReady(state);
        commit(
          state,
          self,
          [{ type: "configureQueue", queue, patch }],
          ([record]) => {
            reply(record);
            retryLeases(state);
            retryWaitingForRoom(state);
          },
          reply.reject,
        );
      },
      lease,
      endLease,
      leaseWaitOver,
      drain(state, { reply }, self) {
        state.drains.push(reply);
        drained(state, self);
      },
      stopClaiming(state, { reply }) {
        state.isStopping = true;
        for (const waiting of state.leasing.splice(0)) waiting.giveUp();
        reply();
      },
      dispatcherStarted(state, { running, wanted }, self) {
        state.wanted = wanted;
        releaseLost(state, self, running);
        poke(state, self);
      },
      attemptsEnded: handleAttemptsEnded,
      settleAgain,
      advance,
      committed(_state, { next }) {
        next();
      },
      crash(_state, { error }) {
        throw error;
      },
    },
  });

async function start(parts: QueueParts, self: Self<Inbox>): Promise<QueueState> {
  const state = createState(parts);
  // Tasks that were parked under a name that is registered now may run again.
  for (const [name] of await parts.storage.parked()) {
    if (!parts.names.has(name)) continue;
    for (let count = 1; count > 0;) [count] = await parts.storage.commit([{ type: "unpark", name, limit: 5_000 }]);
  }
  self.tell({ type: "advance" });
  return state;
}
