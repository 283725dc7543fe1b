import { InvalidArgumentError } from "../base/errors.ts";
import { isInTask, type TaskContext } from "./context.ts";

/**
 * What is done around every handler. Each part may give a promise; what it throws is the failure of the task. A sync
 * handler stays sync where all parts are.
 */
export interface Middleware {
  /** Before the handler. A list that it gives takes the place of the arguments. */
  readonly before?: ((task: TaskContext, args: readonly unknown[]) => unknown) | undefined;
  /** When there is a result. What it gives takes the place of the result, unless that is `undefined`. */
  readonly after?: ((task: TaskContext, result: unknown) => unknown) | undefined;
  /** When the handler, or what lies between, has thrown. What it gives is thrown instead, unless that is `undefined`. */
  readonly error?: ((task: TaskContext, error: unknown) => unknown) | undefined;
}

const parts: ReadonlySet<string> = new Set(["before", "after", "error"]);

/**
 * Puts a layer around the handlers of all task modules of the runtime. Called at the top of a task module, or of what
 * it imports. The first one is the outermost: its `before` comes first, its `after` or `error` last.
 *
 * @throws InvalidArgumentError for what is no middleware, and inside of a handler.
 */
export function use(middleware: Middleware): void {
  if (isInTask()) throw new InvalidArgumentError("use()", "is called by task modules when they are loaded.");
  if (typeof middleware !== "object" || middleware === null) {
    throw new InvalidArgumentError(
      "use(middleware)",
      "is not an object. Give { before, after, error }, or some of them.",
    );
  }
  for (const [part, value] of Object.entries(middleware)) {
    if (!parts.has(part)) {
      throw new InvalidArgumentError(`use(middleware).${part}`, `is none of ${[...parts].join(", ")}.`);
    }
    if (value !== undefined && typeof value !== "function") {
      throw new InvalidArgumentError(`use(middleware).${part}`, "is not a function.");
    }
  }
  layers.push(middleware);
}

/** The layers that were put on in this thread, outermost first. */
export const layersInUse = (): readonly Middleware[] => layers;

/** Calls a handler inside of layers. Gives a promise only when the handler or one of them does. */
export function callThrough(
  layers: readonly Middleware[],
  task: TaskContext,
  args: readonly unknown[],
  handler: (...args: unknown[]) => unknown,
): unknown {
  // Most tasks have no layers, and some take no longer than a list of those that are left.
  if (layers.length === 0) return handler(...args);
  const [layer = {}, ...inner] = layers;
  const replaced = (value: unknown): unknown => {
    if (value !== undefined && !Array.isArray(value)) {
      throw new TypeError("The `before` of a middleware gave something that is no list of arguments.");
    }
    return callThrough(inner, task, value ?? args, handler);
  };
  // What `before` itself throws is for the layers outside of this one.
  return chain(layer.before?.(task, args), (given) =>
    attempt(
      () => replaced(given),
      (result) => chain(layer.after?.(task, result), (other) => (other === undefined ? result : other)),
      (error) =>
        chain(layer.error?.(task, error), (other) => {
          throw other === undefined ? error : other;
        }),
    ),
  );
}

/** `then`, without a promise where there is none. */
const chain = (value: unknown, next: (value: unknown) => unknown): unknown =>
  isThenable(value) ? (async () => next(await value))() : next(value);

/** `try`, which waits for a promise where there is one. */
function attempt(run: () => unknown, done: (result: unknown) => unknown, failed: (error: unknown) => unknown): unknown {
  let result: unknown;
  try {
    result = run();
  } catch (error) {
    return failed(error);
  }
  return isThenable(result) ? settle(result, done, failed) : done(result);
}

async function settle(
  promise: unknown,
  done: (result: unknown) => unknown,
  failed: (error: unknown) => unknown,
): Promise<unknown> {
  let result: unknown;
  try {
    result = await promise;
  } catch (error) {
    return failed(error);
  }
  return done(result);
}

/** What `await` would wait for. */
export const isThenable = (value: unknown): boolean =>
  ((typeof value === "object" && value !== null) || typeof value === "function") &&
  typeof (value as { then?: unknown }).then === "function";

// On globalThis, so that a task module which finds another installed copy of this package is heard all the same.
const key = Symbol.for("omniq.middleware");
const shared = globalThis as { [key]?: Middleware[] };
const layers = (shared[key] ??= []);
