import type { SupervisorCalls } from "../bridge/contract.ts";
import { DuplicateTaskError, InvalidArgumentError } from "../base/errors.ts";
import { isTerminal } from "../task/state.ts";
import type { TaskId } from "../task/task.ts";
import { TaskHandle, type HandleSource, type Outcome } from "./handle.ts";
import type { MapSource } from "./map.ts";
import type { Outcomes } from "./outcomes.ts";
import type { Submission } from "./submission.ts";

/** Stores tasks whose ends are waited for from the beginning, so that nobody has to ask for them. */
export class WatchedTasks {
  readonly #calls: SupervisorCalls;
  readonly #submission: Submission;
  readonly #outcomes: Outcomes;
  readonly #handleSource: HandleSource;

  constructor(calls: SupervisorCalls, submission: Submission, outcomes: Outcomes, handleSource: HandleSource) {
    this.#calls = calls;
    this.#submission = submission;
    this.#outcomes = outcomes;
    this.#handleSource = handleSource;
  }

  /** For a map over a task. */
  source(name: string): MapSource {
    return {
      start: (argsList) => this.start(name, argsList),
      resume: (ids, argsList) => this.resume(name, ids, argsList),
    };
  }

  async one(task: unknown, args: unknown, options?: unknown): Promise<TaskHandle> {
    let watched: (ReturnType<Outcomes["next"]> & { readonly id: TaskId }) | undefined;
    try {
      const { ids, flushed } = await this.#submission.one(task, args, options, (wanted) => {
        watched = { id: wanted, ...this.#outcomes.next(wanted, true) };
        watched.outcome.catch(() => undefined);
      });
      const [id] = ids;
      if (id === undefined) throw new InvalidArgumentError("options.onConflict", '"skip" leaves nothing to wait for.');
      flushed.catch(() => watched?.forget());
      if (id === watched?.id) return new TaskHandle(id, this.#handleSource, flushed, watched.outcome);
      // Its dedupe key belongs to another task: that is the one to wait for.
      watched?.forget();
      return new TaskHandle(id, this.#handleSource, flushed);
    } catch (error) {
      watched?.forget();
      throw error;
    }
  }

  async start(name: string, argsList: readonly (readonly unknown[])[]): Promise<readonly Promise<Outcome>[]> {
    let watched: ReturnType<Outcomes["next"]>[] = [];
    const forget = (): void => watched.forEach((one) => one.forget());
    try {
      const { ids, flushed } = await this.#submission.many(name, argsList, undefined, (wanted) => {
        watched = wanted.map((id) => this.#outcomes.next(id, true));
        for (const { outcome } of watched) outcome.catch(() => undefined);
      });
      flushed.catch(forget);
      return ids.map((id, index) =>
        new TaskHandle(id ?? "", this.#handleSource, flushed, watched[index]?.outcome).wait(),
      );
    } catch (error) {
      forget();
      throw error;
    }
  }

  /** What is there already is waited for, or tried again; the rest is stored. */
  async resume(
    name: string,
    ids: readonly TaskId[],
    argsList: readonly (readonly unknown[])[],
  ): Promise<readonly Promise<Outcome>[]> {
    const found = await this.#calls.get(ids);
    const toRetry = found.filter(
      (task) => task !== undefined && isTerminal(task.life.state) && task.life.state !== "completed",
    );
    if (toRetry.length > 0) await this.#calls.requeue(toRetry.flatMap((task) => (task === undefined ? [] : [task.id])));
    return Promise.all(
      ids.map(async (id, index) => {
        if (found[index] === undefined) {
          const stored = this.one(name, argsList[index], { id });
          await stored.catch((error: unknown) => {
            // Another item of this run has the same key: both get the one result.
            if (!(error instanceof DuplicateTaskError)) throw error;
          });
        }
        const outcome = new TaskHandle(id, this.#handleSource).wait();
        // If another item of this part is refused, nobody listens to this one.
        outcome.catch(() => undefined);
        return { outcome };
      }),
    ).then((started) => started.map(({ outcome }) => outcome));
  }
}
