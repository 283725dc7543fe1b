import type { Payload, TaskId } from "../task/task.ts";
import type { EventStorage, KeptResult, ResultStorage } from "./components.ts";
import type { AnswerTo, Change, Pruned, Storage, StorageSettings } from "./storage.ts";

/** What lies elsewhere than the tasks. */
export interface Elsewhere {
  readonly results?: ResultStorage;
  readonly events?: EventStorage;
  /** Told when events could not be kept: that never holds up a task. */
  readonly onLostEvents: (error: unknown, count: number) => void;
}

const noResult: Payload = new Uint8Array(0);

/**
 * One storage out of several. A result is written before its task is settled, under the number of the attempt, so a
 * task that is completed has its result, and one that a crash left behind is found by nobody and forgotten in time.
 * Events follow their commit, best effort.
 */
export function combinedStorage(tasks: Storage, { results, events, onLostEvents }: Elsewhere): Storage {
  let settings: StorageSettings | undefined;
  // Commits keep their order, though some wait for results to be written first.
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;

  const keepResults = async (changes: readonly Change[]): Promise<void> => {
    const given = changes.flatMap((change) => (change.type === "settle" ? resultsOf(change, settings) : []));
    if (given.length === 0) return;
    // A late one must not take the place of the result that counts. Nothing else settles meanwhile: commits wait in line.
    const found = await tasks.get(given.map(({ id }) => id));
    const isCurrent = ({ attempt }: KeptResult, index: number): boolean => {
      const life = found[index]?.life;
      return life?.state === "running" && life.attempt === attempt;
    };
    await results?.put(given.filter(isCurrent));
  };

  const inOrder = <T>(before: () => Promise<void>, commit: () => Promise<T>): Promise<T> => {
    waiting++;
    const mine = last.then(before).then(commit);
    last = mine.catch(() => undefined).finally(() => waiting--);
    return mine;
  };

  /** Reads see what was given to `commit` before them, also what still waits in line. */
  const read = <T>(ask: () => Promise<T>): Promise<T> => (waiting > 0 ? last.then(ask) : ask());

  return {
    get: (ids) => read(() => tasks.get(ids)),
    list: (query) => read(() => tasks.list(query)),
    counts: () => read(() => tasks.counts()),
    queues: () => read(() => tasks.queues()),
    parked: () => read(() => tasks.parked()),
    nextDue: () => read(() => tasks.nextDue()),

    async open(given) {
      settings = given;
      await results?.open(given.owner);
      try {
        await events?.open(given.owner);
        return await tasks.open(
          events === undefined
            ? given
            : {
                ...given,
                onEvents: (kept) =>
                  void events.append(kept).catch((error: unknown) => onLostEvents(error, kept.length)),
              },
        );
      } catch (error) {
        await results?.close();
        await events?.close();
        throw error;
      }
    },

    commit<const C extends readonly Change[]>(changes: C) {
      type Answers = { -readonly [K in keyof C]: AnswerTo<C[K]> };
      const hasResults = results !== undefined && changes.some(({ type }) => type === "settle");
      const commit = (): Promise<Answers> =>
        tasks.commit(results === undefined ? changes : changes.map(withoutResults)) as Promise<Answers>;
      const committed = hasResults || waiting > 0 ? inOrder(() => keepResults(changes), commit) : commit();
      return committed.then((answers) => prunedToo(changes, answers as readonly unknown[]) as Promise<Answers>);
    },

    async result(id: TaskId) {
      if (results === undefined) return tasks.result(id);
      const [task] = await read(() => tasks.get([id]));
      return task?.life.state === "completed" ? results.get(id, task.life.attempt) : undefined;
    },

    notes: (id) => read(() => tasks.notes(id)),
    checkpoint: (id, key) => read(() => tasks.checkpoint(id, key)),
    schedules: (query) => read(() => tasks.schedules(query)),
    dueSchedules: (now, limit) => read(() => tasks.dueSchedules(now, limit)),
    scheduleHistory: (id, limit) => read(() => tasks.scheduleHistory(id, limit)),
    scheduleTotals: (now) => read(() => tasks.scheduleTotals(now)),
    events: (query) => read(() => (events === undefined ? tasks.events(query) : events.query(query))),

    async close() {
      await last;
      await tasks.close();
      await results?.close();
      await events?.close();
    },
  };

  /** What was pruned elsewhere counts, too. */
  async function prunedToo(changes: readonly Change[], answers: readonly unknown[]): Promise<readonly unknown[]> {
    return Promise.all(
      changes.map(async (change, index) => {
        if (change.type !== "prune" || settings === undefined) return answers[index];
        const pruned = answers[index] as Pruned;
        const { now, limit } = change;
        const more = {
          results: (await results?.prune(now, limit)) ?? 0,
          events: (await events?.prune(now - settings.retention.eventsMs, limit)) ?? 0,
        };
        return {
          tasks: pruned.tasks,
          results: pruned.results + more.results,
          events: pruned.events + more.events,
          hasMore: pruned.hasMore || more.results === limit || more.events === limit,
        };
      }),
    );
  }
}

function resultsOf(change: Extract<Change, { type: "settle" }>, settings: StorageSettings | undefined): KeptResult[] {
  const kept = settings?.retention.completedMs ?? 0;
  return change.settlements.flatMap(({ id, fence, end }) =>
    end.to === "completed" && end.result.length > 0
      ? [{ id, attempt: fence.attempt, result: end.result, expiresAt: change.now + (end.resultTtlMs ?? kept) }]
      : [],
  );
}

function withoutResults(change: Change): Change {
  if (change.type !== "settle") return change;
  return {
    ...change,
    settlements: change.settlements.map((settlement) =>
      settlement.end.to === "completed" ? { ...settlement, end: { ...settlement.end, result: noResult } } : settlement,
    ),
  };
}
