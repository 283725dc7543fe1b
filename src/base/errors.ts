// oxlint-disable max-lines -- a list: every error and its code in one place.
/** What every error of this package is: a stable `code` to match on, and a message that says what to do. */
export abstract class OmniqError extends Error {
  abstract readonly code: string;
  override get name(): string {
    return this.constructor.name;
  }
}

// ------------------------------------------------------------------------------------------------- wrong calls

/** An option, argument or name is not acceptable. Nothing was stored. */
export class InvalidArgumentError extends OmniqError {
  readonly code = "INVALID_ARGUMENT";
  /** Which value, as a path: `options.queues.reports.maxSize`. */
  readonly path: string;
  constructor(path: string, advice: string, options?: ErrorOptions) {
    super(`${path}: ${advice}`, options);
    this.path = path;
  }
}

/** An option that does not exist. Nothing was stored. */
export class UnknownOptionError extends OmniqError {
  readonly code = "UNKNOWN_OPTION";
  readonly path: string;
  constructor(path: string, nearest: string | undefined, known: readonly string[]) {
    const advice = nearest === undefined ? `Known are ${known.join(", ")}.` : `Did you mean "${nearest}"?`;
    super(`${path} is not an option. ${advice}`);
    this.path = path;
  }
}

/** A cron expression is not one. Nothing was stored. */
export class InvalidCronError extends OmniqError {
  readonly code = "INVALID_CRON";
  /** Where it was given. */
  readonly path: string;
  /** `second`, `minute`, `hour`, `day of month`, `month` or `day of week`; left out when it is none of them alone. */
  readonly field: string | undefined;
  constructor(path: string, field: string | undefined, problem: string, options?: ErrorOptions) {
    super(`${path}: ${problem}`, options);
    this.path = path;
    this.field = field;
  }
}

/** A trigger would never fire. Nothing was stored. */
export class NoSlotError extends OmniqError {
  readonly code = "NO_SLOT";
  readonly path: string;
  constructor(path: string, why: string) {
    super(`${path} would never fire: ${why}`);
    this.path = path;
  }
}

/** What was given as a task is a closure or something else that cannot be run by name in another thread. */
export class NotATaskError extends OmniqError {
  readonly code = "NOT_A_TASK";
  constructor(given: string) {
    super(
      `${given} is not a task. Give the name of a task, or what defineTask() returned: handlers run in other threads, so they must be exported by a module listed in "tasks".`,
    );
  }
}

/** No loaded module defines a task of this name. Nothing was stored. */
export class UnknownTaskError extends OmniqError {
  readonly code = "UNKNOWN_TASK";
  constructor(name: string, nearest: string | undefined) {
    const advice = nearest === undefined ? "" : ` Did you mean "${nearest}"?`;
    super(`No task is called ${JSON.stringify(name)}.${advice} Export it from a module listed in "tasks".`);
  }
}

/** A task module could not be loaded, or holds something unusable. `open` failed; nothing runs. */
export class TaskModuleError extends OmniqError {
  readonly code = "TASK_MODULE";
  constructor(file: string, problem: string, options?: ErrorOptions) {
    super(`Task module ${file}: ${problem}`, options);
  }
}

/** The module of a custom executor could not be loaded, or gives none. Nothing was changed. */
export class ExecutorModuleError extends OmniqError {
  readonly code = "EXECUTOR_MODULE";
  constructor(name: string, file: string, problem: string, options?: ErrorOptions) {
    super(`Executor "${name}" of ${file}: ${problem}`, options);
  }
}

/** A name is taken. Of tasks: `open` failed, nothing runs. Of schedules: nothing was stored. */
export class DuplicateNameError extends OmniqError {
  readonly code = "DUPLICATE_NAME";
  /** @param first of two files that define a task of this name; left out for the name of a schedule. */
  constructor(name: string, first?: string, second?: string) {
    super(
      first === undefined
        ? `A schedule is called ${JSON.stringify(name)} already. Choose another name, or change that one with upsert: true.`
        : `Two tasks are called "${name}": one in ${first}, one in ${second ?? first}. Rename one of them.`,
    );
  }
}

/** A task's `input` schema refused the arguments. Nothing was stored. */
export class InvalidInputError extends OmniqError {
  readonly code = "INVALID_INPUT";
  readonly issues: readonly { readonly message: string; readonly path: string }[];
  constructor(name: string, issues: readonly { readonly message: string; readonly path: string }[]) {
    const text = issues.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`)).join("; ");
    super(`Task "${name}" does not accept these arguments: ${text}`);
    this.issues = issues;
  }
}

/** A value cannot be kept: a function, a symbol, an instance of a class … The message names the place. */
export class NotSerializableError extends OmniqError {
  readonly code = "NOT_SERIALIZABLE";
  readonly path: string;
  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`${path} ${problem}. Give plain data: what structuredClone() keeps.`, options);
    this.path = path;
  }
}

/** Arguments or a result are larger than the limit. Nothing was stored of them. */
export class PayloadTooLargeError extends OmniqError {
  readonly code = "PAYLOAD_TOO_LARGE";
  constructor(what: string, bytes: number, limit: number) {
    super(
      `${what} of ${bytes} bytes exceed the limit of ${limit}. Store the data elsewhere and pass a reference, or raise "maxPayloadBytes".`,
    );
  }
}

/** The bytes are not a payload of ours, or were damaged. */
export class UnreadablePayloadError extends OmniqError {
  readonly code = "UNREADABLE_PAYLOAD";
  constructor(problem: string, options?: ErrorOptions) {
    super(`A payload cannot be read: ${problem}.`, options);
  }
}

// ------------------------------------------------------------------------------------------------- refusals

/** The id exists, or the dedupe key belongs to an unfinished task. Nothing was stored. */
export class DuplicateTaskError extends OmniqError {
  readonly code = "DUPLICATE_TASK";
  /** The task that is there already. */
  readonly existingId: string;
  constructor(existingId: string, what: string) {
    super(`${what} belongs to task ${existingId} already. Choose another, or say with "onConflict" what to do.`);
    this.existingId = existingId;
  }
}

/** The queue holds `maxSize` unfinished tasks. Nothing was stored. */
export class QueueFullError extends OmniqError {
  readonly code = "QUEUE_FULL";
  readonly queue: string;
  readonly maxSize: number;
  /** @param adding how many tasks were to be stored. */
  constructor(queue: string, maxSize: number, adding = 1) {
    super(
      adding > maxSize
        ? `Queue "${queue}" may hold ${maxSize} unfinished tasks; ${adding} at once never fit. Raise "maxSize", or enqueue fewer.`
        : `Queue "${queue}" may hold ${maxSize} unfinished tasks and has no room for these. Raise "maxSize", slow the producer, or wait with onFull: "wait".`,
    );
    this.queue = queue;
    this.maxSize = maxSize;
    this.#adding = adding;
  }

  readonly #adding: number;

  /** Whether there may be room for them later. */
  get mayFit(): boolean {
    return this.#adding <= this.maxSize;
  }
}

/** The task is running, so it cannot be deleted. */
export class TaskBusyError extends OmniqError {
  readonly code = "TASK_BUSY";
  constructor(id: string) {
    super(`Task ${id} is running. Cancel it first, or delete it with { force: true }.`);
  }
}

/** No task has this id. */
export class UnknownTaskIdError extends OmniqError {
  readonly code = "UNKNOWN_TASK_ID";
  constructor(id: string) {
    super(`No task has the id ${JSON.stringify(id)}: it was never stored, was deleted, or its retention has ended.`);
  }
}

/** A schedule was changed since the version that was expected. Nothing was changed now. */
export class VersionConflictError extends OmniqError {
  readonly code = "VERSION_CONFLICT";
  /** The version that it has. */
  readonly version: number;
  constructor(schedule: string, expected: number, version: number) {
    super(
      `Schedule ${schedule} has version ${version}, not ${expected}. Look at what was changed, and update it from there.`,
    );
    this.version = version;
  }
}

/** No schedule has this id. */
export class UnknownScheduleError extends OmniqError {
  readonly code = "UNKNOWN_SCHEDULE";
  constructor(id: string) {
    super(`No schedule has the id ${JSON.stringify(id)}: it was never stored, or was deleted. Names are not ids.`);
  }
}

/** The schedule has ended for good: it was cancelled, or its `ttl` is over. Nothing was changed. */
export class ScheduleEndedError extends OmniqError {
  readonly code = "SCHEDULE_ENDED";
  constructor(schedule: string, status: string) {
    super(`Schedule ${schedule} is ${status}. Make a new one${status === "completed" ? ", or update it" : ""}.`);
  }
}

// ------------------------------------------------------------------------------------------------- outcomes

/** A task ended without a value. The handler's error, where there was one, is the `cause`. */
export class TaskFailedError extends OmniqError {
  readonly code = "TASK_FAILED";
  readonly taskId: string;
  /** `failed`, `cancelled` or `expired`. */
  readonly state: string;
  constructor(taskId: string, state: string, reason: string, options?: ErrorOptions) {
    super(`Task ${taskId} ${state === "failed" ? "failed" : `was ${state}`}: ${reason}`, options);
    this.taskId = taskId;
    this.state = state;
  }
}

/** The time given to a wait is over. The task is not affected. */
export class WaitTimeoutError extends OmniqError {
  readonly code = "WAIT_TIMEOUT";
  constructor(what: string, ms: number) {
    super(`${what} did not end within ${ms} ms. It goes on; wait again, or cancel it.`);
  }
}

/** An attempt took longer than its task's `timeout`, and was stopped. */
export class TimeoutError extends OmniqError {
  readonly code = "TIMEOUT";
  constructor(ms: number) {
    super(`The attempt took longer than its timeout of ${ms} ms and was stopped.`);
  }
}

/** An attempt was silent for longer than its task's `stallTimeout`, and was stopped. */
export class StalledError extends OmniqError {
  readonly code = "STALLED";
  constructor(ms: number) {
    super(`The attempt was silent for longer than its stallTimeout of ${ms} ms and was stopped.`);
  }
}

/** Thrown inside a handler by `throwIfCancelled()`, and the reason of its `signal`. */
export class CancelledError extends OmniqError {
  readonly code = "CANCELLED";
}

/** The worker died under the task: it called `process.exit`, ran out of memory, or crashed. */
export class WorkerCrashError extends OmniqError {
  readonly code = "WORKER_CRASH";
  constructor(how: string, options?: ErrorOptions) {
    super(`The worker died while it ran this task: ${how}`, options);
  }
}

/** The child process that ran an attempt held more memory than the task's `memory` allows, and was ended. */
export class MemoryLimitError extends OmniqError {
  readonly code = "MEMORY_LIMIT";
  constructor(bytes: number, limit: number) {
    super(
      `The process of the attempt held ${bytes} bytes, more than its memory of ${limit}, and was ended. Raise "memory", or keep less at a time.`,
    );
  }
}

/** The resources of a worker could not be set up: what was thrown is the `cause`. The worker is replaced. */
export class ResourceSetupError extends OmniqError {
  readonly code = "RESOURCE_SETUP";
  constructor(cause: unknown) {
    const why = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    super(`The resources of the worker could not be set up: ${why}`, { cause });
  }
}

/** Thrown by a handler to fail at once, whatever `maxRetries` says. */
export class NonRetryable extends OmniqError {
  readonly code = "NON_RETRYABLE";
}

/** Thrown by a handler to be tried again after exactly `delay`. Uses up a retry. */
export class RetryLater extends OmniqError {
  readonly code = "RETRY_LATER";
  readonly delay: number | string;
  constructor(options: { delay: number | string; reason?: string }) {
    super(options.reason ?? `To be tried again in ${options.delay}${typeof options.delay === "number" ? " ms" : ""}.`);
    this.delay = options.delay;
  }
}

// ------------------------------------------------------------------------------------------------- the runtime

/** The runtime was closed, or is closing. */
export class ClosedError extends OmniqError {
  readonly code = "CLOSED";
  constructor(what = "This runtime") {
    super(`${what} is closed. Open it again to go on; stored tasks are kept.`);
  }
}

/** The supervisor thread ended, or does not answer. Acknowledged work is on disk. */
export class SupervisorLostError extends OmniqError {
  readonly code = "SUPERVISOR_LOST";
  constructor(how: string, options?: ErrorOptions) {
    super(`The supervisor ${how}. What was acknowledged is on disk: open the store again to go on.`, options);
  }
}

/** `currentTask()` was called outside of a handler. */
export class NoCurrentTaskError extends OmniqError {
  readonly code = "NO_CURRENT_TASK";
  constructor() {
    super("currentTask() has a value only inside a handler, and in what it calls.");
  }
}

// ------------------------------------------------------------------------------------------------- actors

/** The actor has stopped, or crashed before it answered. */
export class ActorStoppedError extends OmniqError {
  readonly code = "ACTOR_STOPPED";
  constructor(actor: string, options?: ErrorOptions) {
    super(`Actor "${actor}" stopped before it answered.`, options);
  }
}

/** No answer came before the deadline. The message may still be handled. */
export class AskTimeoutError extends OmniqError {
  readonly code = "ASK_TIMEOUT";
  constructor(actor: string, ms: number) {
    super(`Actor "${actor}" did not answer within ${ms} ms.`);
  }
}

/** The mailbox is full: the message was not taken. */
export class MailboxFullError extends OmniqError {
  readonly code = "MAILBOX_FULL";
  constructor(actor: string, capacity: number) {
    super(
      `The mailbox of actor "${actor}" holds ${capacity} messages, its limit. Send less at a time, or wait for answers.`,
    );
  }
}

// ------------------------------------------------------------------------------------------------- the store

/** The disk is nearly full: nothing of this call was stored. It succeeds again once there is space. */
export class StoreFullError extends OmniqError {
  readonly code = "STORE_FULL";
  constructor(path: string, free: number, needed: number) {
    super(
      `${path} has ${free} bytes free and needs ${needed}. Nothing was stored. Make room; the runtime goes on by itself.`,
    );
  }
}

/** A commit failed. The store is fenced: nothing more is written, every call is rejected with this. */
export class StoreFailedError extends OmniqError {
  readonly code = "STORE_FAILED";
  constructor(problem: string, options?: ErrorOptions) {
    super(
      `The store failed and takes nothing more: ${problem}. What was acknowledged is on disk. Find the cause, then open it again.`,
      options,
    );
  }
}

/** Another runtime has the store open. */
export class StoreOwnedError extends OmniqError {
  readonly code = "STORE_OWNED";
  /** The process that has it; left out when it could not be learned. */
  readonly pid: number | undefined;
  constructor(path: string, pid: number | undefined, owner?: string) {
    const who = pid === undefined ? "another process" : `process ${pid}`;
    super(`${path} is open in ${who}${owner === undefined ? "" : ` (${owner})`}. Close it there first.`);
    this.pid = pid;
  }
}

/** The store is damaged. It was left as it is. */
export class StoreCorruptError extends OmniqError {
  readonly code = "STORE_CORRUPT";
  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(
      `${path} is damaged: ${problem}. It was left as it is. Restore a backup, or move the folder away to start anew.`,
      options,
    );
  }
}

/** The folder holds something that is not a store of ours. It was left as it is. */
export class StoreForeignError extends OmniqError {
  readonly code = "STORE_FOREIGN";
  constructor(path: string, problem: string) {
    super(`${path} is not an omniq store: ${problem}. It was left as it is. Choose another folder.`);
  }
}

/** The store was written by a later version of this package. It was left as it is. */
export class StoreVersionError extends OmniqError {
  readonly code = "STORE_VERSION";
  constructor(path: string, found: number, known: number) {
    const advice = found > known ? "Use a newer version of omniq." : "Use the version of omniq that made it.";
    super(`${path} has format ${found}; this version reads format ${known}. ${advice}`);
  }
}
