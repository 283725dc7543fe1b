import { systemClock } from "../base/clock.ts";
import { InvalidInputError, UnknownTaskError } from "../base/errors.ts";
import { newId } from "../base/id.ts";
import { nearest } from "../base/names.ts";
import { prepareTaskDefaults, resolveTaskOptions, type ResolvedOptions } from "../config/resolve.ts";
import type { ChildCall, Executor } from "../executor/executor.ts";
import { newestVersions, versioned } from "../executor/versions.ts";
import type { ChildTask } from "../supervisor/protocol.ts";
import { handlerKey } from "../task/task.ts";
import type { Registry } from "./registry.ts";

/** What child tasks are made with. */
export interface ChildTaskParts {
  readonly registry: Registry;
  readonly options: Pick<ResolvedOptions, "queues" | "executors">;
  /** Checks arguments against schemas. */
  readonly executor: Pick<Executor, "validate">;
}

/**
 * Makes tasks of what running attempts ask for.
 *
 * @throws UnknownTaskError, InvalidArgumentError, UnknownOptionError, InvalidInputError, as the client's `enqueue`.
 */
export const childTasks =
  ({ registry, options, executor }: ChildTaskParts) =>
  async ({ id: parent, attempt, name, version, args, options: given }: ChildCall): Promise<ChildTask> => {
    const { catalogue } = registry;
    const entry =
      version === undefined
        ? newestVersions(catalogue).find((one) => one.name === name)
        : catalogue.find((one) => one.name === name && versioned(one).version === version);
    if (entry === undefined) throw new UnknownTaskError(name, nearest(name, new Set(catalogue.map((one) => one.name))));
    const defaults = prepareTaskDefaults(name, entry.options, options);
    const {
      id = newId(),
      request,
      onConflict,
      onFull = "error",
    } = resolveTaskOptions(given, defaults, systemClock.now());
    const checked = entry.hasInput ? await executor.validate(handlerKey(request), [args]) : [args];
    const [accepted] = checked;
    if (accepted === undefined) throw new InvalidInputError(name, [{ path: "", message: "the check gave nothing" }]);
    return {
      parent: { id: parent, attempt },
      task: { id, request, args: accepted, ...(onConflict === undefined ? {} : { onConflict }) },
      onFull,
    };
  };
