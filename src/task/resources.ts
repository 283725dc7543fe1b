import { InvalidArgumentError } from "../base/errors.ts";
import { isInTask } from "./context.ts";

/** What every worker has once, for all its tasks. */
export interface ResourcesDefinition {
  readonly setup: () => unknown;
  readonly teardown: ((resources: never) => unknown) | undefined;
}

/**
 * Gives every worker something that its tasks share, such as a connection: the properties of what `setup` gives are
 * those of `currentTask().resources`. Called at the top of a task module, or of what it imports. Several are set up in
 * order; of properties with one name, the last wins.
 *
 * @param setup runs once in each worker, before its first task; it may give a promise. When it throws, that task fails
 *   with ResourceSetupError, and the worker is replaced.
 * @param teardown runs when an idle worker is replaced or the runtime is closed, for at most 5 s. A worker that dies,
 *   or is ended because a task on it does not stop, runs none.
 * @throws InvalidArgumentError for what is no function, and inside of a handler.
 */
export function defineResources<R extends object>(
  setup: () => R | Promise<R>,
  teardown?: (resources: R) => unknown,
): void {
  if (isInTask())
    throw new InvalidArgumentError("defineResources()", "is called by task modules when they are loaded.");
  if (typeof setup !== "function") throw new InvalidArgumentError("defineResources(setup)", "is not a function.");
  if (teardown !== undefined && typeof teardown !== "function") {
    throw new InvalidArgumentError("defineResources(setup, teardown)", "teardown is not a function.");
  }
  definitions.push({ setup, teardown });
}

/** What was defined in this thread, in order. */
export const definedResources = (): readonly ResourcesDefinition[] => definitions;

// On globalThis, so that a task module which finds another installed copy of this package is heard all the same.
const key = Symbol.for("omniq.resources");
const shared = globalThis as { [key]?: ResourcesDefinition[] };
const definitions = (shared[key] ??= []);
