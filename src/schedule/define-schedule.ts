import { InvalidArgumentError } from "../base/errors.ts";
import { declareSchedule } from "../task/declared.ts";
import {
  defineTask,
  definitionOf,
  taskBrand,
  type DefineOptions,
  type Handler,
  type TaskDefinition,
} from "../task/definition.ts";
import type { ScheduleOptions } from "./schedule-options.ts";
import { readTrigger, type Trigger } from "./trigger.ts";

/** Options of a declared schedule, and of the task that is defined with it; `ttl` is the schedule's, `taskTtl` its tasks'. */
export type DeclareOptions<A extends readonly unknown[] = readonly unknown[]> = Omit<
  ScheduleOptions<A>,
  "upsert" | "ifPast"
> &
  Pick<DefineOptions<A>, "retryIf" | "version" | "concurrency" | "rateLimit" | "input">;

/** What is kept with the schedule; the rest is the task's. */
const ownOptions: ReadonlySet<string> = new Set<keyof DeclareOptions>([
  "name",
  "args",
  "startAt",
  "endAt",
  "maxRuns",
  "ttl",
  "taskTtl",
  "unique",
  "missed",
  "timezone",
  "template",
  "tags",
  "metadata",
]);

/**
 * Defines a task, and declares a schedule of it: `defineSchedule("cleanUp", "0 3 * * *", handler)`. The function that it
 * gives must be exported by a module listed in `tasks`. Given a task of this name, as `defineTask` or an earlier call made
 * it, declares one more schedule of that task.
 *
 * At open, what is declared is stored, or changed if it differs; the task and the trigger say which one it is, so it goes on
 * over restarts. One that a call has paused or cancelled stays so. With another trigger, it is the same schedule in a new
 * version, whose slots count from then. What the modules declare no more is deleted, unless they do not define its task
 * either: then it goes on, its tasks wait for a handler, and `declared` of its record is `false`.
 *
 * The name is that of the task, with something random where that is taken, unless `name` is given. `unique` is `true` unless
 * it is given.
 *
 * @param trigger a trigger, or a cron expression. Each only once for a task, or `open` fails with TaskModuleError.
 * @throws what `defineTask` and the functions that make triggers throw. Options are checked when the module is loaded.
 */
export function defineSchedule<const N extends string, F extends Handler>(
  name: N,
  trigger: Trigger | string,
  handler: F,
  options: DeclareOptions<Parameters<F>> = {},
): TaskDefinition<N, F> {
  const path = `defineSchedule(${JSON.stringify(name)})`;
  const given = typeof trigger === "string" ? { type: "cron", expression: trigger } : trigger;
  const checked = readTrigger(given, path);
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new InvalidArgumentError(path, "the options are not an object. Give name, trigger, handler and options.");
  }
  const known = definitionOf(handler);
  if (known !== undefined && known.name !== name) {
    throw new InvalidArgumentError(path, `this function is the task "${known.name}". Give that name, or wrap it.`);
  }
  const all = Object.entries(options);
  const isOwn = ([key]: readonly [string, unknown]): boolean => known !== undefined || ownOptions.has(key);
  const ofTask = Object.fromEntries(all.filter((entry) => !isOwn(entry)));
  const task = (
    known === undefined ? defineTask(name, ofTask as DefineOptions<Parameters<F>>, handler) : handler
  ) as TaskDefinition<N, F>;
  declareSchedule(task[taskBrand], { trigger: checked, options: Object.fromEntries(all.filter(isOwn)) });
  return task;
}
