import type { EpochMs } from "../base/clock.ts";
import { InvalidArgumentError } from "../base/errors.ts";
import { currentTask, type EventContext, type ScheduleContext, type TaskContext } from "../task/context.ts";
import type { Metadata, TaskId } from "../task/task.ts";
import type { Attempt } from "./attempt.ts";

/** The attempt whose handler, or what it left behind, is running now. */
export function currentAttempt(): Attempt | undefined {
  try {
    return AttemptContext.attemptOf(currentTask());
  } catch {
    return undefined;
  }
}

/** What handlers see of their attempt. */
export class AttemptContext implements TaskContext {
  readonly deadline?: EpochMs;
  readonly #attempt: Attempt;

  constructor(attempt: Attempt) {
    this.#attempt = attempt;
    const { timeoutMs } = attempt.header.request;
    if (timeoutMs !== undefined) this.deadline = attempt.startedAt + timeoutMs;
  }

  static attemptOf(context: TaskContext): Attempt | undefined {
    return #attempt in context ? context.#attempt : undefined;
  }

  get id(): TaskId {
    return this.#attempt.header.id;
  }
  get name(): string {
    return this.#attempt.header.request.name;
  }
  get attempt(): number {
    return this.#attempt.header.attempt;
  }
  get args(): readonly unknown[] {
    return this.#attempt.args;
  }
  get queue(): string {
    return this.#attempt.header.request.queue;
  }
  get tags(): readonly string[] {
    return this.#attempt.header.request.tags;
  }
  get metadata(): Metadata {
    return this.#attempt.header.request.metadata;
  }
  get schedule(): ScheduleContext | undefined {
    const { schedule } = this.#attempt.header.request;
    return schedule && { id: schedule.id, name: schedule.name, scheduledFor: new Date(schedule.slot) };
  }
  get event(): EventContext | undefined {
    const name = this.#attempt.header.request.schedule?.event;
    return name === undefined ? undefined : { name, payload: this.#attempt.eventPayload };
  }
  get resources(): Readonly<Record<string, unknown>> {
    return this.#attempt.resources;
  }
  get signal(): AbortSignal {
    return this.#attempt.signal;
  }
  get cancelled(): boolean {
    return this.#attempt.stopped !== undefined;
  }

  // People take these out of the context. Most handlers use none of them.
  readonly throwIfCancelled = (): void => {
    if (this.#attempt.stopped !== undefined) throw this.#attempt.stopped;
  };
  get progress(): TaskContext["progress"] {
    return (...given: [unknown, unknown?]) => {
      const [done, total] = given;
      const { notebook } = this.#attempt;
      if (total === undefined) return notebook.progress(done);
      if (typeof done !== "number" || typeof total !== "number") {
        throw new InvalidArgumentError("progress(done, total)", "are not two numbers. Give those, or one value.");
      }
      return notebook.count(done, total);
    };
  }
  get log(): TaskContext["log"] {
    return (level, message, fields) => this.#attempt.notebook.log(level, message, fields);
  }
  get heartbeat(): TaskContext["heartbeat"] {
    return () => this.#attempt.notebook.heartbeat();
  }
  get checkpoint(): TaskContext["checkpoint"] {
    return (key, make) => this.#attempt.checkpoint(key, make) as Promise<Awaited<ReturnType<typeof make>>>;
  }
  get enqueue(): TaskContext["enqueue"] {
    return async (...[task, args, options]: [unknown, unknown, unknown?]) => {
      const id = await this.#attempt.enqueue(task, args, options);
      return id === undefined ? undefined : { id };
    };
  }
}
