import { ClosedError } from "../base/errors.ts";
import type { ExecutorSizes, ResolvedExecutors } from "../config/resolve.ts";
import { customExecutor } from "../executor/custom.ts";
import type { Catalogue, Executor } from "../executor/executor.ts";
import { processExecutor } from "../executor/processes.ts";
import { asyncExecutor } from "../executor/promises.ts";
import { Relay } from "../executor/relay.ts";
import { threadExecutor } from "../executor/threads.ts";
import type { WorkerExecutorOptions } from "../executor/worker-executor.ts";
import type { Executors } from "../supervisor/protocol.ts";

type Sizes = Required<ExecutorSizes>;

/** Executors that run, and can be exchanged while they do. Those that are not open are known as well, without slots. */
export class OpenExecutors implements Executors {
  readonly all: ReadonlyMap<string, Relay>;
  readonly byDefault: string;
  /** The one that loads the modules first, and checks arguments: it is always there. */
  readonly threads = new Relay();
  readonly #resolved: ResolvedExecutors;
  readonly #shared: WorkerExecutorOptions;
  #sizes: Sizes;
  /** One change at a time. */
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(resolved: ResolvedExecutors, shared: WorkerExecutorOptions) {
    this.#resolved = resolved;
    this.#shared = shared;
    this.#sizes = resolved;
    this.byDefault = resolved.byDefault;
    const others = ["process", "async", ...resolved.custom.keys()];
    this.all = new Map([["thread", this.threads], ...others.map((name): [string, Relay] => [name, new Relay()])]);
  }

  /**
   * Starts all workers, those there were before are relieved: they finish what they have begun. Fresh workers load the
   * modules as they are on disk now.
   *
   * @param accept is told what they define before anything changes; when it throws, nothing does.
   * @throws TaskModuleError, DuplicateNameError, ExecutorModuleError; what the start of a custom executor throws.
   */
  reload(accept: (catalogue: Catalogue) => void): Promise<void> {
    return this.#alone(() => this.#relieve(this.#sizes, [...this.all.keys()], accept));
  }

  /** Has other numbers of workers from now on: fresh ones, where the number changes. */
  resize(sizes: Sizes): Promise<void> {
    return this.#alone(() => {
      const changed = kinds.filter((kind) => sizes[sizeOf[kind]] !== this.#sizes[sizeOf[kind]]);
      return this.#relieve(sizes, changed, () => undefined);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(Array.from(this.all.values(), (relay) => relay.close()));
  }

  #alone(change: () => Promise<void>): Promise<void> {
    const done = this.#last.then(change);
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #relieve(sizes: Sizes, names: readonly string[], accept: (catalogue: Catalogue) => void): Promise<void> {
    const fresh = new Map<string, Executor | undefined>();
    try {
      for (const name of names) fresh.set(name, await this.#make(name, sizes));
      // Modules that cannot be loaded are complained about once.
      const catalogue = await fresh.get("thread")?.start();
      const others = [...fresh].flatMap(([name, one]) => (name === "thread" || one === undefined ? [] : [one]));
      await Promise.all(others.map((executor) => executor.start()));
      if (this.#isClosed) throw new ClosedError();
      if (catalogue !== undefined) accept(catalogue);
      this.#sizes = sizes;
      for (const [name, executor] of fresh) this.all.get(name)?.handOver(executor);
    } catch (error) {
      await Promise.allSettled(Array.from(fresh.values(), async (executor) => executor?.close()));
      throw error;
    }
  }

  async #make(name: string, { threads, processes, promises }: Sizes): Promise<Executor | undefined> {
    const { environment, custom } = this.#resolved;
    const shared = this.#shared;
    if (name === "thread") return threadExecutor({ ...shared, threads });
    if (name === "process") return processes === 0 ? undefined : processExecutor({ ...shared, processes, environment });
    if (name === "async") return promises === 0 ? undefined : asyncExecutor({ ...shared, concurrency: promises });
    const module = custom.get(name);
    return module === undefined ? undefined : customExecutor(name, module, shared);
  }
}

const kinds = ["thread", "process", "async"] as const;
const sizeOf = { thread: "threads", process: "processes", async: "promises" } as const;
