import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { Batch } from "./batch.ts";
import { childFiles, type ToWatchdog } from "./child-protocol.ts";
import { FrameReader, frameOf, messageIn } from "./line.ts";
import { MemoryWatch } from "./memory-watch.ts";
import type { SlotFile } from "./slot-file.ts";
import { Worker, type Work, type WorkerObserver } from "./worker.ts";
import type { FromWorker, ToWorker, WorkerSettings } from "./worker-protocol.ts";

export interface ChildOptions extends WorkerSettings {
  readonly slots: number;
  readonly file: SlotFile;
  readonly environment: NodeJS.ProcessEnv;
  readonly execArgv: readonly string[];
}

const entry = fileURLToPath(new URL("./child.entry.js", import.meta.url));
/** While a child has something to do. */
const pingEveryMs = 1_000;
const mostUnanswered = 3;
/** While a task has a limit of memory. */
const lookEveryMs = 50;
/** From the start of the process until it can be given work. */
const longestStartMs = 30_000;
/** From the exit of a child to the end of what it wrote, which only a process that it left behind can keep open. */
const longestTailMs = 1_000;

/** A child process, as the supervisor sees it. */
export class Child extends Worker {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #line: Socket;
  readonly #reports: Socket;
  readonly #memory = new MemoryWatch();
  #pings: NodeJS.Timeout | undefined;
  #looks: NodeJS.Timeout | undefined;
  #isLooking = false;
  #unanswered = 0;

  /**
   * Starts a child that can be given work.
   *
   * @throws an error of the system when no process can be started, or one that says how it ended before it was ready.
   */
  static async start(options: ChildOptions, observer: WorkerObserver): Promise<Child> {
    const { slots, file, environment, execArgv, modules, maxResultBytes, maxLogBytes } = options;
    const spawned = spawn(process.execPath, [...execArgv, entry, String(slots)], {
      env: environment,
      stdio: ["ignore", "inherit", "inherit", "pipe", "pipe", file.fd],
      windowsHide: true,
    });
    await once(spawned, "spawn");
    const child = new Child(spawned, observer);
    const late = setTimeout(() => child.die({ how: `it was not ready within ${longestStartMs} ms` }), longestStartMs);
    try {
      const ready = child.ready();
      child.tell({ type: "settings", modules, maxResultBytes, maxLogBytes });
      await ready;
    } finally {
      clearTimeout(late);
    }
    child.rest(true);
    return child;
  }

  private constructor(spawned: ChildProcess, observer: WorkerObserver) {
    super(observer);
    this.name = `process-${spawned.pid}`;
    this.#process = spawned;
    this.#line = spawned.stdio[childFiles.line] as Socket;
    this.#reports = spawned.stdio[childFiles.reports] as Socket;
    for (const pipe of [this.#line, this.#reports]) {
      const reader = new FrameReader((body) => this.receive(messageIn(body) as FromWorker));
      pipe.on("data", (chunk) => reader.read(chunk));
      // A pipe that breaks belongs to a child that is dead, or about to be.
      pipe.on("error", () => {});
    }
    const tail = new Promise<void>((resolve) => this.#reports.once("close", () => resolve()));
    spawned.once("exit", (code, signal) => {
      const cut = setTimeout(() => this.#reports.destroy(), longestTailMs);
      void tail.then(() => {
        clearTimeout(cut);
        this.exited(explain(code, signal));
      });
    });
  }

  tell(message: ToWorker): void {
    if (message.type === "stop" || message.type === "revoke") return this.#order(message);
    if (message.type === "batch") this.#order({ type: "clear", slot: message.slot });
    this.#line.write(frameOf(message));
  }

  override take(work: Work): void {
    super.take(work);
    if (!(work instanceof Batch)) return;
    this.#memory.take(work);
    if (this.#memory.isNeeded) this.#looks ??= setInterval(() => this.#look(), lookEveryMs).unref();
  }

  override release(work: Work): void {
    if (work instanceof Batch) this.#memory.release(work);
    super.release(work);
  }

  protected override receive(message: FromWorker): void {
    if (message.type !== "pong") return super.receive(message);
    this.#unanswered = 0;
    this.#isLooking = false;
    const verdict = this.#memory.judge(message.rss);
    if (verdict === "full") this.end("its memory was full of what other tasks had left");
    else if (verdict !== undefined) this.die(verdict);
  }

  protected kill(): void {
    for (const handle of [this.#process, this.#reports]) handle.ref();
    this.#process.kill("SIGKILL");
  }

  protected override rest(isResting: boolean): void {
    clearInterval(this.#pings);
    clearInterval(this.#looks);
    this.#looks = undefined;
    this.#isLooking = false;
    this.#unanswered = 0;
    if (isResting) {
      for (const handle of [this.#process, this.#line, this.#reports]) handle.unref();
      return;
    }
    this.#reports.ref();
    this.#pings = setInterval(() => this.#ping(), pingEveryMs).unref();
  }

  #order(order: ToWatchdog): void {
    this.#line.write(frameOf(order, "watchdog"));
  }

  /** One question at a time: a child that is slow to answer is not asked more often. */
  #look(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#order({ type: "ping" });
  }

  /** A child answers even while a handler blocks it: one that does not is stopped, or stuck in the system. */
  #ping(): void {
    if (this.#unanswered === mostUnanswered) {
      return this.die({ how: `it did not answer for ${mostUnanswered * pingEveryMs} ms, and was ended by SIGKILL` });
    }
    this.#unanswered++;
    this.#order({ type: "ping" });
  }
}

function explain(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal === null) return `it exited with code ${code}`;
  return signal === "SIGABRT"
    ? `it was ended by ${signal}, as when a process runs out of memory or calls process.abort()`
    : `it was ended by ${signal}`;
}
