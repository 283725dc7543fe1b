import type { TaskId } from "../task/task.ts";
import type { OutcomeSink, TaskOutcome } from "./protocol.ts";

/** Who waits for the end of which task. Each is told once, however often it asks. */
export class Waiters {
  readonly #sinks = new Map<TaskId, OutcomeSink[]>();

  /** Gives whether it is new: it may wait for this task already. */
  add(id: TaskId, sink: OutcomeSink): boolean {
    const sinks = this.#sinks.get(id);
    if (sinks === undefined) this.#sinks.set(id, [sink]);
    else if (sinks.includes(sink)) return false;
    else sinks.push(sink);
    return true;
  }

  remove(id: TaskId, sink: OutcomeSink): void {
    const left = this.#sinks.get(id)?.filter((other) => other !== sink) ?? [];
    if (left.length === 0) this.#sinks.delete(id);
    else this.#sinks.set(id, left);
  }

  has(id: TaskId): boolean {
    return this.#sinks.has(id);
  }

  /** Which of these tasks somebody waits for. */
  among(tasks: readonly { readonly id: TaskId }[]): ReadonlySet<TaskId> {
    const awaited = new Set<TaskId>();
    if (this.#sinks.size > 0) for (const { id } of tasks) if (this.#sinks.has(id)) awaited.add(id);
    return awaited;
  }

  get ids(): TaskId[] {
    return [...this.#sinks.keys()];
  }

  /** Tells each waiter, all its outcomes together, and forgets them. */
  deliver(outcomes: Iterable<TaskOutcome>): void {
    if (this.#sinks.size === 0) return;
    const bySink = new Map<OutcomeSink, TaskOutcome[]>();
    for (const outcome of outcomes) {
      const sinks = this.#sinks.get(outcome.id);
      if (sinks === undefined) continue;
      this.#sinks.delete(outcome.id);
      for (const sink of sinks) {
        const mine = bySink.get(sink);
        if (mine === undefined) bySink.set(sink, [outcome]);
        else mine.push(outcome);
      }
    }
    for (const [sink, mine] of bySink) sink.deliver(mine);
  }
}
