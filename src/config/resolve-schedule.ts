import { InvalidArgumentError } from "../base/errors.ts";
import { newId } from "../base/id.ts";
import type { ScheduleChanges, ScheduleDraft } from "../schedule/draft.ts";
import type { Overlap, ScheduledRequest } from "../schedule/schedule.ts";
import { fromTemplate } from "../schedule/template.ts";
import { encode } from "../task/codec.ts";
import type { Payload } from "../task/task.ts";
import { asObject, readGiven, type Given } from "./read.ts";
import { resolveTaskOptions, type ResolvedOptions, type TaskDefaults } from "./resolve.ts";
import {
  type ownOptions,
  scheduleOptions,
  tasksOptions,
  trigger as readTrigger,
  updateOptions,
} from "./schedule-options.ts";

/** What schedules are resolved with, besides their task. */
export type ScheduleSettings = Pick<ResolvedOptions, "scheduler" | "maxPayloadBytes">;

/**
 * The schedule that a call, or a declaration, asks for. What it says stands over what its template says, that over what the
 * definition of the task says, and that over what the scheduler says.
 *
 * @param defaults of the task; its tasks are for that very version where it `isPinned`.
 * @throws InvalidArgumentError, UnknownOptionError, InvalidCronError, NoSlotError, naming the place. NotSerializableError,
 *   PayloadTooLargeError for the arguments.
 */
export function resolveSchedule(
  given: {
    readonly trigger: unknown;
    readonly options: unknown;
    /** Where the options and the trigger were given, for messages. */
    readonly path?: string;
    readonly triggerPath?: string;
    readonly isPinned?: boolean;
    /** Where nothing is said. */
    readonly unique?: boolean;
  },
  defaults: TaskDefaults,
  { scheduler, maxPayloadBytes }: ScheduleSettings,
): ScheduleDraft {
  const { path = "options", triggerPath = "trigger" } = given;
  const raw = withTemplate(given.options === undefined ? {} : asObject(given.options, path), path);
  const { trigger: ofTemplate, ...all } = raw;
  const options = readGiven(scheduleOptions, all, path);
  const trigger = readTrigger(given.trigger ?? ofTemplate, triggerPath);
  const overlap = overlapOf(options.unique ?? given.unique ?? false);
  const { tags, metadata, ...request } = requestOf(all, options, defaults, scheduler.queue, path);
  const { name = madeUp(defaults.name), args = [], startAt, endAt, maxRuns, missed } = options;
  return {
    id: newId(),
    definition: {
      name,
      trigger,
      request,
      ...(given.isPinned === true ? { pinsVersion: true } : {}),
      args: encodeArgs(args, `${path}.args`, maxPayloadBytes),
      overlap,
      timezone: options.timezone ?? scheduler.timezone,
      tags,
      metadata,
      ...(startAt === undefined ? {} : { startAt }),
      ...(endAt === undefined ? {} : { endAt }),
      ...(maxRuns === undefined ? {} : { maxRuns }),
      ...(missed === undefined ? {} : { missed }),
    },
    ...(options.ttl === undefined ? {} : { ttlMs: options.ttl }),
    ...(options.ifPast === "error" ? { mustBeAhead: true } : {}),
    ...(options.upsert === true ? { isUpsert: true } : {}),
  };
}

/** Arguments as they are stored, in memory of their own. */
export const encodeArgs = (args: unknown, path: string, maxBytes: number): Payload => {
  if (!Array.isArray(args)) {
    throw new InvalidArgumentError(path, "is not an array. Give the arguments as a list: [first, second].");
  }
  return encode(args, path, { maxBytes });
};

/**
 * What an update asks for.
 *
 * @throws InvalidArgumentError, UnknownOptionError …, as `resolveSchedule`.
 */
export function resolveUpdate(
  patch: unknown,
  defaults: TaskDefaults,
  { maxPayloadBytes }: ScheduleSettings,
): ScheduleChanges {
  const given = readGiven(updateOptions, patch, "patch");
  const all = asObject(patch, "patch");
  const { taskTtl, ttl, unique, args, trigger, name, startAt, endAt, maxRuns, missed, timezone, tags, metadata } =
    given;
  const plain = Object.entries(all).filter(([key, value]) => value !== null && Object.hasOwn(tasksOptions, key));
  const { request } = resolveTaskOptions(Object.fromEntries(plain), defaults, 0, "patch");
  const changes: { -readonly [K in keyof ScheduledRequest]?: unknown } = {};
  for (const [option, field] of Object.entries(requestFields)) {
    const value = all[option];
    if (value !== undefined) changes[field] = value === null ? null : request[field];
  }
  if (taskTtl !== undefined) changes.ttlMs = taskTtl;
  const definition = {
    name,
    trigger,
    startAt,
    endAt,
    maxRuns,
    missed,
    timezone,
    tags,
    metadata,
    args: args === undefined ? undefined : encodeArgs(args, "patch.args", maxPayloadBytes),
    overlap: unique === undefined ? undefined : overlapOf(unique),
  };
  return {
    definition: definedOf(definition),
    request: changes as ScheduleChanges["request"],
    ...(ttl === undefined ? {} : { ttlMs: ttl }),
  };
}

const definedOf = <T extends object>(object: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as never;

/** The field of a request that each option of tasks decides about. */
const requestFields: Readonly<
  Record<Exclude<keyof typeof tasksOptions, "tags" | "metadata">, Exclude<keyof ScheduledRequest, "ttlMs">>
> = {
  queue: "queue",
  priority: "priority",
  timeout: "timeoutMs",
  stallTimeout: "stallTimeoutMs",
  maxRetries: "maxRetries",
  retryDelay: "backoff",
  backoff: "backoff",
  maxInterruptions: "maxInterruptions",
  resultTtl: "resultTtlMs",
  executor: "executor",
  orderingKey: "orderingKey",
  concurrencyKey: "concurrencyKey",
  memory: "memoryBytes",
};

function withTemplate(options: Readonly<Record<string, unknown>>, path: string): Readonly<Record<string, unknown>> {
  const { template, ...own } = options;
  if (template === undefined) return own;
  const { retryDelay, backoff, ...base } = asObject(template, `${path}.template`);
  // Two ways to say one thing, of which only one may be given.
  const isDelayGiven = own["retryDelay"] !== undefined || own["backoff"] !== undefined;
  return fromTemplate<Record<string, unknown>>(isDelayGiven ? base : { ...base, retryDelay, backoff }, own);
}

function requestOf(
  all: Readonly<Record<string, unknown>>,
  { taskTtl }: Given<typeof ownOptions>,
  defaults: TaskDefaults,
  queue: string | undefined,
  path: string,
): ScheduledRequest & Pick<ReturnType<typeof resolveTaskOptions>["request"], "tags" | "metadata"> {
  const isQueueOpen = all["queue"] === undefined && defaults.definition.queue === undefined;
  const options = {
    ...Object.fromEntries(Object.entries(all).filter(([key]) => Object.hasOwn(tasksOptions, key))),
    ...(isQueueOpen && queue !== undefined ? { queue } : {}),
    ...(taskTtl === undefined ? {} : { ttl: taskTtl }),
  };
  const { createdAt, runAt: _, expiresAt, ...request } = resolveTaskOptions(options, defaults, 0, path).request;
  return expiresAt === undefined ? request : { ...request, ttlMs: expiresAt - createdAt };
}

const overlapOf = (unique: boolean | "skip" | "coalesce"): Overlap =>
  unique === "coalesce" ? "coalesce" : unique === false ? "allow" : "skip";

/** A name that nobody else has: the task's, as far as there is room, and the random end of an id. */
const madeUp = (task: string): string => `${Array.from(task).slice(0, 40).join("")}-${newId().slice(-12)}`;
