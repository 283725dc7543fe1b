import type { ResolvedExecutors } from "../config/resolve.ts";
import type { Catalogue, Executor } from "../executor/executor.ts";
import { processExecutor } from "../executor/processes.ts";
import { asyncExecutor } from "../executor/promises.ts";
import { threadExecutor } from "../executor/threads.ts";
import type { WorkerExecutorOptions } from "../executor/worker-executor.ts";
import type { Executors } from "../supervisor/protocol.ts";

/** Executors that run. */
export interface OpenExecutors extends Executors {
  /** The one that loads the modules first, and checks arguments: it is always there. */
  readonly threads: Executor;
  readonly catalogue: Catalogue;
  close(): Promise<void>;
}

/**
 * Starts the executors that were asked for.
 *
 * @throws TaskModuleError, DuplicateNameError; then none is left open.
 */
export async function openExecutors(
  { threads, processes, promises, environment, byDefault }: ResolvedExecutors,
  shared: WorkerExecutorOptions,
): Promise<OpenExecutors> {
  const first = threadExecutor({ ...shared, threads });
  const others: [string, Executor][] = [];
  if (processes > 0) others.push(["process", processExecutor({ ...shared, processes, environment })]);
  if (promises > 0) others.push(["async", asyncExecutor({ ...shared, concurrency: promises })]);
  const all = new Map<string, Executor>([["thread", first], ...others]);
  const close = async (): Promise<void> => {
    await Promise.allSettled(Array.from(all.values(), (executor) => executor.close()));
  };
  try {
    // Modules that cannot be loaded are complained about once.
    const catalogue = await first.start();
    await Promise.all(others.map(([, executor]) => executor.start()));
    return { all, byDefault, threads: first, catalogue, close };
  } catch (error) {
    await close();
    throw error;
  }
}
