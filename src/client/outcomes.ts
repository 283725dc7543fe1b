import type { Connection, ReceivedOutcome } from "../bridge/connect.ts";
import type { TaskId } from "../task/task.ts";

type Listener = { readonly resolve: (outcome: ReceivedOutcome) => void; readonly reject: (error: unknown) => void };

/** Tasks asked about in one message: the supervisor looks them all up in one turn. */
const largestQuestion = 1_000;

/**
 * Who in this thread waits for the end of which task. Waits that begin in one tick go to the supervisor as one
 * message; it pushes outcomes, nobody polls.
 */
export class Outcomes {
  readonly #connection: Connection;
  readonly #listeners = new Map<TaskId, Listener[]>();
  #toAsk: TaskId[] = [];
  #ended: Error | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
    connection.onOutcomes = (outcomes) => this.#receive(outcomes);
  }

  /** Resolves with the outcome of the task. With `isWatched`, the supervisor knows already that it is wanted. */
  next(id: TaskId, isWatched = false): { readonly outcome: Promise<ReceivedOutcome>; readonly forget: () => void } {
    if (this.#ended !== undefined) return { outcome: Promise.reject(this.#ended), forget: () => undefined };
    let forget = (): void => undefined;
    const outcome = new Promise<ReceivedOutcome>((resolve, reject) => {
      const listener = { resolve, reject };
      const others = this.#listeners.get(id);
      if (others !== undefined) others.push(listener);
      else {
        if (this.#listeners.size === 0) this.#connection.expectLife(true);
        this.#listeners.set(id, [listener]);
        if (!isWatched) this.#ask(id);
      }
      forget = () => this.#forget(id, listener);
    });
    return { outcome, forget };
  }

  /** The connection has ended: nothing will come any more. */
  end(reason: Error): void {
    this.#ended = reason;
    for (const listeners of this.#listeners.values()) for (const { reject } of listeners) reject(reason);
    this.#listeners.clear();
  }

  #ask(id: TaskId): void {
    this.#toAsk.push(id);
    if (this.#toAsk.length > 1) return;
    queueMicrotask(() => {
      const ids = this.#toAsk;
      this.#toAsk = [];
      for (let from = 0; from < ids.length; from += largestQuestion) {
        this.#connection.wait(ids.slice(from, from + largestQuestion));
      }
    });
  }

  #receive(outcomes: readonly ReceivedOutcome[]): void {
    if (this.#listeners.size === 0) return;
    for (const outcome of outcomes) {
      const listeners = this.#listeners.get(outcome.id);
      if (listeners === undefined) continue;
      this.#listeners.delete(outcome.id);
      for (const { resolve } of listeners) resolve(outcome);
    }
    if (this.#listeners.size === 0) this.#connection.expectLife(false);
  }

  #forget(id: TaskId, listener: Listener): void {
    const left = this.#listeners.get(id)?.filter((other) => other !== listener);
    if (left === undefined) return;
    if (left.length > 0) {
      this.#listeners.set(id, left);
      return;
    }
    this.#listeners.delete(id);
    this.#connection.stopWaiting([id]);
    if (this.#listeners.size === 0) this.#connection.expectLife(false);
  }
}
