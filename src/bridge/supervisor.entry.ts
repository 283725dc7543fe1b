/** Runs on the supervisor thread. Started by connect.ts, imported by nobody. */
import { parentPort, workerData } from "node:worker_threads";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { EventLoopTurns } from "../actor/event-loop-turns.ts";
import { createSystem } from "../actor/system.ts";
import { systemClock } from "../base/clock.ts";
import { ClosedError } from "../base/errors.ts";
import type { StorageLocation, StorageLocations } from "../config/locations.ts";
import type { ResolvedQueue } from "../config/open-options.ts";
import type { Catalogue, Executor } from "../executor/executor.ts";
import { threadExecutor } from "../executor/threads.ts";
import { combinedStorage } from "../storage/combined.ts";
import type { LmdbOptions } from "../storage/lmdb/environment.ts";
import { lmdbEvents } from "../storage/lmdb/events.ts";
import { lmdbStorage } from "../storage/lmdb/lmdb.ts";
import { lmdbResults } from "../storage/lmdb/results.ts";
import { memoryEvents, memoryResults } from "../storage/memory-components.ts";
import { memoryStorage } from "../storage/memory.ts";
import type { Change, Opened, Storage } from "../storage/storage.ts";
import type { DispatcherMessage, QueueMessage } from "../supervisor/protocol.ts";
import { tree } from "../supervisor/tree.ts";
import type { CallerMessage, SupervisorData, SupervisorMessage } from "./contract.ts";
import { answering, servePort, supervisorCalls, type ExposeParts } from "./expose.ts";
import { toWireError } from "./wire-error.ts";

const { options, port, hasLogger } = workerData as SupervisorData;
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
  const executor = threadExecutor({
    threads: options.threads,
    modules: options.tasks,
    maxResultBytes: options.maxPayloadBytes,
    log: (message, error, fields) => log.warn({ ...fields, error }, message),
  });
  const { events, retention, instanceId: owner } = options;
  // Loading the modules and opening the store do not depend on each other; if either fails, both are undone.
  const [loaded, opened] = await Promise.allSettled([
    executor.start(),
    storage.open({ owner, now: systemClock.now(), events, retention }),
  ]);
  try {
    if (loaded.status === "rejected") throw loaded.reason;
    if (opened.status === "rejected") throw opened.reason;
    await serve(storage, executor, loaded.value, opened.value);
  } catch (error) {
    await closeAll([executor, storage]);
    throw error;
  }
}

async function serve(storage: Storage, executor: Executor, catalogue: Catalogue, opened: Opened): Promise<void> {
  if (options.queues.size > 0) await storage.commit([...options.queues].map(queueChange));
  const system = createSystem({ clock: systemClock, turns: new EventLoopTurns(), random: Math.random, log });
  const names = new Set(catalogue.map(({ name }) => name));
  const { epoch, interrupted } = opened;
  const running = system.start(tree({ storage, epoch, executor, names, retention: options.retention }));
  await running.started;

  const close = async (drainMs: number): Promise<void> => {
    try {
      const queue = running.ref<QueueMessage>("queue");
      const dispatcher = running.ref<DispatcherMessage>("dispatcher");
      await queue.ask((reply) => ({ type: "stopClaiming", reply }), drainMs + 10_000);
      // Who does not finish in time is reported as interrupted when its worker ends, and settled like any other end.
      await dispatcher.ask((reply) => ({ type: "finish", reply }), drainMs + 1).catch(() => undefined);
      await executor.close();
      await running.drain();
    } finally {
      await closeAll([executor, storage]);
      leaveSoon();
    }
  };
  let closing: Promise<void> | undefined;
  const parts: ExposeParts = {
    ref: running.ref,
    storage,
    executor,
    ready: { epoch, catalogue, interrupted },
    close: (drainMs) => (closing ??= close(drainMs)),
  };
  void running.failed.then(async (cause) => {
    send({ type: "failed", error: toWireError(cause) });
    await closeAll([executor, storage]);
    leaveSoon();
  });
  servePort(port, parts);
  if (parentPort === null) throw new ClosedError("The supervisor thread");
  Comlink.expose(answering(supervisorCalls(parts)), nodeEndpoint(parentPort));
}

/** What the options say of a queue; what they leave open stays as it was stored. */
const queueChange = ([queue, { concurrency, maxSize, paused }]: readonly [string, ResolvedQueue]): Change => ({
  type: "configureQueue",
  queue,
  patch: {
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(maxSize === undefined ? {} : { maxSize }),
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
