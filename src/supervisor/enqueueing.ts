import type { Self } from "../actor/actor.ts";
import { CancelledError, QueueFullError } from "../base/errors.ts";
import type { QueueMessage } from "./protocol.ts";
import {
  becameReady,
  commit,
  poke,
  retryLeases,
  retryWaitingForRoom,
  wakeBy,
  type Inbox,
  type QueueState,
} from "./queue-state.ts";

type Enqueue = Extract<QueueMessage, { type: "enqueue" }>;
type Publish = Extract<QueueMessage, { type: "publish" }>;

/** Where a call that finds its queue full takes its place in the line of those that wait for room. */
type Place = "last" | "first";

export function enqueueTasks(state: QueueState, message: Enqueue, self: Self<Inbox>): void {
  storeTasks(state, message, self, "last");
}

function storeTasks(state: QueueState, message: Enqueue, self: Self<Inbox>, place: Place): void {
  const { tasks, parent, sink, reply } = message;
  if (parent !== undefined && state.claimed.get(parent.id)?.life.attempt !== parent.attempt) {
    // Another attempt is to be made, or was, and asks for the same.
    reply.reject(new CancelledError("This attempt is over: nothing of it is stored any more."));
    // The room that it does not take is left to the next.
    if (place === "first") retryWaitingForRoom(state);
    return;
  }
  becameReady(state);
  state.demand.rush(tasks, state.claimed);
  // Before the commit: the end of a task may be known in the very turn in which it is acknowledged.
  const watched = sink === undefined ? [] : tasks.filter(({ id }) => state.waiters.add(id, sink));
  commit(
    state,
    self,
    [{ type: "enqueue", tasks }],
    ([ids]) => {
      reply(ids);
      retryLeases(state, self);
      if (place === "first") retryWaitingForRoom(state);
      let dueAt = Number.POSITIVE_INFINITY;
      for (const { request } of tasks) {
        dueAt = Math.min(dueAt, request.runAt ?? dueAt, request.expiresAt ?? dueAt);
      }
      if (dueAt < Number.POSITIVE_INFINITY) wakeBy(state, self, dueAt);
      // A task that was not stored, because its key is taken, ends nothing; its waiter asks for the other one.
      if (sink !== undefined)
        ids.forEach((id, index) => id !== tasks[index]?.id && forgetWaiter(state, message, index));
    },
    (error) => {
      if (sink !== undefined) for (const { id } of watched) state.waiters.remove(id, sink);
      refused(state, message, error, place, () => storeTasks(state, message, self, "first"));
    },
  );
}

/** Another actor has stored them. */
export function tasksStored(
  state: QueueState,
  { tasks }: Extract<QueueMessage, { type: "tasksStored" }>,
  self: Self<Inbox>,
): void {
  becameReady(state);
  state.demand.rush(tasks, state.claimed);
  for (const { request } of tasks) if (request.expiresAt !== undefined) wakeBy(state, self, request.expiresAt);
  retryLeases(state, self);
  poke(state, self);
}

function forgetWaiter(state: QueueState, { tasks, sink }: Enqueue, index: number): void {
  const task = tasks[index];
  if (task !== undefined && sink !== undefined) state.waiters.remove(task.id, sink);
}

export const publishStage = (state: QueueState, message: Publish, self: Self<Inbox>): void =>
  publishTasks(state, message, self, "last");

function publishTasks(state: QueueState, message: Publish, self: Self<Inbox>, place: Place): void {
  const { stage, how, reply } = message;
  becameReady(state);
  commit(
    state,
    self,
    [{ type: "publish", stage, how }],
    () => {
      reply();
      retryLeases(state, self);
      if (place === "first") retryWaitingForRoom(state);
      if (how === "appear") self.tell({ type: "advance" });
      // A large one is forgotten in steps.
      else state.sweeper().tell({ type: "forgetFrom", at: self.clock.now() });
    },
    (error) => refused(state, message, error, place, () => publishTasks(state, message, self, "first")),
  );
}

/** A full queue turns new tasks away, or keeps their callers waiting, as they asked, in the order they came in. */
function refused(
  state: QueueState,
  { onFull, reply }: Enqueue | Publish,
  error: unknown,
  place: Place,
  retry: () => void,
): void {
  if (!(error instanceof QueueFullError) || onFull !== "wait" || !error.mayFit) {
    reply.reject(error);
    // The room that it does not take is left to the next.
    if (place === "first") retryWaitingForRoom(state);
    return;
  }
  const line = state.waitingForRoom.get(error.queue) ?? [];
  if (place === "first") line.unshift(retry);
  else line.push(retry);
  state.waitingForRoom.set(error.queue, line);
}
