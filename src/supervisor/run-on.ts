import type { Clock } from "../base/clock.ts";
import type { Executor, Run, RunObserver } from "../executor/executor.ts";
import type { StoredTask } from "../task/task.ts";

/**
 * Has the executor run the batch. One that it refuses, by throwing, is reported as unstarted after a moment: given again
 * at once, it would be refused again, and again.
 */
export function runOn(executor: Executor, tasks: readonly StoredTask[], observer: RunObserver, clock: Clock): Run {
  try {
    return executor.run(tasks, observer);
  } catch {
    clock.wakeAt(clock.now() + refusedForMs, () => {
      observer.ended(tasks.map(({ id }) => ({ id, end: { type: "unstarted" } })));
      observer.idle();
    });
    return { current: () => undefined, revoke() {}, stop() {} };
  }
}

const refusedForMs = 1_000;
