import { MemoryLimitError } from "../base/errors.ts";
import { toTaskError } from "../task/task-error.ts";
import type { TaskId } from "../task/task.ts";
import type { Batch } from "./batch.ts";
import type { Death } from "./worker.ts";

/** Whether the tasks of a worker that runs one at a time keep to their limits of memory. */
export class MemoryWatch {
  readonly #batches = new Set<Batch>();
  /** The task that was seen within its limit last. */
  #innocentAt: TaskId | undefined;
  /** The first task that was seen here. */
  #first: TaskId | undefined;

  take(batch: Batch): void {
    this.#batches.add(batch);
    this.#first ??= batch.tasks[0]?.id;
  }

  release(batch: Batch): void {
    this.#batches.delete(batch);
  }

  get isNeeded(): boolean {
    for (const { tasks } of this.#batches) if (tasks.some(isLimited)) return true;
    return false;
  }

  /**
   * What follows from the size that the worker has now: nothing, its death because of the task that runs, or, `"full"`, its
   * end by no fault of that task: what tasks before it have left may be what is too much. That is said to a task once.
   */
  judge(bytes: number): Death | "full" | undefined {
    for (const batch of this.#batches) {
      const task = batch.tasks[batch.running ?? -1];
      if (task === undefined) continue;
      const { id, life, request } = task;
      const { memoryBytes = Number.POSITIVE_INFINITY } = request;
      if (bytes <= memoryBytes) this.#innocentAt = id;
      else if (id !== this.#first && id !== this.#innocentAt && life.interruptions === 0) return "full";
      else {
        const error = toTaskError(new MemoryLimitError(bytes, memoryBytes));
        const end = { type: "fault", fault: { reason: "memory", isRetryable: true }, error } as const;
        return { how: `it held ${bytes} bytes, more than the task on it may`, end };
      }
    }
    return undefined;
  }
}

const isLimited = ({ request }: Batch["tasks"][number]): boolean => request.memoryBytes !== undefined;
