import type { Payload, TaskId } from "../task/task.ts";
import type { ProgressSink } from "./protocol.ts";

/** Who follows the progress of which task. */
export class Followers {
  readonly #sinks = new Map<TaskId, Set<ProgressSink>>();

  add(id: TaskId, sink: ProgressSink): void {
    const sinks = this.#sinks.get(id);
    if (sinks === undefined) this.#sinks.set(id, new Set([sink]));
    else sinks.add(sink);
  }

  remove(id: TaskId, sink: ProgressSink): void {
    const sinks = this.#sinks.get(id);
    sinks?.delete(sink);
    if (sinks?.size === 0) this.#sinks.delete(id);
  }

  tell(id: TaskId, progress: Payload): void {
    for (const sink of this.#sinks.get(id) ?? []) sink.progressed(id, progress);
  }
}
