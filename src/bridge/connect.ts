import { MessageChannel, Worker } from "node:worker_threads";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { ActorStoppedError, ClosedError, SupervisorLostError } from "../base/errors.ts";
import { TransactionGate } from "../base/transaction-gate.ts";
import type { ResolvedOptions } from "../config/resolve.ts";
import type { Logger } from "../config/open-options.ts";
import { joinPayloads, splitPayloads } from "../task/codec.ts";
import type { Payload, TaskId, TaskRequest } from "../task/task.ts";
import type {
  Answer,
  CallerMessage,
  SupervisorCalls,
  SupervisorData,
  SupervisorMessage,
  TaskBatch,
  WireOutcome,
} from "./contract.ts";
import { Liveness } from "./liveness.ts";
import { fromWireError } from "./wire-error.ts";
import { Wire } from "./wire.ts";

/** How a task ended, in the caller's thread. */
export interface ReceivedOutcome extends Omit<WireOutcome, "result"> {
  readonly result?: Payload;
}

/** A call as the port sends it, before it has its number. */
type Numbered = Extract<CallerMessage, { call: number }>;
type Unnumbered = Numbered extends infer M ? (M extends Numbered ? Omit<M, "call"> : never) : never;

interface Pending {
  readonly resolve: (ids: readonly (TaskId | undefined)[] | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Of the supervisors of this thread. */
const gates = new Set<TransactionGate>();
const longestTransactionMs = 30_000;

// The process ends after the transactions that are being made. One that never ends must not keep it for ever.
process.on("exit", () => {
  for (const gate of gates) if (!gate.shut(longestTransactionMs)) process.kill(process.pid, "SIGKILL");
});

/**
 * The caller's end of the one crossing between threads. Every call settles: when the supervisor dies, is silent for
 * too long or gives up, all that is pending is rejected, and so is whatever comes later.
 */
export class Connection {
  readonly calls: SupervisorCalls;
  /** Told about tasks that were waited for. */
  onOutcomes: (outcomes: readonly ReceivedOutcome[]) => void = () => undefined;
  /** Told about tasks that are followed. */
  onProgress: (id: TaskId, progress: Payload) => void = () => undefined;
  /** Told about schedules that could not be fired. */
  onScheduleError: (scheduleId: string, error: Error) => void = () => undefined;
  /** Told once when the connection has ended, with the reason; after `close`, a ClosedError. */
  onEnd: (reason: Error) => void = () => undefined;
  readonly #worker: Worker;
  readonly #wire: Wire<CallerMessage, SupervisorMessage>;
  readonly #liveness: Liveness;
  readonly #pending = new Map<number, Pending>();
  readonly #rejectors = new Set<(reason: Error) => void>();
  readonly #logger: Logger | undefined;
  readonly #exited: Promise<void>;
  #end: Error | undefined;
  #isClosing = false;
  readonly #gate = new TransactionGate();
  #call = 0;

  /** Starts the supervisor thread. Await `calls.ready()` next. */
  constructor({ logger, ...options }: ResolvedOptions) {
    this.#logger = logger;
    const { port1, port2 } = new MessageChannel();
    const workerData: SupervisorData = {
      options,
      port: port2,
      hasLogger: logger !== undefined,
      gate: this.#gate.memory,
    };
    gates.add(this.#gate);
    this.#worker = new Worker(new URL("./supervisor.entry.js", import.meta.url), {
      name: "omniq supervisor",
      // What a batch of tasks leaves behind dies young; with more room for it, it is never copied.
      resourceLimits: { maxYoungGenerationSizeMb: 64 },
      workerData,
      transferList: [port2],
    });
    this.#wire = new Wire(port1);
    this.#wire.listen((message) => this.#receive(message));
    this.#liveness = new Liveness(
      () => this.#post({ type: "ping" }),
      (ms) => this.#finish(new SupervisorLostError(`has not answered for ${ms} ms`)),
    );
    this.#worker.once("exit", () => gates.delete(this.#gate));
    this.#exited = new Promise((resolve) => {
      this.#worker.once("error", (cause) => this.#finish(new SupervisorLostError("thread crashed", { cause })));
      // Its last answer may have come in the same turn, and is to be heard first.
      this.#worker.once("exit", (code) =>
        setImmediate(() => {
          this.#finish(new SupervisorLostError(`thread ended with code ${code}`));
          resolve();
        }),
      );
    });
    this.calls = this.#guardedCalls();
  }

  /** Stores tasks; resolves when they are on disk, with the ids where they differ from those sent. */
  store(message: Unnumbered): Promise<readonly (TaskId | undefined)[] | undefined> {
    if (this.#end !== undefined || this.#isClosing) return Promise.reject(this.#end ?? new ClosedError());
    const call = ++this.#call;
    return new Promise((resolve, reject) => {
      this.#pending.set(call, { resolve, reject });
      this.#liveness.expect();
      const transfer =
        message.type === "publish" ? [] : [message.batch.args.bytes.buffer, message.batch.args.ends.buffer];
      this.#post({ ...message, call }, transfer);
    });
  }

  /** Asks to be told how these tasks end; `onOutcomes` is called once for each. */
  wait(ids: readonly TaskId[]): void {
    this.#post({ type: "wait", ids });
  }

  stopWaiting(ids: readonly TaskId[]): void {
    this.#post({ type: "stopWaiting", ids });
  }

  /** Asks to be told of the progress of a task; `onProgress` is called whenever there is some. */
  follow(id: TaskId): void {
    this.#post({ type: "follow", id });
  }

  stopFollowing(id: TaskId): void {
    this.#post({ type: "stopFollowing", id });
  }

  /** While something is awaited that may take any time, the supervisor must still be alive. */
  expectLife(isExpected: boolean): void {
    if (isExpected) this.#liveness.expect();
    else this.#liveness.settle();
  }

  /** Ends the supervisor; what runs has so long to finish. */
  async close(drainMs: number): Promise<void> {
    if (this.#end !== undefined) return;
    this.#isClosing = true;
    await this.calls.close(drainMs);
    this.#finish(new ClosedError());
    // Never terminated: a thread that is ended inside of a transaction takes the process with it.
    await this.#exited;
  }

  #post(message: CallerMessage, transfer: readonly ArrayBuffer[] = []): void {
    if (this.#end === undefined) this.#wire.send(message, transfer);
  }

  #receive(message: SupervisorMessage): void {
    this.#liveness.heard();
    switch (message.type) {
      case "stored":
        this.#settle(message.call)?.resolve(message.ids);
        return;
      case "refused":
        this.#settle(message.call)?.reject(this.#explained(fromWireError(message.error)));
        return;
      case "progress":
        this.onProgress(message.id, message.progress);
        return;
      case "outcomes": {
        const results = splitPayloads(message.results);
        this.onOutcomes(
          message.outcomes.map(({ result, ...outcome }) => {
            const payload = result === undefined ? undefined : results[result];
            return payload === undefined ? outcome : { ...outcome, result: payload };
          }),
        );
        return;
      }
      case "pong":
        return;
      case "scheduleError":
        this.onScheduleError(message.scheduleId, fromWireError(message.error));
        return;
      case "failed":
        this.#finish(fromWireError(message.error));
        return;
      case "log":
        this.#logger?.[message.level](message.fields, message.message);
        return;
    }
  }

  /** Actors stop when the runtime closes: to its user, that is one thing. */
  #explained(error: Error): Error {
    return this.#isClosing && error instanceof ActorStoppedError ? new ClosedError() : error;
  }

  #settle(call: number): Pending | undefined {
    const pending = this.#pending.get(call);
    if (pending === undefined) return undefined;
    this.#pending.delete(call);
    this.#liveness.settle();
    return pending;
  }

  /** Comlink's promises never settle when the other side is gone, so each call is raced with the end. */
  #guardedCalls(): SupervisorCalls {
    const remote = Comlink.wrap<Record<string, (...args: unknown[]) => Promise<Answer<unknown>>>>(
      nodeEndpoint(this.#worker),
    );
    const call = (name: string, args: unknown[]): Promise<unknown> => {
      const isLate = this.#isClosing && name !== "close";
      if (this.#end !== undefined || isLate) return Promise.reject(this.#end ?? new ClosedError());
      return new Promise((resolve, reject) => {
        this.#rejectors.add(reject);
        this.#liveness.expect();
        const done = (settle: () => void): void => {
          if (!this.#rejectors.delete(reject)) return;
          this.#liveness.settle();
          this.#liveness.heard();
          settle();
        };
        const method = remote[name] as unknown as (...args: unknown[]) => Promise<Answer<unknown>>;
        method(...args).then(
          (answer) =>
            done(() => (answer.ok ? resolve(answer.value) : reject(this.#explained(fromWireError(answer.error))))),
          (error: unknown) => done(() => reject(error)),
        );
      });
    };
    return new Proxy({} as SupervisorCalls, {
      get: (_target, name) =>
        typeof name === "string" && name !== "then" ? (...args: unknown[]) => call(name, args) : undefined,
    });
  }

  #finish(reason: Error): void {
    if (this.#end !== undefined) return;
    this.#end = reason;
    this.#liveness.stop();
    this.#wire.close();
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
    for (const reject of this.#rejectors) reject(reason);
    this.#rejectors.clear();
    this.onEnd(reason);
    // A supervisor that does not answer must not keep the process; it cannot be ended without harm.
    if (reason instanceof SupervisorLostError) this.#worker.unref();
  }
}

/** Tasks that share one request. */
export const batchOf = (request: TaskRequest, ids: readonly TaskId[], args: readonly Payload[]): TaskBatch => ({
  ids,
  requests: [request],
  args: joinPayloads(args),
});
