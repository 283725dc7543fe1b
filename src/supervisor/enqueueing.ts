import type { Self } from "../actor/actor.ts";
import { QueueFullError } from "../base/errors.ts";
import type { QueueMessage } from "./protocol.ts";
import { becameReady, commit, retryLeases, wakeBy, type Inbox, type QueueState } from "./queue-state.ts";

type Enqueue = Extract<QueueMessage, { type: "enqueue" }>;
type Publish = Extract<QueueMessage, { type: "publish" }>;

export function enqueueTasks(state: QueueState, message: Enqueue, self: Self<Inbox>): void {
  const { tasks, sink, reply } = message;
  becameReady(state);
  // Before the commit: the end of a task may be known in the very turn in which it is acknowledged.
  if (sink !== undefined) for (const { id } of tasks) state.waiters.add(id, sink);
  commit(
    state,
    self,
    [{ type: "enqueue", tasks }],
    ([ids]) => {
      reply(ids);
      retryLeases(state);
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
      if (sink !== undefined) for (const { id } of tasks) state.waiters.remove(id, sink);
      refused(state, message, error, () => enqueueTasks(state, message, self));
    },
  );
}

function forgetWaiter(state: QueueState, { tasks, sink }: Enqueue, index: number): void {
  const task = tasks[index];
  if (task !== undefined && sink !== undefined) state.waiters.remove(task.id, sink);
}

export function publishStage(state: QueueState, message: Publish, self: Self<Inbox>): void {
  const { stage, how, reply } = message;
  becameReady(state);
  commit(
    state,
    self,
    [{ type: "publish", stage, how }],
    () => {
      reply();
      retryLeases(state);
      self.tell({ type: "advance" });
    },
    (error) => refused(state, message, error, () => publishStage(state, message, self)),
  );
}

/** A full queue turns new tasks away, or keeps their callers waiting, as they asked. */
function refused(state: QueueState, { onFull, reply }: Enqueue | Publish, error: unknown, retry: () => void): void {
  if (error instanceof QueueFullError && onFull === "wait") state.waitingForRoom.push(retry);
  else reply.reject(error);
}
