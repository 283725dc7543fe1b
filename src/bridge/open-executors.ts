import { isDeepStrictEqual } from "node:util";
import { ClosedError, TaskModuleError } from "../base/errors.ts";
import type { ExecutorSizes, ResolvedExecutors } from "../config/resolve.ts";
import { customExecutor } from "../executor/custom.ts";
import type { Catalogue, CatalogueEntry, Executor } from "../executor/executor.ts";
import { processExecutor } from "../executor/processes.ts";
import { asyncExecutor } from "../executor/promises.ts";
import { Relay } from "../executor/relay.ts";
import { threadExecutor } from "../executor/threads.ts";
import { versioned } from "../executor/versions.ts";
import type { WorkerExecutorOptions } from "../executor/worker-executor.ts";
import type { Executors } from "../supervisor/protocol.ts";
import { toTaskError } from "../task/task-error.ts";
import { handlerKey } from "../task/task.ts";

type Sizes = Required<ExecutorSizes>;

/** Executors that run, and can be exchanged while they do. Those that are not open are known as well, without slots. */
export class OpenExecutors implements Executors {
  readonly all: ReadonlyMap<string, Relay>;
  readonly byDefault: string;
  /** The one that loads the modules first, and checks arguments: it is always there. */
  readonly threads: Relay;
  readonly #resolved: ResolvedExecutors;
  readonly #shared: WorkerExecutorOptions;
  #sizes: Sizes;
  /** One change at a time. */
  #last: Promise<unknown> = Promise.resolve();
  /** What the modules define, as it was accepted last. */
  #catalogue: Catalogue = [];
  /** What is being started, and belongs to no relay yet. */
  readonly #fresh = new Map<string, Executor>();
  #isClosed = false;

  constructor(resolved: ResolvedExecutors, shared: WorkerExecutorOptions) {
    this.#resolved = resolved;
    this.#shared = shared;
    this.#sizes = resolved;
    this.byDefault = resolved.byDefault;
    const others = ["process", "async", ...resolved.custom.keys()];
    const relay = (): Relay => new Relay((message, thrown) => shared.log(message, toTaskError(thrown), {}));
    this.threads = relay();
    this.all = new Map([["thread", this.threads], ...others.map((name): [string, Relay] => [name, relay()])]);
  }

  /**
   * Starts all workers, those there were before are relieved: they finish what they have begun. Fresh workers load the
   * modules as they are on disk now.
   *
   * @param accept is told what they define before anything changes; when it throws, nothing does.
   * @throws TaskModuleError, DuplicateNameError, ExecutorModuleError; what the start of a custom executor throws.
   */
  reload(accept: (catalogue: Catalogue) => void): Promise<void> {
    return this.#alone(() =>
      this.#relieve(this.#sizes, [...this.all.keys()], ([catalogue = []]) => {
        accept(catalogue);
        this.#catalogue = catalogue;
      }),
    );
  }

  /**
   * Has other numbers of workers from now on: fresh ones, where the number changes.
   *
   * @throws TaskModuleError also when the modules define something else now than those that are loaded: the other workers
   *   know nothing of that. Nothing changes then.
   */
  resize(sizes: Sizes): Promise<void> {
    return this.#alone(() => {
      const changed = kinds.filter((kind) => sizes[sizeOf[kind]] !== this.#sizes[sizeOf[kind]]);
      return this.#relieve(sizes, changed, (catalogues) => {
        for (const catalogue of catalogues) assertSame(this.#catalogue, catalogue);
      });
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await closeAll([...this.#fresh.values(), ...this.all.values()]);
  }

  #alone(change: () => Promise<void>): Promise<void> {
    const done = this.#last.then(change);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** @param accept is told what each of the fresh executors has loaded. */
  async #relieve(
    sizes: Sizes,
    names: readonly string[],
    accept: (catalogues: readonly Catalogue[]) => void,
  ): Promise<void> {
    try {
      for (const name of names) {
        this.#assertOpen();
        const executor = await this.#make(name, sizes);
        if (executor !== undefined) this.#fresh.set(name, executor);
      }
      this.#assertOpen();
      // Modules that cannot be loaded are complained about once.
      const [first, ...others] = this.#fresh.values();
      const catalogues = first === undefined ? [] : [await first.start()];
      catalogues.push(...(await Promise.all(others.map((executor) => executor.start()))));
      this.#assertOpen();
      accept(catalogues);
      this.#sizes = sizes;
      for (const name of names) this.all.get(name)?.handOver(this.#fresh.get(name));
    } catch (error) {
      await closeAll([...this.#fresh.values()]);
      throw error;
    } finally {
      this.#fresh.clear();
    }
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new ClosedError();
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

/** Also when one of them fails to close. */
const closeAll = (executors: readonly Executor[]): Promise<unknown> =>
  Promise.allSettled(executors.map((executor) => executor.close()));

/** Names, versions and options are what the rest of the runtime goes by. @throws TaskModuleError. */
function assertSame(loaded: Catalogue, found: Catalogue): void {
  const [before, now] = [byHandler(loaded), byHandler(found)];
  for (const [handler, entry] of [...before, ...now]) {
    const [one, other] = [before.get(handler), now.get(handler)];
    const what = one === undefined ? "is new" : other === undefined ? "is gone" : "has other options";
    if (one !== undefined && other !== undefined && isDeepStrictEqual(termsOf(one), termsOf(other))) continue;
    const problem = `was changed since it was loaded: task "${entry.name}" ${what}. Call reload() first.`;
    throw new TaskModuleError(entry.file, problem);
  }
}

const byHandler = (catalogue: Catalogue): ReadonlyMap<string, CatalogueEntry> =>
  new Map(catalogue.map((entry) => [handlerKey(versioned(entry)), entry]));

const termsOf = ({ options, hasInput }: CatalogueEntry): object => ({ options, hasInput });

const kinds = ["thread", "process", "async"] as const;
const sizeOf = { thread: "threads", process: "processes", async: "promises" } as const;
