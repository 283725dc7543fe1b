/** Runs on the supervisor thread. Started by connect.ts, imported by nobody. */
import { parentPort, workerData } from "node:worker_threads";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { EventLoopTurns } from "../actor/event-loop-turns.ts";
import { createSystem } from "../actor/system.ts";
import { systemClock } from "../base/clock.ts";
import { ClosedError } from "../base/errors.ts";
import type { StorageLocation, StorageLocations } from "../config/locations.ts";
import { threadExecutor } from "../executor/threads.ts";
import { combinedStorage } from "../storage/combined.ts";
import type { LmdbOptions } from "../storage/lmdb/environment.ts";
import { lmdbEvents } from "../storage/lmdb/events.ts";
import { lmdbStorage } from "../storage/lmdb/lmdb.ts";
import { lmdbResults } from "../storage/lmdb/results.ts";
import { memoryEvents, memoryResults } from "../storage/memory-components.ts";
import { memoryStorage } from "../storage/memory.ts";
import type { Storage } from "../storage/storage.ts";
import type { DispatcherMessage, QueueMessage } from "../supervisor/protocol.ts";
import { tree } from "../supervisor/tree.ts";
import type { SupervisorData, SupervisorMessage } from "./contract.ts";
import { answering, servePort, supervisorCalls } from "./expose.ts";
import { toWireError } from "./wire-error.ts";

const { options, port, hasLogger } = workerData as SupervisorData;
const send = (message: SupervisorMessage): void => port.postMessage(message);

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

async function open(): Promise<void> {
  const storage = storageFor(options.storage);
  const executor = threadExecutor({
    threads: options.threads,
    modules: options.tasks,
    maxResultBytes: options.maxPayloadBytes,
    log: (message, error, fields) => log.warn({ ...fields, error }, message),
  });
  const { retention, events, instanceId } = options;
  // Loading the modules and opening the store do not depend on each other; either may fail, then both are undone.
  const [loaded, opened] = await Promise.allSettled([
    executor.start(),
    storage.open({ owner: instanceId, now: systemClock.now(), events, retention }),
  ]);
  if (loaded.status === "rejected" || opened.status === "rejected") {
    if (loaded.status === "fulfilled") await executor.close();
    if (opened.status === "fulfilled") await storage.close();
    throw loaded.status === "rejected" ? loaded.reason : (opened as PromiseRejectedResult).reason;
  }
  const catalogue = loaded.value;
  await storage.commit(
    [...options.queues].map(([queue, { concurrency, maxSize, paused }]) => ({
      type: "configureQueue" as const,
      queue,
      patch: {
        concurrency: concurrency ?? null,
        maxSize: maxSize ?? null,
        ...(paused === undefined ? {} : { isPaused: paused }),
      },
    })),
  );

  const system = createSystem({ clock: systemClock, turns: new EventLoopTurns(), random: Math.random, log });
  const names = new Set(catalogue.map(({ name }) => name));
  const running = system.start(tree({ storage, epoch: opened.value.epoch, executor, names, retention }));
  await running.started;

  let closing: Promise<void> | undefined;
  const close = async (drainMs: number): Promise<void> => {
    const queue = running.ref<QueueMessage>("queue");
    const dispatcher = running.ref<DispatcherMessage>("dispatcher");
    await queue.ask((reply) => ({ type: "stopClaiming", reply }), drainMs + 10_000);
    const finished = dispatcher.ask((reply) => ({ type: "finish", reply }), drainMs + 1).catch(() => undefined);
    await finished;
    // What has not finished by now is reported as interrupted, and settled like any other end.
    await executor.close();
    await running.drain();
    await storage.close();
  };
  const parts = {
    ref: running.ref,
    storage,
    executor,
    ready: { epoch: opened.value.epoch, catalogue, interrupted: opened.value.interrupted },
    close: (drainMs: number) => (closing ??= close(drainMs).finally(leaveSoon)),
  };
  void running.failed.then(async (cause) => {
    send({ type: "failed", error: toWireError(cause) });
    await executor.close().catch(() => undefined);
    await storage.close().catch(() => undefined);
    leaveSoon();
  });
  servePort(port, parts);
  if (parentPort === null) throw new ClosedError("The supervisor thread");
  Comlink.expose(answering(supervisorCalls(parts)), nodeEndpoint(parentPort));
}

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
