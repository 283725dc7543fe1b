import type { Connection } from "../bridge/connect.ts";
import { UnknownTaskIdError } from "../base/errors.ts";
import { decode } from "../task/codec.ts";
import type { Payload, TaskId } from "../task/task.ts";
import type { Outcomes } from "./outcomes.ts";

/** Follows the progress of tasks, for as many as want to know. */
export class ProgressFeed {
  readonly #connection: Connection;
  readonly #outcomes: Outcomes;
  readonly #listeners = new Map<TaskId, Set<(progress: Payload) => void>>();

  constructor(connection: Connection, outcomes: Outcomes) {
    this.#connection = connection;
    this.#outcomes = outcomes;
    connection.onProgress = (id, progress) => {
      for (const listener of this.#listeners.get(id) ?? []) listener(progress);
    };
  }

  /** What is stored, what comes, and the last before the end. Who is slow misses what was overtaken. */
  async *follow(id: TaskId): AsyncGenerator<unknown, void, undefined> {
    const heard: { newest?: Payload | undefined; end?: "known" | "unknown" | Error } = {};
    let wake = (): void => undefined;
    const listener = (progress: Payload): void => {
      heard.newest = progress;
      wake();
    };
    const { outcome, forget } = this.#outcomes.next(id);
    outcome
      .then(
        ({ state }) => (heard.end = state === "unknown" ? state : "known"),
        (error: unknown) => (heard.end = error instanceof Error ? error : new Error(String(error))),
      )
      .finally(() => wake());
    this.#listen(id, listener);
    let shown: Payload | undefined;
    try {
      const stored = await this.#connection.calls.notes(id);
      // What has come in the meantime is newer.
      heard.newest ??= stored.progress;
      while (heard.end === undefined || heard.newest !== undefined) {
        if (heard.newest === undefined) await new Promise<void>((resolve) => (wake = resolve));
        else {
          shown = heard.newest;
          heard.newest = undefined;
          yield decode(shown);
        }
      }
      if (heard.end instanceof Error) throw heard.end;
      if (heard.end === "unknown") throw new UnknownTaskIdError(id);
      // It may have been told after it was looked for, and before it was followed.
      const last = (await this.#connection.calls.notes(id)).progress;
      if (last !== undefined && (shown === undefined || Buffer.compare(last, shown) !== 0)) yield decode(last);
    } finally {
      forget();
      this.#unlisten(id, listener);
    }
  }

  #listen(id: TaskId, listener: (progress: Payload) => void): void {
    const others = this.#listeners.get(id);
    if (others !== undefined) return void others.add(listener);
    this.#listeners.set(id, new Set([listener]));
    this.#connection.follow(id);
  }

  #unlisten(id: TaskId, listener: (progress: Payload) => void): void {
    const listeners = this.#listeners.get(id);
    listeners?.delete(listener);
    if (listeners?.size !== 0) return;
    this.#listeners.delete(id);
    this.#connection.stopFollowing(id);
  }
}
