/** Runs in a thread of the pool. Started by threads.ts, imported by nobody. */
import { MessageChannel, parentPort, receiveMessageOnPort, threadId, workerData } from "node:worker_threads";
import { splitPayloads } from "../task/codec.ts";
import { toTaskError } from "../task/task-error.ts";
import type { Payload } from "../task/task.ts";
import { Attempt, currentAttempt, type AttemptHost } from "./attempt.ts";
import { ReportWriter, unpackHeaders, type AttemptEnd, type TaskHeader } from "./frames.ts";
import { checkInput } from "./input.ts";
import { loadError, loadTasks, type Loaded, type LoadProblem } from "./loader.ts";
import { Slot } from "./slots.ts";
import type {
  BatchMessage,
  FromThread,
  Greeting,
  ThreadData,
  ToThread,
  ValidateAnswer,
  ValidateMessage,
} from "./thread-protocol.ts";

const { modules, maxResultBytes, memory, token } = workerData as ThreadData;
// Handlers can read workerData too; what is in it is for us alone.
for (const key of Object.keys(workerData as object)) Reflect.deleteProperty(workerData as object, key);

const { port1: port, port2 } = new MessageChannel();
parentPort?.postMessage({ token, threadId, port: port2 } satisfies Greeting, [port2]);
port.on("message", receive);

const tell = (message: FromThread, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);

function receive(message: ToThread): void {
  if (message.type === "load") return void load();
  const batch = active.get(message.batch);
  if (batch?.index === message.index) batch.attempt?.stop(message.reason);
}

// ------------------------------------------------------------------------------------------------------ modules

let loading: Promise<Loaded> | undefined;
let loaded: Loaded | undefined;

const load = (): Promise<Loaded> =>
  (loading ??= loadTasks(modules, (file) => tell({ type: "loading", file })).then((result) => {
    loaded = result;
    tell("problem" in result ? { type: "notLoaded", ...result } : { type: "loaded", catalogue: result.catalogue });
    return result;
  }));

export async function validate({ name, args }: ValidateMessage): Promise<ValidateAnswer> {
  const result = await load();
  if ("problem" in result) return { type: "error", error: toTaskError(loadError(result.problem)) };
  const task = result.tasks.get(name);
  return task === undefined ? { type: "unknown" } : checkInput(task, args, maxResultBytes);
}

// ------------------------------------------------------------------------------------------------------ batches

/** Batches in flight by number: two at most, and one runs only while the handler of the other waits. */
const active = new Map<number, ActiveBatch>();

class ActiveBatch implements AttemptHost {
  readonly maxResultBytes = maxResultBytes;
  readonly slot: Slot;
  readonly writer = new ReportWriter();
  /** The place of the task that is running, or ran last. */
  index = -1;
  attempt: Attempt | undefined;
  flushedAt = performance.now();
  readonly #number: number;

  constructor({ batch, slot }: BatchMessage) {
    this.#number = batch;
    this.slot = new Slot(memory, slot);
  }

  poll(): void {
    if (!this.slot.isStopAsked(this.index)) return;
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      receive(next.message as ToThread);
    }
  }

  flush(): void {
    this.flushedAt = performance.now();
    if (this.writer.isEmpty) return;
    const frame = this.writer.take();
    tell({ type: "reports", batch: this.#number, frame }, [frame.buffer]);
  }
}

// Outcomes may wait this long for the tasks behind them.
const longestUnflushedMs = 1;

/**
 * Runs the tasks of a batch one after the other, until none is left or the rest is revoked. What becomes of them goes
 * through the port: at the end, and before a task that may take long.
 */
export async function runBatch(message: BatchMessage): Promise<void> {
  const batch = new ActiveBatch(message);
  const headers = unpackHeaders(message.headers);
  const payloads = splitPayloads(message.args);
  active.set(message.batch, batch);
  if (isRetiring) batch.slot.revoke();
  let now = batch.flushedAt;
  for (;;) {
    // Only one task waits for the modules: another could not be taken back when that one blocks the thread.
    if (loaded === undefined && firstLoad !== undefined) await firstLoad;
    const index = batch.slot.take(headers.length);
    if (index === -1) break;
    if (now - batch.flushedAt > longestUnflushedMs) batch.flush();
    batch.index = index;
    const found = loaded ?? (await loadFor(batch));
    const startedAt = Date.now();
    const before = performance.now();
    batch.slot.begin(index, startedAt);
    let end = start(batch, found, headers[index] as TaskHeader, payloads[index] as Payload, startedAt);
    if (end instanceof Promise) end = await settled(batch, end, (headers[index] as TaskHeader).request.name);
    now = performance.now();
    batch.attempt = undefined;
    batch.slot.end();
    batch.writer.add(index, startedAt, now - before, end);
  }
  batch.flush();
  active.delete(message.batch);
}

/** The task that comes first on a thread answers for what the modules do to the thread. */
function loadFor({ slot, index }: ActiveBatch): Promise<Loaded> {
  slot.begin(index, Date.now());
  slot.wait();
  firstLoad = load();
  return firstLoad;
}

/** The load that a task waits for. */
let firstLoad: Promise<Loaded> | undefined;

function start(batch: ActiveBatch, found: Loaded, header: TaskHeader, args: Payload, startedAt: number) {
  if (batch.slot.isStopAsked(batch.index)) return { type: "stopped" } satisfies AttemptEnd;
  if ("problem" in found) return notLoaded(found.problem);
  batch.attempt = new Attempt(header, found.tasks.get(header.request.name), startedAt, batch);
  return batch.attempt.run(args);
}

/** The modules could be loaded elsewhere, so another thread may do better. */
function notLoaded(problem: LoadProblem): AttemptEnd {
  const error = toTaskError(loadError(problem));
  retire({ type: "retiring", error });
  return { type: "fault", fault: { reason: "error", isRetryable: true }, error };
}

// Handlers by name whose last promise was settled as soon as the event loop's turn was over: waiting for those is
// short, and worth no message.
const quick = new Set<string>();
let turn = 0;
let nextTurn: NodeJS.Immediate | undefined;

async function settled(batch: ActiveBatch, end: Promise<AttemptEnd>, name: string): Promise<AttemptEnd> {
  batch.slot.wait();
  if (!quick.has(name)) batch.flush();
  const before = turn;
  nextTurn ??= setImmediate(() => {
    nextTurn = undefined;
    turn += 1;
    for (const other of active.values()) other.flush();
  });
  const result = await end;
  if (turn === before) quick.add(name);
  else quick.delete(name);
  return result;
}

// ------------------------------------------------------------------------------------------------- stray errors

/** Something was thrown that no attempt will answer for by itself: what the thread holds may be half done. */
let isRetiring = false;

function retire(message: Extract<FromThread, { type: "retiring" }>): void {
  isRetiring = true;
  for (const { slot } of active.values()) slot.revoke();
  tell(message);
}

function blame(thrown: unknown): void {
  const attempt = currentAttempt();
  const error = toTaskError(thrown);
  if (attempt === undefined && active.size > 0) {
    tell({ type: "dying", error });
    process.exit(1);
  }
  if (attempt?.fail(thrown) === true) return retire({ type: "retiring" });
  const taskId = attempt?.header.id;
  retire({ type: "retiring", error, ...(taskId === undefined ? undefined : { taskId }) });
}

process.on("uncaughtException", blame);
process.on("unhandledRejection", blame);
process.on("exit", () => {
  const guilty = currentAttempt();
  for (const batch of active.values()) {
    batch.flush();
    if (guilty !== undefined) batch.slot.blame(batch.attempt === guilty);
  }
});
