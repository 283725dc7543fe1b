import type { Self } from "../actor/actor.ts";
import { isWaiting, type TaskState } from "../task/state.ts";
import type { TaskId } from "../task/task.ts";
import { drained } from "./draining.ts";
import type { QueueMessage } from "./protocol.ts";
import {
  becameReady,
  commit,
  forgetSoon,
  lookForEnds,
  poke,
  retryLeases,
  retryWaitingForRoom,
  tellScheduler,
  type Inbox,
  type QueueState,
  type StopRequest,
} from "./queue-state.ts";

/** How many tasks a purge deletes in one transaction. */
const purgeStep = 500;
/** How many tasks are made ready again in one transaction. */
const unparkStep = 5_000;

export function cancelTasks(
  state: QueueState,
  { ids, reason, running, graceMs, reply }: Extract<QueueMessage, { type: "cancel" }>,
  self: Self<Inbox>,
): void {
  commit(
    state,
    self,
    [{ type: "cancel", ids, now: self.clock.now(), reason }],
    ([found]) => {
      const cancelled = ids.filter((_, index) => isFoundWaiting(found[index]));
      lookForEnds(state, self, cancelled);
      if (cancelled.length > 0) {
        forgetSoon(state, self);
        retryWaitingForRoom(state);
        nextInLine(state, self);
        drained(state, self);
        tellScheduler(state);
      }
      const answers = ids.map(async (id, index) => {
        if (isFoundWaiting(found[index])) return true;
        if (found[index] !== "running" || running === "no") return false;
        return stopRunning(state, id, { reason, mode: running, graceMs });
      });
      void Promise.all(answers).then(reply, reply.reject);
    },
    reply.reject,
  );
}

/** What is gone may have been the first of an ordered line; what has come may be claimed. */
function nextInLine(state: QueueState, self: Self<Inbox>): void {
  becameReady(state);
  retryLeases(state, self);
  poke(state, self);
}

const isFoundWaiting = (state: TaskState | undefined): boolean => state !== undefined && isWaiting(state);

/** Resolves when the task has ended: whether it was cancelled, or had finished before it noticed. */
function stopRunning(state: QueueState, id: TaskId, how: Omit<StopRequest, "replies">): Promise<boolean> {
  return new Promise((resolve) => {
    const replies = state.stops.get(id)?.replies ?? [];
    replies.push(resolve);
    state.stops.set(id, { ...how, replies });
    state.dispatcher().tell({ type: "stop", id, ...how });
  });
}

/** A task that was to be stopped came back before it could notice: it is cancelled where it is now. */
export function cancelAgain(state: QueueState, self: Self<Inbox>, id: TaskId): void {
  const stop = state.stops.get(id);
  if (stop === undefined) return;
  state.stops.delete(id);
  const { reason, mode, graceMs, replies } = stop;
  const isCancelled = new Promise<boolean>((resolve, reject) => {
    const reply = Object.assign(([answer]: readonly boolean[]) => resolve(answer === true), { reject });
    cancelTasks(state, { type: "cancel", ids: [id], reason, running: mode, graceMs, reply }, self);
  });
  for (const reply of replies) reply(isCancelled);
}

export function requeueTasks(
  state: QueueState,
  { ids, reply }: Extract<QueueMessage, { type: "requeue" }>,
  self: Self<Inbox>,
): void {
  becameReady(state);
  commit(
    state,
    self,
    [{ type: "requeue", ids, now: self.clock.now() }],
    ([found]) => {
      reply(found);
      retryLeases(state, self);
      self.tell({ type: "advance" });
    },
    reply.reject,
  );
}

/** What was set aside for want of a handler may run, where there is one now. */
export function unparkTasks(
  state: QueueState,
  { reply }: Extract<QueueMessage, { type: "namesChanged" }>,
  self: Self<Inbox>,
): void {
  const next = (handlers: readonly string[]): void => {
    const [handler, ...others] = handlers;
    if (handler === undefined) {
      reply();
      nextInLine(state, self);
      return;
    }
    becameReady(state);
    commit(
      state,
      self,
      [{ type: "unpark", handler, limit: unparkStep }],
      ([count]) => next(count === unparkStep ? handlers : others),
      reply.reject,
    );
  };
  self.pipe(
    state.storage.parked(),
    (parked) => ({
      type: "committed",
      next: () => next([...parked.keys()].filter((handler) => state.names.has(handler))),
    }),
    (error) => ({ type: "committed", next: () => reply.reject(error) }),
  );
}

export function moveTasks(
  state: QueueState,
  { ids, queue, reply }: Extract<QueueMessage, { type: "move" }>,
  self: Self<Inbox>,
): void {
  commit(
    state,
    self,
    [{ type: "move", ids, queue }],
    ([found]) => {
      reply(found);
      nextInLine(state, self);
      retryWaitingForRoom(state);
      drained(state, self);
    },
    reply.reject,
  );
}

export function deleteTasks(
  state: QueueState,
  { ids, force, reply }: Extract<QueueMessage, { type: "delete" }>,
  self: Self<Inbox>,
): void {
  commit(
    state,
    self,
    [{ type: "delete", ids, now: self.clock.now(), force }],
    ([found]) => {
      reply(found);
      state.waiters.deliver(ids.map((id) => ({ id, state: "unknown", attempt: 0 })));
      for (const id of ids) {
        for (const tell of state.stops.get(id)?.replies ?? []) tell(false);
        state.stops.delete(id);
      }
      // What still runs is told to stop; its outcome will not count.
      if (force)
        for (const id of ids)
          state.dispatcher().tell({ type: "stop", id, reason: "deleted", mode: "terminate", graceMs: 100 });
      becameReady(state);
      retryLeases(state, self);
      retryWaitingForRoom(state);
      poke(state, self);
      drained(state, self);
      tellScheduler(state);
    },
    reply.reject,
  );
}

/** Deletes what matches, a page at a time, so that other work goes on in between. Running tasks are left alone. */
export function purge(
  state: QueueState,
  { query, reply }: Extract<QueueMessage, { type: "purge" }>,
  self: Self<Inbox>,
): void {
  let deleted = 0;
  const next = (cursor: string | undefined): void => {
    self.pipe(
      state.storage.list({ ...query, limit: purgeStep, ...(cursor === undefined ? {} : { cursor }) }),
      (page) => ({
        type: "committed",
        next: () => {
          const idle = page.tasks.filter(({ life }) => life.state !== "running");
          const ids = idle.map(({ id }) => id);
          commit(
            state,
            self,
            // What has changed since the page was read is not what was meant.
            [{ type: "delete", ids, now: self.clock.now(), ifState: idle.map(({ life }) => life.state) }],
            ([found]) => {
              deleted += found.filter(Boolean).length;
              state.waiters.deliver(
                ids.filter((_, index) => found[index]).map((id) => ({ id, state: "unknown", attempt: 0 })),
              );
              if (page.cursor === undefined) {
                reply(deleted);
                retryWaitingForRoom(state);
                nextInLine(state, self);
                drained(state, self);
                tellScheduler(state);
              } else next(page.cursor);
            },
            reply.reject,
          );
        },
      }),
      (error) => ({ type: "committed", next: () => reply.reject(error) }),
    );
  };
  next(undefined);
}
