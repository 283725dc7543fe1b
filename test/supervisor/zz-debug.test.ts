import fc from "fast-check";
import { expect, test } from "vitest";
import { seededRandom } from "../../src/actor/seeded-random.ts";
import { StoreFullError } from "../../src/base/errors.ts";
import type { NewTask } from "../../src/storage/storage.ts";
import { isTerminal } from "../../src/task/state.ts";
import type { StoredTask, TaskId } from "../../src/task/task.ts";
import { aTask } from "../support/tasks.ts";
import type { Behaviour } from "./simulated-executor.ts";
import { Listener, stateOf, TestSupervisor } from "./test-supervisor.ts";

/** One restart more within a minute ends the tree, as it should. */
const mostCrashes = 5;
const steps = 40;

/** A world in which everything happens that may happen, chosen by the seed. */
class Simulation {
  readonly #random: () => number;
  readonly #choices = new Map<string, Behaviour>();
  readonly supervisor: TestSupervisor;
  /** What was asked to be stored, list by list, with what was answered. */
  readonly lists: { readonly tasks: readonly NewTask[]; readonly answer: Promise<unknown> }[] = [];
  readonly cancels: Promise<unknown>[] = [];
  readonly watcher = new Listener();
  crashes = 0;

  private constructor(random: () => number, supervisor: TestSupervisor) {
    this.#random = random;
    this.supervisor = supervisor;
    supervisor.executor.behave = (task) => this.#behave(task);
  }

  static async start(seed: number): Promise<Simulation> {
    const random = seededRandom(seed);
    const supervisor = await TestSupervisor.start({
      seed,
      threads: 1 + Math.floor(random() * 3),
      latencyMs: random() < 0.5 ? 0 : Math.ceil(random() * 5),
      queues: { narrow: { concurrency: 1 + Math.floor(random() * 2) }, still: { isPaused: true } },
    });
    return new Simulation(random, supervisor);
  }

  async run(): Promise<void> {
    for (let step = 0; step < steps; step++) {
      this.#act();
      if (this.#random() < 0.7) await this.supervisor.advance(this.#pick([0.5, 3, 3, 20, 100]));
    }
    this.supervisor.storage.refuse = undefined;
    await this.supervisor.configure("still", { isPaused: false });
    // Longer than any backoff, any timeout and any wait for space.
    await this.supervisor.advance(600_000);
  }

  #act(): void {
    const { supervisor } = this;
    const roll = this.#random();
    if (roll < 0.55) {
      const tasks = Array.from({ length: 1 + Math.floor(this.#random() ** 3 * 60) }, () => this.#aTask());
      const answer = supervisor.ask((reply) => ({
        type: "enqueue",
        tasks,
        onFull: "error",
        sink: supervisor.listener,
        reply,
      }));
      this.lists.push({ tasks, answer });
    } else if (roll < 0.7) {
      const ids = this.#someIds();
      this.cancels.push(supervisor.cancel(ids, this.#pick(["no", "signal", "terminate"] as const)));
    } else if (roll < 0.8) {
      supervisor.queue.tell({ type: "wait", ids: this.#someIds(), sink: this.watcher });
    } else if (roll < 0.9) {
      if (this.crashes === mostCrashes) return;
      this.crashes++;
      supervisor.crash(this.#pick(["queue", "dispatcher", "sweeper"] as const));
    } else if (roll < 0.95) {
      supervisor.storage.refuse = () => new StoreFullError("/store", 1, 2);
    } else supervisor.storage.refuse = undefined;
  }

  #aTask(): NewTask {
    const now = this.supervisor.clock.now();
    return aTask({
      name: this.#pick(["short", "long", "greet", "stranger"]),
      queue: this.#pick(["default", "default", "narrow", "still"]),
      priority: this.#pick([0, 0, 5, -5]),
      createdAt: now,
      maxRetries: this.#pick([0, 2]),
      timeoutMs: 150,
      ...(this.#random() < 0.1 ? { runAt: now + 200 } : {}),
      ...(this.#random() < 0.1 ? { expiresAt: now + 300 } : {}),
    });
  }

  #behave({ id, request, life }: StoredTask): Behaviour {
    const key = `${id} ${life.failures} ${life.crashes}`;
    const known = this.#choices.get(key);
    if (known !== undefined) return known;
    const roll = this.#random();
    const durationMs = request.name === "short" ? this.#random() * 0.02 : this.#pick([0.5, 2, 30]);
    const onStop = this.#pick(["obey", "value", "error", undefined] as const);
    const behaviour: Behaviour = {
      durationMs: roll > 0.97 ? Infinity : durationMs,
      end: roll < 0.8 ? "value" : roll < 0.92 ? "error" : "crash",
      ...(onStop === undefined ? {} : { onStop }),
    };
    this.#choices.set(key, behaviour);
    return behaviour;
  }

  #someIds(): TaskId[] {
    const all = this.lists.flatMap(({ tasks }) => tasks);
    return all.filter(() => this.#random() < 0.05).map(({ id }) => id);
  }

  #pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[Math.floor(this.#random() * choices.length)] ?? choices[0];
  }
}

const seeds = fc.nat(1_000_000);
const endsOf = ["completed", "failed", "cancelled"];

test("whatever happens, every task that was acknowledged ends exactly once, and everyone who waits is told", async () => {
  for (let seed = 1; seed < 200; seed++) await (async () => {
      const late = setTimeout(() => console.log("seed", seed, "slow"), 8000);
      try {
      const simulation = await Simulation.start(seed);
      await simulation.run();
      const { supervisor, lists, watcher } = simulation;

      expect(supervisor.crashes).toHaveLength(simulation.crashes);
      expect(supervisor.executor.violations).toEqual([]);
      expect(supervisor.tree.undelivered).toBe(0);
      // A settlement that does not count would be a task that ran for two.
      expect((await supervisor.storage.inner.counts()).totals.late).toBe(0);

      const recorded = new Map<TaskId, number>();
      for (const { id, end } of supervisor.storage.ends) {
        if (endsOf.includes(end.to)) recorded.set(id, (recorded.get(id) ?? 0) + 1);
      }
      for (const { tasks, answer } of lists) {
        const stored = await supervisor.storage.inner.get(tasks.map(({ id }) => id));
        const isThere = stored.filter((task) => task !== undefined);
        if ((await stateOf(answer)) === "resolved") expect(isThere).toHaveLength(tasks.length);
        else expect([0, tasks.length]).toContain(isThere.length);
        for (const { id, request, life } of isThere) {
          const starts = supervisor.startsOf(id);
          if (request.name === "stranger" && !isTerminal(life.state)) {
            expect(life).toMatchObject({ state: "ready", parked: true, attempt: 0 });
            expect(starts).toEqual([]);
            continue;
          }
          expect(isTerminal(life.state), `${id} is ${life.state} in the end`).toBe(true);
          expect(recorded.get(id) ?? 0).toBeLessThanOrEqual(1);
          if (life.state === "completed" || life.state === "failed") expect(recorded.get(id)).toBe(1);
          if (life.state === "completed") expect(starts.length).toBeGreaterThan(0);
          // A batch that a worker has been given may wait there until it is taken back.
          if (request.expiresAt !== undefined) expect(Math.max(0, ...starts)).toBeLessThan(request.expiresAt + 10);
          expect(Math.min(...starts)).toBeGreaterThanOrEqual(request.runAt ?? 0);
          if ((await stateOf(answer)) === "resolved") {
            expect(supervisor.listener.of(id)).toMatchObject([{ id, state: life.state }]);
          }
        }
      }
      for (const outcome of watcher.outcomes) {
        const task = await supervisor.task(outcome.id);
        expect(outcome.state === "unknown" || outcome.state === task?.life.state).toBe(true);
      }
      for (const cancel of simulation.cancels) expect(await stateOf(cancel)).not.toBe("pending");
      clearTimeout(late);
      } catch (e) { console.log("seed", seed, "FAILED", String((e as Error).stack).slice(0, 600)); }
    })();
}, 300_000);

