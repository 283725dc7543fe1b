import { defineActor, type Actor, type Self } from "../actor/actor.ts";
import type { StoredTask } from "../task/task.ts";
import { advance } from "./advancing.ts";
import { cancelTasks, deleteTasks, moveTasks, purge, requeueTasks, unparkTasks } from "./control.ts";
import { drain, drained, drainWaitOver } from "./draining.ts";
import { enqueueTasks, publishStage, tasksStored } from "./enqueueing.ts";
import { endLease, lease, leaseWaitOver, serveLeases } from "./leases.ts";
import { follow, keep, noted, recall, storeNotes } from "./noting.ts";
import { storedOutcome } from "./outcome.ts";
import {
  becameReady,
  commit,
  createState,
  lookForEnds,
  poke,
  retryLeases,
  retryWaitingForRoom,
  spaceAgain,
  stopClaiming,
  type Inbox,
  type QueueParts,
  type QueueState,
} from "./queue-state.ts";
import { breakersMove, handleAttemptsEnded, handleDispatcherStarted, hurry, park, settleEnded } from "./settling.ts";

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
      tasksStored,
      wait(state, { ids, sink }, self) {
        for (const id of ids) state.waiters.add(id, sink);
        hurry(state, self, ids);
        lookForEnds(state, self, ids);
      },
      found(state, { ids, found }) {
        state.waiters.deliver(
          ids.flatMap((id, index) => {
            const outcome = storedOutcome(id, found[index]);
            return outcome === undefined ? [] : [outcome];
          }),
        );
      },
      stopWaiting(state, { ids, sink }) {
        for (const id of ids) state.waiters.remove(id, sink);
      },
      follow,
      stopFollowing(state, { id, sink }) {
        state.followers.remove(id, sink);
      },
      cancel: cancelTasks,
      requeue: requeueTasks,
      move: moveTasks,
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
            retryLeases(state, self);
            retryWaitingForRoom(state);
            drained(state, self);
          },
          reply.reject,
        );
      },
      lease,
      endLease,
      serveLeases,
      leaseWaitOver,
      drain,
      drainWaitOver,
      stopClaiming(state, message, self) {
        stopClaiming(state, message);
        settleEnded(state, self);
      },
      dispatcherStarted: handleDispatcherStarted,
      workersChanged(state, { workers }, self) {
        state.demand.setWorkers(workers);
        poke(state, self);
      },
      namesChanged: unparkTasks,
      noted,
      storeNotes(state, _message, self) {
        storeNotes(state, self);
      },
      recall,
      keep,
      attemptsEnded: handleAttemptsEnded,
      settleEnded(state, _message, self) {
        settleEnded(state, self);
      },
      breakersMove,
      park,
      spaceAgain,
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
  const { storage, names, waiters } = parts;
  // What was parked for want of a handler that is defined now may run again.
  for (const handler of (await storage.parked()).keys()) {
    if (!names.has(handler)) continue;
    for (let count = 1; count > 0;) [count] = await storage.commit([{ type: "unpark", handler, limit: 5_000 }]);
  }
  const state = createState(parts, await claimedBefore(parts));
  // Some may have ended when an earlier life could not tell it any more.
  lookForEnds(parts, self, waiters.ids);
  self.tell({ type: "advance" });
  return state;
}

async function claimedBefore({ storage, owner }: QueueParts): Promise<StoredTask[]> {
  const claimed: StoredTask[] = [];
  for (let cursor: string | undefined, isMore = true; isMore; isMore = cursor !== undefined) {
    const page = await storage.list({
      states: ["running"],
      limit: 1_000,
      ...(cursor === undefined ? {} : { cursor }),
    });
    claimed.push(...page.tasks.filter(({ life }) => life.claimedBy === owner));
    cursor = page.cursor;
  }
  return claimed;
}
