import { AsyncLocalStorage } from "node:async_hooks";
import type { EpochMs } from "../base/clock.ts";
import { NoCurrentTaskError } from "../base/errors.ts";
import type { Metadata, TaskId } from "./task.ts";

/** What a handler may know of the task it runs for. */
export interface TaskContext {
  readonly id: TaskId;
  readonly name: string;
  /** Which start of the task this is; 1 for the first. */
  readonly attempt: number;
  readonly args: readonly unknown[];
  readonly queue: string;
  readonly tags: readonly string[];
  readonly metadata: Metadata;
  /** Aborts when the task is cancelled, its time is up or the runtime closes; the reason is a CancelledError. */
  readonly signal: AbortSignal;
  /** Whether `signal` has aborted, or is about to: true even inside a loop that never lets events through. */
  readonly cancelled: boolean;
  /** When the attempt is stopped; left out when the task has no `timeout`. */
  readonly deadline?: EpochMs;
  /** @throws CancelledError when `cancelled`. */
  throwIfCancelled(): void;
}

/**
 * The task whose handler is running, also in what it calls and awaits.
 *
 * @throws NoCurrentTaskError outside of a handler.
 */
export function currentTask(): TaskContext {
  const context = contexts.getStore();
  if (context === undefined) throw new NoCurrentTaskError();
  return context;
}

/** Calls `run` with `context` as its current task. */
export const runInContext = <T>(context: TaskContext, run: () => T): T => contexts.run(context, run);

// On globalThis, so that a task module which finds another installed copy of this package finds its task all the same.
const key = Symbol.for("omniq.context");
const shared = globalThis as { [key]?: AsyncLocalStorage<TaskContext> };
const contexts = (shared[key] ??= new AsyncLocalStorage<TaskContext>());
