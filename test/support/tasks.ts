import type { NewTask } from "../../src/storage/storage.ts";
import { defaultBackoff } from "../../src/task/retry.ts";
import type { TaskRequest } from "../../src/task/task.ts";

/** When the tasks of tests are made, unless they say otherwise. */
export const birth = 1_000;

/** A request with every default in place. */
export const aRequest = (given: Partial<TaskRequest> = {}): TaskRequest => ({
  name: "greet",
  queue: "default",
  priority: 0,
  createdAt: birth,
  maxRetries: 0,
  backoff: defaultBackoff,
  tags: [],
  metadata: {},
  ...given,
});

export const someBytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

let made = 0;

/** A new task: what is given goes where it belongs, into the task or its request. Ids rise unless they are given. */
export function aTask(
  given: Partial<TaskRequest> & Partial<Pick<NewTask, "id" | "args" | "onConflict">> = {},
): NewTask {
  const {
    id = `task-${String((made += 1)).padStart(8, "0")}`,
    args = someBytes(1, 2, 3),
    onConflict,
    ...request
  } = given;
  return { id, args, request: aRequest(request), ...(onConflict === undefined ? {} : { onConflict }) };
}
