/** Runs on the supervisor thread. Started by connect.ts, imported by nobody. */
import { parentPort, workerData } from "node:worker_threads";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { EventLoopTurns } from "../actor/event-loop-turns.ts";
import { createSystem } from "../actor/system.ts";
import { systemClock } from "../base/clock.ts";
import { TransactionGate } from "../base/transaction-gate.ts";
import { ClosedError } from "../base/errors.ts";
import { queueLimitsOf } from "../config/limits.ts";
import type { StorageLocation, StorageLocations } from "../config/locations.ts";
import type { ResolvedQueue } from "../config/queue-options.ts";
import { limitsOfTask } from "../config/resolve.ts";
import type { Catalogue } from "../executor/executor.ts";
import { combinedStorage } from "../storage/combined.ts";
import type { LmdbOptions } from "../storage/lmdb/environment.ts";
import { lmdbEvents } from "../storage/lmdb/events.ts";
import { lmdbStorage } from "../storage/lmdb/lmdb.ts";
import { lmdbResults } from "../storage/lmdb/results.ts";
import { memoryEvents, memoryResults } from "../storage/memory-components.ts";
import { memoryStorage } from "../storage/memory.ts";
import type { Change, Limits, Opened, Storage } from "../storage/storage.ts";
import type { DispatcherMessage, QueueMessage } from "../supervisor/protocol.ts";
import { tree } from "../supervisor/tree.ts";
import type { CallerMessage, SupervisorData, SupervisorMessage } from "./contract.ts";
import { answering, servePort, supervisorCalls, type ExposeParts } from "./expose.ts";
import { openExecutors, type OpenExecutors } from "./open-executors.ts";
import { toWireError } from "./wire-error.ts";

const { options, port, hasLogger, gate } = workerData as SupervisorData;
const send = (message: SupervisorMessage): void => port.postMessage(message);

// From the first moment on: opening a large store may take longer than silence is borne.
port.on("message", (message: CallerMessage) => {
  if (message.type === "ping") send({ type: "pong" });
});

const logAs =
  (level: "debug" | "info" | "warn" | "error") =>
  (fields: object, message: string): void => {
    if (hasLogger) send({ type: "log", level, fields: { ...fields, ...plainError(fields) }, message });
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
  const storage = storageFor(options.storage);
  // The modules come first: their limits hold from the moment the store is open.
  const executors = await openExecutors(options.executors, {
    modules: options.tasks,
    maxResultBytes: options.maxPayloadBytes,
    maxLogBytes: options.maxLogBytes,
    log: (message, error, fields) => log.warn({ ...fields, error }, message),
  });
  const { events, retention, routing, instanceId: owner } = options;
  try {
    const names = limitsByName(executors.catalogue);
    const defaultExecutor = executors.byDefault;
    const limits = { names, defaultExecutor, routing };
    const opened = await storage.open({ owner, now: systemClock.now(), events, retention, ...limits });
    await serve(storage, executors, opened);
  } catch (error) {
    await closeAll([executors, storage]);
    throw error;
  }
}

function limitsByName(catalogue: Catalogue): Map<string, Limits> {
  const names = new Map<string, Limits>();
  for (const { name, options: definition } of catalogue) {
    const limits = limitsOfTask(name, definition);
    if (limits !== undefined) names.set(name, limits);
  }
  return names;
}

async function serve(storage: Storage, executors: OpenExecutors, opened: Opened): Promise<void> {
  const { catalogue } = executors;
  if (options.queues.size > 0) await storage.commit([...options.queues].map(queueChange));
  const system = createSystem({ clock: systemClock, turns: new EventLoopTurns(), random: Math.random, log });
  const names = new Set(catalogue.map(({ name }) => name));
  const { epoch, interrupted } = opened;
  const running = system.start(tree({ storage, epoch, executors, names, retention: options.retention }));
  await running.started;

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
    ready: { epoch, catalogue, interrupted },
    close: (drainMs) => (closing ??= close(drainMs)),
  };
  void running.failed.then(async (cause) => {
    send({ type: "failed", error: toWireError(cause) });
    await closeAll([executors, storage]);
    leaveSoon();
  });
  servePort(port, parts);
  if (parentPort === null) throw new ClosedError("The supervisor thread");
  Comlink.expose(answering(supervisorCalls(parts)), nodeEndpoint(parentPort));
}

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
    port.close();
    parentPort?.close();
  });
}

open().catch((error: unknown) => {
  send({ type: "failed", error: toWireError(error) });
  leaveSoon();
});
