/** Runs on the supervisor thread. Started by connect.ts, imported by nobody. */
import { parentPort, workerData } from "node:worker_threads";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { EventLoopTurns } from "../actor/event-loop-turns.ts";
import { createSystem } from "../actor/system.ts";
import { systemClock } from "../base/clock.ts";
import { TransactionGate } from "../base/transaction-gate.ts";
import { ClosedError, StoreOwnedError } from "../base/errors.ts";
import { queueLimitsOf } from "../config/limits.ts";
import type { StorageLocation, StorageLocations } from "../config/locations.ts";
import type { ResolvedQueue } from "../config/queue-options.ts";
import type { ScheduleDraft } from "../schedule/draft.ts";
import { combinedStorage } from "../storage/combined.ts";
import type { LmdbOptions } from "../storage/lmdb/environment.ts";
import { lmdbEvents } from "../storage/lmdb/events.ts";
import { lmdbStorage } from "../storage/lmdb/lmdb.ts";
import { lmdbResults } from "../storage/lmdb/results.ts";
import { memoryEvents, memoryResults } from "../storage/memory-components.ts";
import { memoryStorage } from "../storage/memory.ts";
import type { Change, Limits, Opened, Storage } from "../storage/storage.ts";
import { Breakers } from "../supervisor/breakers.ts";
import type { DispatcherMessage, QueueMessage, SchedulerMessage } from "../supervisor/protocol.ts";
import type { SchedulerCourse } from "../supervisor/scheduler-state.ts";
import { tree, type TreeParts } from "../supervisor/tree.ts";
import { childTasks } from "./child-tasks.ts";
import type { CallerMessage, SupervisorData, SupervisorMessage } from "./contract.ts";
import { answering, serveWire, supervisorCalls, type ExposeParts } from "./expose.ts";
import { OpenExecutors } from "./open-executors.ts";
import { Registry } from "./registry.ts";
import { checkedArgs } from "./schedule-calls.ts";
import { toWireError } from "./wire-error.ts";
import { Wire } from "./wire.ts";

const { options, port, hasLogger, gate } = workerData as SupervisorData;
const wire = new Wire<SupervisorMessage, CallerMessage>(port);

// From the first moment on: opening a large store may take longer than silence is borne.
wire.listen(({ type }) => {
  if (type === "ping") wire.send({ type: "pong" });
});

const logAs =
  (level: "debug" | "info" | "warn" | "error") =>
  (fields: object, message: string): void => {
    if (hasLogger) wire.try({ type: "log", level, fields: { ...fields, ...plainError(fields) }, message });
  };
const log = { debug: logAs("debug"), info: logAs("info"), warn: logAs("warn"), error: logAs("error") };

/** Errors lose their class on the way; what is left must still be readable. */
function plainError(fields: object): object {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([, value]) => value instanceof Error)
      .map(([key, value]: [string, Error]) => [key, { name: value.name, message: value.message, stack: value.stack }]),
  );
}

const lmdbOptions = (path: string): LmdbOptions => ({
  path,
  reserveBytes: options.reserveBytes,
  preflight: options.preflight,
  gate: new TransactionGate(gate),
});

function storageFor({ tasks, results, events }: StorageLocations): Storage {
  const isApart = (location: StorageLocation): boolean => JSON.stringify(location) !== JSON.stringify(tasks);
  const main = tasks.kind === "memory" ? memoryStorage() : lmdbStorage(lmdbOptions(tasks.path));
  if (!isApart(results) && !isApart(events)) return main;
  return combinedStorage(main, {
    ...(isApart(results)
      ? { results: results.kind === "memory" ? memoryResults() : lmdbResults(lmdbOptions(results.path)) }
      : {}),
    ...(isApart(events)
      ? { events: events.kind === "memory" ? memoryEvents() : lmdbEvents(lmdbOptions(events.path)) }
      : {}),
    onLostEvents: (error, count) => log.warn({ error, count }, "events could not be kept"),
  });
}

/** Ends what was started, also when one of them fails to end. */
const closeAll = (parts: readonly { close(): Promise<void> }[]): Promise<unknown> =>
  Promise.allSettled(parts.map((part) => part.close()));

async function open(): Promise<void> {
  // The modules come first: their limits hold from the moment the store is open.
  const executors = new OpenExecutors(options.executors, {
    modules: options.tasks,
    maxResultBytes: options.maxPayloadBytes,
    maxLogBytes: options.maxLogBytes,
    log: (message, error, fields) => log.warn({ ...fields, error }, message),
  });
  try {
    const registry = new Registry(options);
    await executors.reload((catalogue) => registry.open(catalogue));
    const { storage, opened } = await openStorage(registry.limits, executors.byDefault);
    try {
      await serve(storage, executors, registry, opened);
    } catch (error) {
      await closeAll([storage]);
      throw error;
    }
  } catch (error) {
    await closeAll([executors]);
    throw error;
  }
}

/** Takes the store; where that was asked for, stands by until its owner has let go of it. */
async function openStorage(
  names: ReadonlyMap<string, Limits>,
  defaultExecutor: string,
): Promise<{ readonly storage: Storage; readonly opened: Opened }> {
  const { events, retention, routing, instanceId: owner, whenOwned, lockTimeoutMs } = options;
  for (let isWaiting = false; ; isWaiting = true) {
    const storage = storageFor(options.storage);
    const asked = systemClock.now();
    try {
      const opened = await storage.open({ owner, now: asked, events, retention, names, defaultExecutor, routing });
      return { storage, opened };
    } catch (error) {
      await closeAll([storage]);
      if (!(error instanceof StoreOwnedError) || whenOwned !== "wait") throw error;
      if (!isWaiting) log.info({ owner: error.message }, "standing by until the store is free");
      await new Promise<void>((resolve) => systemClock.wakeAt(asked + lockTimeoutMs / 2, resolve));
    }
  }
}

async function serve(storage: Storage, executors: OpenExecutors, registry: Registry, opened: Opened): Promise<void> {
  if (options.queues.size > 0) await storage.commit([...options.queues].map(queueChange));
  const system = createSystem({ clock: systemClock, turns: new EventLoopTurns(), random: Math.random, log });
  const { handlers: names } = registry;
  const { epoch, interrupted } = opened;
  const course: SchedulerCourse = { mode: options.scheduler.enabled ? "running" : "stopped", startedAt: undefined };
  const scheduler: TreeParts["scheduler"] = {
    settings: options.scheduler,
    course,
    versionOf: (name) => registry.versionOf(name),
    onError(scheduleId, error) {
      log.warn({ scheduleId, error }, "a schedule could not be fired");
      wire.send({ type: "scheduleError", scheduleId, error: toWireError(error) });
    },
    onRecovered: (report) => log.info(report, "schedules were due when the runtime was opened"),
  };
  const breakers = new Breakers(registry.breakers);
  const newChild = childTasks({ registry, options, executor: executors.threads });
  const { retention } = options;
  const running = system.start(tree({ storage, epoch, executors, names, retention, breakers, newChild, scheduler }));
  await running.started;
  const declare = async (): Promise<void> => {
    const checked: ScheduleDraft[] = [];
    for (const draft of registry.declared) {
      const args = await checkedArgs({ registry, executor: executors.threads }, draft.definition);
      checked.push({ ...draft, definition: { ...draft.definition, args } });
    }
    const tasks = [...new Set(registry.catalogue.map(({ name }) => name))];
    await running
      .ref<SchedulerMessage>("scheduler")
      .ask<void>((reply) => ({ type: "declareSchedules", drafts: checked, tasks, reply }), declareWithinMs);
  };
  await declare().catch(async (error: unknown) => {
    await running.drain();
    throw error;
  });

  const close = async (drainMs: number): Promise<void> => {
    try {
      const queue = running.ref<QueueMessage>("queue");
      const dispatcher = running.ref<DispatcherMessage>("dispatcher");
      await queue.ask((reply) => ({ type: "stopClaiming", reply }), drainMs + 10_000);
      // Who does not finish in time is reported as interrupted when its worker ends, and settled like any other end.
      await dispatcher.ask((reply) => ({ type: "finish", reply }), drainMs + 1).catch(() => undefined);
      await executors.close();
      await running.drain();
    } finally {
      await closeAll([executors, storage]);
      leaveSoon();
    }
  };
  let closing: Promise<void> | undefined;
  const parts: ExposeParts = {
    ref: running.ref,
    storage,
    executor: executors.threads,
    registry,
    breakers,
    course,
    now: () => systemClock.now(),
    ready: { epoch, catalogue: registry.catalogue, interrupted },
    async resize(sizes) {
      await executors.resize(sizes);
      running.ref<DispatcherMessage>("dispatcher").tell({ type: "executorsChanged" });
    },
    async reload() {
      await executors.reload((catalogue) => registry.replace(catalogue));
      running.ref<DispatcherMessage>("dispatcher").tell({ type: "executorsChanged" });
      await running.ref<QueueMessage>("queue").ask((reply) => ({ type: "namesChanged", reply }), unparkWithinMs);
      await declare();
      return registry.catalogue;
    },
    close: (drainMs) => (closing ??= close(drainMs)),
  };
  void running.failed.then(async (cause) => {
    wire.send({ type: "failed", error: toWireError(cause) });
    await closeAll([executors, storage]);
    leaveSoon();
  });
  serveWire(wire, parts);
  if (parentPort === null) throw new ClosedError("The supervisor thread");
  Comlink.expose(answering(supervisorCalls(parts)), nodeEndpoint(parentPort));
}

const declareWithinMs = 60_000;
/** A large backlog may come back at once. */
const unparkWithinMs = 600_000;

/** What the options say of a queue; what they leave open stays as it was stored. */
const queueChange = ([queue, { paused, ...limits }]: readonly [string, ResolvedQueue]): Change => ({
  type: "configureQueue",
  queue,
  patch: {
    ...queueLimitsOf(limits, `options.queues.${queue}`),
    ...(paused === undefined ? {} : { isPaused: paused }),
  },
});

/** Lets the thread end by itself, once the last answer is on its way. */
function leaveSoon(): void {
  setImmediate(() => {
    wire.close();
    parentPort?.close();
  });
}

open().catch((error: unknown) => {
  wire.send({ type: "failed", error: toWireError(error) });
  leaveSoon();
});
