/** What a task may be in, spelt as stored. The picture is in docs/design/state-machine.md. */
export const taskStates = [
  "blocked",
  "scheduled",
  "ready",
  "running",
  "retrying",
  "completed",
  "failed",
  "cancelled",
  "expired",
] as const;

export type TaskState = (typeof taskStates)[number];

/** Every move a task may make; a move that is not listed is a bug. `null` is a task that is not stored yet. */
export const moves: Readonly<Record<TaskState, readonly TaskState[]>> = Object.freeze({
  blocked: ["scheduled", "ready", "failed", "cancelled", "expired"],
  scheduled: ["ready", "cancelled", "expired"],
  ready: ["running", "cancelled", "expired"],
  running: ["completed", "retrying", "failed", "cancelled", "ready"],
  retrying: ["ready", "cancelled", "expired"],
  completed: [],
  failed: ["ready"], // by hand only
  cancelled: ["ready"], // by hand only
  expired: ["ready"], // by hand only
});

/** The states in which a task is stored. */
export const firstStates: readonly TaskState[] = ["blocked", "scheduled", "ready"];

export const terminalStates: readonly TaskState[] = ["completed", "failed", "cancelled", "expired"];
export const waitingStates: readonly TaskState[] = ["blocked", "scheduled", "ready", "retrying"];

/** No attempt follows unless somebody requeues the task by hand. */
export const isTerminal = (state: TaskState): boolean => terminalStates.includes(state);

/** Not started, or waiting to be started again. */
export const isWaiting = (state: TaskState): boolean => waitingStates.includes(state);

export const mayMove = (from: TaskState, to: TaskState): boolean => moves[from].includes(to);
