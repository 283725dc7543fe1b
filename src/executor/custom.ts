import { fileURLToPath } from "node:url";
import { ExecutorModuleError } from "../base/errors.ts";
import { decode, encode } from "../task/codec.ts";
import { toTaskError } from "../task/task-error.ts";
import type { Payload, StoredTask, TaskError } from "../task/task.ts";
import type { Executor } from "./executor.ts";
import { Guarded } from "./guarded.ts";
import { importModule } from "./loader.ts";
import type { WorkerExecutorOptions } from "./worker-executor.ts";

/** What a module of an executor exports by default. Called once for every opening, and again by `reload`. */
export type ExecutorFactory = (settings: ExecutorSettings) => CustomExecutor | Promise<CustomExecutor>;

/** A place of your own where handlers run. Arguments are checked elsewhere. */
export interface CustomExecutor extends Pick<Executor, "slots" | "run" | "close"> {
  /** Called once, before the first batch. What it rejects with is what `open` rejects with. */
  start(): Promise<unknown>;
}

/** What an executor is made with. */
export interface ExecutorSettings extends Pick<
  WorkerExecutorOptions,
  "modules" | "maxResultBytes" | "maxLogBytes" | "log"
> {
  /** As `open` calls it. */
  readonly name: string;
  /** The arguments of a stored task, as the caller gave them. */
  readonly argumentsOf: (task: StoredTask) => readonly unknown[];
  /** The result of an attempt. @throws NotSerializableError, PayloadTooLargeError. */
  readonly encode: (result: unknown) => Payload;
  /** What an attempt threw, as it is stored. */
  readonly toTaskError: (thrown: unknown) => TaskError;
}

/**
 * Loads the module and has it make its executor, which is not started yet.
 *
 * @param url a file URL, as the caller of `open` gave it.
 * @throws ExecutorModuleError.
 */
export async function customExecutor(name: string, url: string, options: WorkerExecutorOptions): Promise<Executor> {
  const file = fileURLToPath(url);
  const { modules, maxResultBytes, maxLogBytes, log } = options;
  const settings: ExecutorSettings = {
    name,
    modules,
    maxResultBytes,
    maxLogBytes,
    log,
    argumentsOf: ({ args }) => decode(args) as readonly unknown[],
    encode: (result) => encode(result, "result", { maxBytes: maxResultBytes }),
    toTaskError,
  };
  let made: unknown;
  try {
    const { default: factory } = await importModule(url);
    if (typeof factory !== "function") {
      throw new ExecutorModuleError(name, file, "exports no function by default. Export one that makes an executor.");
    }
    made = await (factory as ExecutorFactory)(settings);
  } catch (cause) {
    if (cause instanceof ExecutorModuleError) throw cause;
    const { name: kind, message } = toTaskError(cause);
    throw new ExecutorModuleError(name, file, `it failed: ${kind}: ${message}`, { cause });
  }
  const problem = problemWith(made);
  if (problem !== undefined) throw new ExecutorModuleError(name, file, problem);
  const told = `Executor "${name}" threw, or said, what it must not.`;
  return new Guarded(made as CustomExecutor, maxResultBytes, (thrown) => log(told, toTaskError(thrown), {}));
}

function problemWith(made: unknown): string | undefined {
  if (typeof made !== "object" || made === null) return "its function gives no object.";
  const { slots } = made as Partial<CustomExecutor>;
  if (!Number.isInteger(slots) || Number(slots) < 2)
    return "its slots are not a whole number from 2 on: two for each worker.";
  const missing = (["start", "run", "close"] as const).find(
    (method) => typeof (made as Partial<CustomExecutor>)[method] !== "function",
  );
  return missing === undefined ? undefined : `it has no method ${missing}().`;
}
