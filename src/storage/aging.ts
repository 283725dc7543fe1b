import type { EpochMs } from "../base/clock.ts";
import type { TaskLife, TaskRequest } from "../task/task.ts";

/** Since when a ready task waits, as ageing counts: from when it was to start, or was requeued. */
export const waitingSince = (
  { createdAt, runAt }: TaskRequest,
  { requeuedAt }: Pick<TaskLife, "requeuedAt">,
): EpochMs => requeuedAt ?? runAt ?? createdAt;

/** The priority of a task that rises by one with every `stepMs` that it waits. */
export const agedPriority = (priority: number, since: EpochMs, stepMs: number, now: EpochMs): number =>
  priority + Math.max(0, Math.floor((now - since) / stepMs));
