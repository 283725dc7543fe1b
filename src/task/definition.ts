import { types } from "node:util";
import type { Bytes } from "../base/bytes.ts";
import type { Duration } from "../base/duration.ts";
import { InvalidArgumentError } from "../base/errors.ts";
import { checkName } from "../base/names.ts";
import { schedulesOf, type DeclaredSchedule } from "./declared.ts";
import type { StandardSchemaV1 } from "./standard-schema.ts";
import type { Metadata, TaskId } from "./task.ts";

/** A function that does the work of a task; it may be synchronous. */
export type Handler = (...args: never[]) => unknown;

/** Marks functions that are tasks. One symbol for all installed copies of this package. */
export const taskBrand: unique symbol = Symbol.for("omniq.task");

/** What `defineTask` keeps with a handler. */
export interface Definition<N extends string = string> {
  readonly name: N;
  readonly options: DefineOptions;
}

/** A handler that is a task; it can still be called as the function it is. */
export type TaskDefinition<N extends string = string, F extends Handler = Handler> = F & {
  readonly [taskBrand]: Definition<N>;
};

/**
 * The tasks of a module (`typeof tasks`) by name: definitions by the name they were given, other functions by the
 * name of their export, static methods as `"Class.method"`.
 */
export type TasksOf<M> = {
  [
    K in keyof M as M[K] extends { readonly [taskBrand]: Definition<infer N> }
      ? N
      : M[K] extends Handler
        ? Exclude<K & string, "default">
        : never
  ]: M[K];
} & {
  [K in MethodName<M>]: K extends `${infer C extends keyof M & string}.${infer S}`
    ? S extends keyof M[C]
      ? M[C][S]
      : never
    : never;
};

type MethodName<M> = {
  [C in keyof M & string]: M[C] extends abstract new (...args: never[]) => unknown
    ? { [S in keyof M[C] & string]: M[C][S] extends Handler ? `${C}.${S}` : never }[keyof M[C] & string]
    : never;
}[keyof M & string];

/** The handler that `X` stands for: the task of `T` with this name, or the definition itself. */
export type HandlerOf<T, X> = X extends keyof T ? T[X] : X;

/** The arguments of a handler. */
export type Args<F> = F extends (...args: infer A) => unknown ? Readonly<A> : never;

/** What a handler returns, awaited. */
// oxlint-disable-next-line typescript/no-explicit-any -- without a task module nothing is known of its handlers.
export type Result<F> = 0 extends 1 & F ? any : F extends (...args: never[]) => infer R ? Awaited<R> : never;

/** Higher first, -1000 to 1000; the names are 100, 10, 0 and -10. */
export type Priority = number | "critical" | "high" | "normal" | "low";

/** The delays before retries. What is left out is as in the default: 1 s, doubled, at most 1 min, ±25 %. */
export interface BackoffOptions {
  /** Default `"exponential"`. */
  readonly type?: "fixed" | "exponential" | undefined;
  /** The first delay. */
  readonly delay?: Duration | undefined;
  /** What each further delay is multiplied by. */
  readonly factor?: number | undefined;
  /** The longest delay. */
  readonly max?: Duration | undefined;
  /** The share by which delays vary at random, 0 to 1. */
  readonly jitter?: number | undefined;
}

/** Options that a definition may give for all its tasks, and an enqueue for one of them. */
export interface CommonOptions {
  /** Default `"default"`. */
  readonly queue?: string | undefined;
  /** Default 0. */
  readonly priority?: Priority | undefined;
  /** Not to be started before this has passed. */
  readonly delay?: Duration | undefined;
  /** The task expires when it has not started this long after it was enqueued. Default: never. */
  readonly ttl?: Duration | undefined;
  /** The longest that one attempt may take. Default: no limit. */
  readonly timeout?: Duration | undefined;
  /**
   * The longest that one attempt may be silent: without `heartbeat`, `progress` or `log`. At least 200 ms. Default: no
   * limit.
   */
  readonly stallTimeout?: Duration | undefined;
  /**
   * The most memory that the child process of an attempt may hold: bytes, or text such as `"512mb"`. At least 64 MB. Goes
   * with executor `"process"` alone. Default: no limit.
   */
  readonly memory?: Bytes | undefined;
  /** How often an attempt that fails or times out is repeated. Default 0. */
  readonly maxRetries?: number | undefined;
  /** A fixed delay before each retry. Excludes `backoff`. */
  readonly retryDelay?: Duration | undefined;
  readonly backoff?: BackoffOptions | undefined;
  /** How often an attempt may be interrupted by no fault of its own before the task fails. Default: no limit. */
  readonly maxInterruptions?: number | undefined;
  /** How long the result is kept after the end of the task. Default: as `retention` says. */
  readonly resultTtl?: Duration | undefined;
  /** What to do when an unfinished task of the queue has the same `dedupeKey`. Default `"error"`. */
  readonly onConflict?: "error" | "skip" | "return" | "replace" | undefined;
  /** What to do when the queue holds `maxSize` tasks. Default `"error"`. */
  readonly onFull?: "error" | "wait" | undefined;
  /** Names to find the task by. */
  readonly tags?: readonly string[] | undefined;
  /** Plain JSON data kept with the task. */
  readonly metadata?: Metadata | undefined;
  /** Where the handler runs. Default: the `executor` that the runtime was opened with. */
  readonly executor?: ExecutorName | undefined;
  /**
   * Tasks of a queue with the same key run one after the other, in the order they were enqueued in: none starts before
   * the one before it is completed, failed for good, cancelled, expired or deleted.
   */
  readonly orderingKey?: string | undefined;
  /** What `concurrency.perKey` of the queue and of the task counts by. */
  readonly concurrencyKey?: string | undefined;
}

/**
 * Worker threads, child processes, promises on the event loop of one thread, or a custom executor by the name that
 * `open` gave it.
 */
export type ExecutorName = "thread" | "process" | "async" | (string & {});

/** How many run at the same time. */
export interface ConcurrencyOptions {
  /** Default: no limit. */
  readonly max?: number | undefined;
  /** Of those with one `concurrencyKey`. Default: no limit. */
  readonly perKey?: number | undefined;
}

/** How many may start: `max` at once, and `max` more in every `per`, evenly. */
export interface RateLimitOptions {
  /** 1 to 1,000,000. */
  readonly max: number;
  /** At most 30 days. */
  readonly per: Duration;
  /** Each `concurrencyKey` has its own; tasks without one are not limited. Default: false. */
  readonly perKey?: boolean | undefined;
}

/** When tasks stay in their queues because others of their name failed. */
export interface BreakerOptions {
  /** Failed attempts in a row that open it. Default 5. */
  readonly threshold?: number | undefined;
  /** How long it stays open. Default `"60s"`. */
  readonly cooldown?: Duration | undefined;
  /** How many may run at a time after that, and how many have to succeed in a row to close it. Default 3. */
  readonly probes?: number | undefined;
}

/** Options of a definition, for a handler that takes `A`. */
export interface DefineOptions<A extends readonly unknown[] = readonly unknown[]> extends CommonOptions {
  /** Whether to retry after this error, while retries are left. Default: always. */
  readonly retryIf?: ((error: unknown) => boolean) | undefined;
  /**
   * Of the handler. Modules may define several versions of a name: a task is run by the version that it was stored for,
   * and parked while that is not defined. New tasks are for the highest, in which numbers count as such (1.10 is above 1.9);
   * enqueueing a definition is for its own.
   */
  readonly version?: string | undefined;
  /** The most tasks of this name, over all queues, that run at the same time. */
  readonly concurrency?: number | ConcurrencyOptions | undefined;
  /** A circuit breaker: while it is open, tasks of this name stay in their queues. Default: none. */
  readonly breaker?: BreakerOptions | undefined;
  /** How many tasks of this name, over all queues, may start. */
  readonly rateLimit?: RateLimitOptions | undefined;
  /** A schema of the list of arguments, checked when a task is enqueued. The handler gets what it gives. */
  readonly input?: StandardSchemaV1<unknown, A> | undefined;
}

/** Options of one enqueue. They win over those of the definition. */
export interface TaskOptions extends CommonOptions {
  /** Your own id, unique in the store. Default: a UUIDv7. */
  readonly id?: TaskId | undefined;
  /** Not to be started before: a Date, or milliseconds since 1970. Excludes `delay` and `schedule`. */
  readonly runAt?: Date | number | undefined;
  /** `at(date)`: the same as `runAt`. All other triggers make a schedule. */
  readonly schedule?: { readonly type: "at"; readonly at: number } | undefined;
  /** At most one unfinished task of a queue has this key; see `onConflict`. */
  readonly dedupeKey?: string | undefined;
  /** When the call is acknowledged. Default: as the runtime was opened. */
  readonly durability?: "sync" | "relaxed" | undefined;
}

/**
 * Makes `handler` a task: gives the same function, marked with its name and the defaults of its options. It must be
 * exported by a module listed in `tasks`.
 *
 * @throws InvalidArgumentError when the name is not one (1 to 200 bytes, no control characters), or the handler is
 *   not a function, is a class or generator, or is a task already. Options are checked when the module is loaded.
 */
export function defineTask<const N extends string, F extends Handler>(name: N, handler: F): TaskDefinition<N, F>;
export function defineTask<const N extends string, F extends Handler>(
  name: N,
  options: DefineOptions<Parameters<F>>,
  handler: F,
): TaskDefinition<N, F>;
export function defineTask(name: string, ...rest: [unknown] | [unknown, unknown]): unknown {
  const [options, handler] = rest.length === 1 ? [{}, rest[0]] : rest;
  return brand(name, options, handler);
}

type TaskDecorator = (
  target: unknown,
  member: ClassMethodDecoratorContext | string | symbol,
  descriptor?: PropertyDescriptor,
) => void;

/**
 * Makes a static method a task, called `"Class.method"` when no name is given. Put it above other decorators of the
 * method. Works as a standard decorator, and in the older form of `experimentalDecorators`.
 *
 * @throws InvalidArgumentError as `defineTask`, and on anything but a static method.
 */
export function task(name?: string, options?: DefineOptions): TaskDecorator;
export function task(options: DefineOptions): TaskDecorator;
export function task(first?: string | DefineOptions, second: DefineOptions = {}): TaskDecorator {
  const [name, options] = typeof first === "object" ? [undefined, first] : [first, second];
  return (target, member, descriptor) => {
    if (typeof member !== "object") {
      if (typeof target !== "function") throw notStatic(member);
      // jiti gives the class in place of the descriptor, unless reflect-metadata is loaded.
      const method: unknown = descriptor === target ? Reflect.get(target, member) : descriptor?.value;
      brand(name ?? `${target.name}.${String(member)}`, options, method);
    } else {
      if (member.kind !== "method" || !member.static) throw notStatic(member.name);
      member.addInitializer(function (this: unknown) {
        const owner = this as { readonly name: string; readonly [method: string | symbol]: unknown };
        brand(name ?? `${owner.name}.${String(member.name)}`, options, owner[member.name]);
      });
    }
  };
}

const notStatic = (member: string | symbol): InvalidArgumentError =>
  new InvalidArgumentError("@task", `${String(member)} is not a static method. Tasks have no object to be called on.`);

function brand(name: unknown, options: unknown, handler: unknown): unknown {
  const checked = checkName("defineTask(name)", name);
  const path = `defineTask(${JSON.stringify(checked)})`;
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new InvalidArgumentError(
      path,
      "the options are not an object. Give options and a handler, or the handler alone.",
    );
  }
  if (!isHandler(handler)) {
    throw new InvalidArgumentError(path, "the handler is not a function; classes and generators cannot be tasks.");
  }
  const known = definitionOf(handler);
  if (known !== undefined) {
    throw new InvalidArgumentError(path, `this function is the task "${known.name}" already. Wrap it in another.`);
  }
  if (!Object.isExtensible(handler)) throw new InvalidArgumentError(path, "the handler is frozen. Wrap it in another.");
  return Object.defineProperty(handler, taskBrand, { value: Object.freeze({ name: checked, options }) });
}

/** A function that can be called for its result: no class, no generator. */
function isHandler(value: unknown): value is (...args: unknown[]) => unknown {
  return typeof value === "function" && !isClass(value) && !types.isGeneratorFunction(value);
}

/** Of functions, only classes and built-in constructors have a `prototype` that cannot be replaced. */
const isClass = (value: object): boolean => Object.getOwnPropertyDescriptor(value, "prototype")?.writable === false;

/** What `defineTask` or `@task` keeps with a handler; `undefined` for any other value. */
export function definitionOf(value: unknown): Definition | undefined {
  return typeof value === "function" && Object.hasOwn(value, taskBrand)
    ? (value as TaskDefinition)[taskBrand]
    : undefined;
}

/** A task that a module exports. */
export interface ModuleTask extends Definition {
  readonly handler: (...args: unknown[]) => unknown;
  /** Declared of it; left out where there are none. */
  readonly schedules?: readonly DeclaredSchedule[];
}

/**
 * The tasks among the exports of a module, each once, in the order of the exports: definitions, other functions under
 * the name of their export, and static methods marked with `@task`, which keep their class as `this`.
 *
 * @throws InvalidArgumentError when the name of an export is not a name.
 */
export function tasksIn(moduleExports: object): ModuleTask[] {
  const tasks = new Map<Definition, ModuleTask>();
  for (const [exported, value] of Object.entries(moduleExports)) {
    if (isHandler(value)) {
      const definition = definitionOf(value) ?? namedAfter(exported);
      if (definition !== undefined) tasks.set(definition, moduleTask(definition, value));
    } else if (typeof value === "function" && isClass(value)) {
      for (const { value: method } of Object.values(Object.getOwnPropertyDescriptors(value))) {
        const definition = definitionOf(method);
        if (definition !== undefined) tasks.set(definition, moduleTask(definition, method.bind(value)));
      }
    }
  }
  return [...tasks.values()];
}

function moduleTask(definition: Definition, handler: ModuleTask["handler"]): ModuleTask {
  const schedules = schedulesOf(definition);
  return { ...definition, handler, ...(schedules.length === 0 ? {} : { schedules }) };
}

/** The names that Node gives to exports that have none. */
const namelessExports: ReadonlySet<string> = new Set(["default", "module.exports"]);

const namedAfter = (exported: string): Definition | undefined =>
  namelessExports.has(exported)
    ? undefined
    : { name: checkName("the name of an exported function", exported), options: {} };
