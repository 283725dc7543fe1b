import type { Settlement } from "../storage/storage.ts";
import { isTerminal } from "../task/state.ts";
import type { StoredTask, TaskId } from "../task/task.ts";
import type { TaskOutcome } from "./protocol.ts";

/*
 * What those who wait for a task are told. Pure.
 */

/** After a settlement that counted; `undefined` when the task has not ended by it. */
export function settledOutcome({ id, fence: { attempt }, end }: Settlement): TaskOutcome | undefined {
  switch (end.to) {
    case "completed":
      return { id, state: "completed", attempt, result: end.result };
    case "failed":
      return { id, state: "failed", attempt, reason: end.reason, error: end.failure.error };
    case "cancelled":
      return { id, state: "cancelled", attempt, reason: end.reason };
    case "retrying":
    case "ready":
      return undefined;
  }
}

/** Of a task as it is stored, without its result; `undefined` when it has not ended. */
export function storedOutcome(id: TaskId, found: StoredTask | undefined): TaskOutcome | undefined {
  if (found === undefined) return { id, state: "unknown", attempt: 0 };
  const { state, attempt, reason, failed } = found.life;
  if (!isTerminal(state)) return undefined;
  // A lease that ran out leaves no error; that of an earlier attempt is not why the task failed.
  const last = failed.at(-1);
  const isCause = state === "failed" && last?.reason === reason;
  return {
    id,
    state,
    attempt,
    ...(reason === undefined ? {} : { reason }),
    ...(last !== undefined && isCause ? { error: last.error } : {}),
  };
}
