import { ClosedError } from "../../base/errors.ts";
import type { AnswerTo, Change, Opened, Storage, StorageSettings } from "../storage.ts";
import { claim } from "./claim.ts";
import { Committer } from "./committer.ts";
import { cancel, configureQueue, move, remove, requeue, unpark } from "./control.ts";
import { enqueue } from "./enqueue.ts";
import { openEnvironment, type Environment, type LmdbOptions } from "./environment.ts";
import { taskKey } from "./keys.ts";
import { extend } from "./leases.ts";
import { checkpointOf, note, notesOf } from "./notes.ts";
import { get, list, queryEvents } from "./reading.ts";
import { recoverClaims } from "./recovery.ts";
import { dueSchedules, findSchedules, historyOf, nextScheduleDue, totalsOf } from "./schedule-reading.ts";
import { deleteSchedules, fire, putSchedule, ScheduleChecks } from "./scheduling.ts";
import { settle } from "./settle.ts";
import { dropAbandoned, dropStep, publish, stage } from "./stages.ts";
import { Store, type Step } from "./store.ts";
import { openTables, tableNames } from "./tables.ts";
import { advance, nextAdvance, nextPrune, prune } from "./time.ts";

/** A storage in a folder of this machine, for one owner at a time. */
export function lmdbStorage(options: LmdbOptions): Storage {
  let opened: OpenStore | undefined;
  let isClosed = false;

  const store = (): OpenStore => {
    if (opened === undefined) throw new ClosedError("The storage");
    if (opened.committer.failure !== undefined) throw opened.committer.failure;
    return opened;
  };
  /** Reads see what was given to `commit` before them. */
  const settledStore = async (): Promise<Store> => {
    await store().committer.settled();
    return store().store;
  };

  return {
    async open(settings) {
      if (opened !== undefined || isClosed) throw new ClosedError("The storage");
      opened = await openStore(options, settings);
      return opened.result;
    },

    async commit<const C extends readonly Change[]>(changes: C) {
      const { committer, store: target, result } = store();
      const checks = new ScheduleChecks(target.schedules);
      const steps = changes.map((change) => stepFor(target, change, result.epoch, checks));
      return committer.commit<{ -readonly [K in keyof C]: AnswerTo<C[K]> }>({
        bytes: steps.reduce((sum, step) => sum + (step.bytes ?? 0), 0),
        addsWork: steps.some((step) => step.addsWork === true),
        check: () => steps.forEach((step) => step.check?.()),
        apply: () => steps.map((step) => step.apply()),
      });
    },

    get: async (ids) => {
      const target = await settledStore();
      return ids.map((id) => get(target, id));
    },
    list: async (query) => list(await settledStore(), query),
    result: async (id) => {
      const target = await settledStore();
      const found = target.find(taskKey(id));
      return found?.outcome?.result;
    },
    notes: async (id) => notesOf(await settledStore(), taskKey(id)),
    checkpoint: async (id, key) => checkpointOf(await settledStore(), taskKey(id), key),
    events: async (query) => {
      const { tables } = await settledStore();
      return queryEvents(tables.events, query);
    },
    schedules: async (query) => findSchedules(await settledStore(), query),
    dueSchedules: async (now, limit) => dueSchedules(await settledStore(), now, limit),
    scheduleHistory: async (id, limit) => historyOf(await settledStore(), id, limit),
    scheduleTotals: async (now) => totalsOf(await settledStore(), now),
    counts: async () => (await settledStore()).ledger.counts(),
    queues: async () => (await settledStore()).ledger.queues(),
    parked: async () => (await settledStore()).ledger.parked(),
    nextDue: async () => {
      const target = await settledStore();
      const [next, forget, schedule] = [nextAdvance(target), nextPrune(target), nextScheduleDue(target)];
      return {
        ...(next === undefined ? {} : { advance: next }),
        ...(forget === undefined ? {} : { prune: forget }),
        ...(schedule === undefined ? {} : { schedule }),
      };
    },

    async close() {
      isClosed = true;
      const current = opened;
      opened = undefined;
      if (current === undefined) return;
      await current.committer.settled();
      await current.environment.close(current.committer.failure === undefined);
    },
  };
}

interface OpenStore {
  readonly environment: Environment;
  readonly store: Store;
  readonly committer: Committer;
  readonly result: Opened;
}

function stepFor(store: Store, change: Change, epoch: number, checks: ScheduleChecks): Step<unknown> {
  switch (change.type) {
    case "enqueue":
      return enqueue(store, change);
    case "claim":
      return claim(store, change);
    case "settle":
      return settle(store, change, epoch);
    case "note":
      return note(store, change, epoch);
    case "advance":
      return advance(store, change);
    case "cancel":
      return cancel(store, change);
    case "requeue":
      return requeue(store, change);
    case "move":
      return move(store, change);
    case "delete":
      return remove(store, change);
    case "unpark":
      return unpark(store, change);
    case "stage":
      return stage(store, change);
    case "publish":
      return publish(store, change);
    case "extend":
      return extend(store, change, epoch);
    case "configureQueue":
      return configureQueue(store, change);
    case "putSchedule":
      return putSchedule(store, change, checks);
    case "deleteSchedules":
      return deleteSchedules(store, change, checks);
    case "fire":
      return fire(store, change);
    case "prune":
      return prune(store, change);
  }
}

async function openStore(options: LmdbOptions, settings: StorageSettings): Promise<OpenStore> {
  const environment = await openEnvironment(options, settings.owner, "omniq", Object.values(tableNames));
  try {
    return prepare(environment, settings);
  } catch (error) {
    await environment.close(false);
    throw error;
  }
}

function prepare(environment: Environment, settings: StorageSettings): OpenStore {
  const { root, folder, guard, transact, epoch } = environment;
  const store = new Store({ tables: openTables(root, folder), settings, path: folder });
  transact(() => keep(store, dropAbandoned(store, dropStep)));
  const interrupted = transact(() => keep(store, recoverClaims(store, settings.now)));
  store.journal.tell();
  const committer = new Committer({
    transact,
    ensureSpace: (bytes, addsWork) => guard.check(bytes, !addsWork),
    finish: () => store.finish(),
    committed: () => store.journal.tell(),
  });
  return { environment, store, committer, result: { epoch, interrupted } };
}

/** Ends a transaction that is made while the store is opened. */
function keep<T>(store: Store, value: T): T {
  store.finish();
  return value;
}
