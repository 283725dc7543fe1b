import type { ActorRef, Refs } from "../actor/actor.ts";
import type { EpochMs } from "../base/clock.ts";
import { InvalidInputError, UnknownTaskError } from "../base/errors.ts";
import type { ExecutorSizes } from "../config/resolve.ts";
import type { Catalogue, Executor } from "../executor/executor.ts";
import type { NewTask, Storage } from "../storage/storage.ts";
import type { Breakers } from "../supervisor/breakers.ts";
import type { OutcomeSink, ProgressSink, QueueMessage, SweeperMessage, TaskOutcome } from "../supervisor/protocol.ts";
import type { SchedulerCourse } from "../supervisor/scheduler-state.ts";
import { joinPayloads, splitPayloads } from "../task/codec.ts";
import { handlerKey, nameIn, type Payload, type TaskId } from "../task/task.ts";
import type {
  Answer,
  CallerMessage,
  Ready,
  SupervisorCalls,
  SupervisorMessage,
  TaskBatch,
  WireOutcome,
} from "./contract.ts";
import type { Registry } from "./registry.ts";
import { scheduleCalls } from "./schedule-calls.ts";
import { toWireError } from "./wire-error.ts";
import type { Wire } from "./wire.ts";

export interface ExposeParts {
  readonly ref: Refs;
  readonly storage: Storage;
  readonly executor: Executor;
  readonly ready: Ready;
  readonly registry: Registry;
  readonly breakers: Breakers;
  readonly course: Readonly<SchedulerCourse>;
  now(): EpochMs;
  resize(sizes: Required<ExecutorSizes>): Promise<void>;
  reload(): Promise<Catalogue>;
  close(drainMs: number): Promise<void>;
}

/** An actor that does not answer for so long is taken for dead. Calls that wait for work have no such end. */
const answerWithinMs = 60_000;
const unlimitedMs = 100 * 365 * 86_400_000;

/** The calls, as the supervisor answers them. */
export function supervisorCalls(parts: ExposeParts): SupervisorCalls {
  const { storage, ref, ready } = parts;
  const queue = ref<QueueMessage>("queue");
  const sweeper = ref<SweeperMessage>("sweeper");
  return {
    ...scheduleCalls(parts),
    ready: async () => ready,
    get: (ids) => storage.get(ids),
    list: (query) => storage.list(query),
    result: (id) => storage.result(id),
    notes: (id) => storage.notes(id),
    events: (query) => storage.events(query),
    counts: () => storage.counts(),
    parked: () => storage.parked(),
    breakers: async () => parts.breakers.statesAt(parts.now()),
    queues: () => storage.queues(),
    configureQueue: (name, patch) =>
      queue.ask((reply) => ({ type: "configureQueue", queue: name, patch, reply }), answerWithinMs),
    cancel: (ids, reason, running, graceMs) =>
      queue.ask((reply) => ({ type: "cancel", ids, reason, running, graceMs, reply }), unlimitedMs),
    requeue: (ids) => queue.ask((reply) => ({ type: "requeue", ids, reply }), answerWithinMs),
    move: (ids, name) => queue.ask((reply) => ({ type: "move", ids, queue: name, reply }), answerWithinMs),
    delete: (ids, force) => queue.ask((reply) => ({ type: "delete", ids, force, reply }), answerWithinMs),
    purge: (query) => queue.ask((reply) => ({ type: "purge", query, reply }), unlimitedMs),
    lease: (queues, leaseMs, waitMs, ack, noResult) =>
      queue.ask((reply) => ({ type: "lease", queues, leaseMs, waitMs, ack, noResult, reply }), unlimitedMs),
    endLease: (task, fence, end) =>
      queue.ask((reply) => ({ type: "endLease", task, fence, end, reply }), answerWithinMs),
    drain: (waitMs) =>
      queue.ask((reply) => ({ type: "drain", ...(waitMs === undefined ? {} : { waitMs }), reply }), unlimitedMs),
    resize: (sizes) => parts.resize(sizes),
    reload: () => parts.reload(),
    sweep: () => sweeper.ask((reply) => ({ type: "sweep", reply }), unlimitedMs),
    close: (drainMs) => parts.close(drainMs),
  };
}

/** The same calls with errors as data, for a wire that flattens them. */
export function answering(calls: SupervisorCalls): Record<string, (...args: unknown[]) => Promise<Answer<unknown>>> {
  return Object.fromEntries(
    Object.entries(calls).map(([name, call]: [string, (...args: never[]) => Promise<unknown>]) => [
      name,
      async (...args: unknown[]): Promise<Answer<unknown>> => {
        try {
          return { ok: true, value: await call(...(args as never[])) };
        } catch (error) {
          return { ok: false, error: toWireError(error) };
        }
      },
    ]),
  );
}

/** Serves one caller's wire. */
export function serveWire(wire: Wire<SupervisorMessage, CallerMessage>, parts: ExposeParts): void {
  const queue: ActorRef<QueueMessage> = parts.ref<QueueMessage>("queue");
  const { handlers, withInput } = parts.registry;
  const sink: OutcomeSink = { deliver: (outcomes) => sendOutcomes(wire, outcomes) };
  const send = (message: SupervisorMessage): void => wire.send(message);
  const progressSink: ProgressSink = { progressed: (id, progress) => send({ type: "progress", id, progress }) };

  const newTasks = (batch: TaskBatch): NewTask[] | Promise<NewTask[]> => {
    for (const request of batch.requests) {
      if (!handlers.has(handlerKey(request))) throw new UnknownTaskError(request.name, undefined);
    }
    const tasks = unpack(batch);
    const needsCheck = batch.requests.some((request) => withInput.has(handlerKey(request)));
    return needsCheck ? withCheckedInput(parts.executor, tasks, withInput) : tasks;
  };

  const store = async (
    call: number,
    batch: TaskBatch,
    ask: (tasks: readonly NewTask[]) => Promise<readonly (TaskId | undefined)[] | void>,
  ): Promise<void> => {
    try {
      const made = newTasks(batch);
      const ids = await ask(Array.isArray(made) ? made : await made);
      const isSame = ids === undefined || ids.every((id, index) => id === batch.ids[index]);
      send(isSame ? { type: "stored", call } : { type: "stored", call, ids });
    } catch (error) {
      send({ type: "refused", call, error: toWireError(error) });
    }
  };

  wire.listen((message) => {
    switch (message.type) {
      case "enqueue": {
        const { call, batch, onFull, isWatched } = message;
        void store(call, batch, (tasks) =>
          queue.ask<readonly (TaskId | undefined)[]>(
            (reply) => ({ type: "enqueue", tasks, onFull, ...(isWatched ? { sink } : {}), reply }),
            unlimitedMs,
          ),
        );
        return;
      }
      case "stage": {
        const { call, batch, stage } = message;
        void store(call, batch, (tasks) =>
          queue.ask<void>((reply) => ({ type: "stage", stage, tasks, reply }), unlimitedMs),
        );
        return;
      }
      case "publish": {
        const { call, stage, how, onFull } = message;
        void store(call, emptyBatch, () =>
          queue.ask<void>((reply) => ({ type: "publish", stage, how, onFull, reply }), unlimitedMs),
        );
        return;
      }
      case "wait":
        queue.tell({ type: "wait", ids: message.ids, sink });
        return;
      case "stopWaiting":
        queue.tell({ type: "stopWaiting", ids: message.ids, sink });
        return;
      case "follow":
      case "stopFollowing":
        queue.tell({ ...message, sink: progressSink });
        return;
      case "ping":
        // Answered where the thread begins.
        return;
    }
  });
}

const emptyBatch: TaskBatch = { ids: [], requests: [], args: { bytes: new Uint8Array(0), ends: new Uint32Array(0) } };

function unpack({ ids, requests, requestOf, args, onConflict }: TaskBatch): NewTask[] {
  const payloads = splitPayloads(args);
  return ids.map((id, index) => {
    const request = requests[requestOf?.[index] ?? 0];
    const payload = payloads[index];
    if (request === undefined || payload === undefined) throw new RangeError("A batch of tasks is incomplete.");
    return onConflict === undefined ? { id, request, args: payload } : { id, request, args: payload, onConflict };
  });
}

/** Lets workers check arguments against the schemas of their tasks: the schemas are theirs. */
async function withCheckedInput(
  executor: Executor,
  tasks: readonly NewTask[],
  withInput: ReadonlySet<string>,
): Promise<NewTask[]> {
  const checked = new Map<NewTask, Payload>();
  for (const handler of withInput) {
    const mine = tasks.filter(({ request }) => handlerKey(request) === handler);
    if (mine.length === 0) continue;
    const args = await executor.validate(
      handler,
      mine.map((task) => task.args),
    );
    mine.forEach((task, index) => {
      const accepted = args[index];
      if (accepted === undefined)
        throw new InvalidInputError(nameIn(handler), [{ path: "", message: "the check gave nothing" }]);
      checked.set(task, accepted);
    });
  }
  return tasks.map((task) => ({ ...task, args: checked.get(task) ?? task.args }));
}

function sendOutcomes(wire: Wire<SupervisorMessage, CallerMessage>, outcomes: readonly TaskOutcome[]): void {
  const payloads: Payload[] = [];
  const wireOutcomes = outcomes.map(({ result, ...outcome }): WireOutcome => {
    if (result === undefined) return outcome;
    payloads.push(result);
    return { ...outcome, result: payloads.length - 1 };
  });
  const results = joinPayloads(payloads);
  wire.send({ type: "outcomes", outcomes: wireOutcomes, results }, [results.bytes.buffer, results.ends.buffer]);
}
