import { InvalidArgumentError } from "../base/errors.ts";
import { scheduleEventTypes, taskEventTypes } from "../task/event.ts";
import { scheduleMoves, type ScheduleStatus } from "../schedule/schedule.ts";
import { taskStates } from "../task/state.ts";
import { mostProcesses, mostPromises, mostThreads } from "./open-options.ts";
import { agingStep, concurrency, priorityPolicy, rateLimit, weight } from "./limits.ts";
import {
  boolean,
  duration,
  integer,
  moment,
  name,
  oneOf,
  readGiven,
  show,
  type Given,
  type Reader,
  type Readers,
} from "./read.ts";

/*
 * Options of calls other than `open` and `enqueue`: what each accepts. They are described where the calls are.
 */

const read = <T>(reader: Reader<T>): { readonly read: Reader<T> } => ({ read: reader });

/** One word, or a list of words. */
const words =
  <const T extends string>(what: string, known: readonly T[]): Reader<readonly T[]> =>
  (value, path) =>
    (Array.isArray(value) ? (value as readonly unknown[]) : [value]).map((given) => {
      const word = known.find((one) => one === given);
      if (word !== undefined) return word;
      throw new InvalidArgumentError(path, `${show(given)} is not ${what}. Known are ${known.join(", ")}.`);
    });

const names: Reader<readonly string[]> = (value, path) => {
  if (Array.isArray(value)) return Array.from(value, (one: unknown, index) => name(one, `${path}[${index}]`));
  throw new InvalidArgumentError(path, `${show(value)} is not a list of names.`);
};

/** `null` takes a limit away. */
const orNone =
  <T>(reader: Reader<T>): Reader<T | null> =>
  (value, path) =>
    value === null ? null : reader(value, path);

const size = integer(1, Number.MAX_SAFE_INTEGER);

const signal: Reader<AbortSignal> = (value, path) => {
  if (value instanceof AbortSignal) return value;
  throw new InvalidArgumentError(path, `${show(value)} is not an AbortSignal.`);
};

const text: Reader<string> = (value, path) => {
  if (typeof value === "string" && value.length <= 1_000) return value;
  throw new InvalidArgumentError(path, `${show(value)} is not a text of at most 1,000 characters.`);
};

const key: Reader<(input: never) => string> = (value, path) => {
  if (typeof value === "function") return value as (input: never) => string;
  throw new InvalidArgumentError(path, `${show(value)} is not a function.`);
};

const args: Reader<readonly unknown[]> = (value, path) => {
  if (Array.isArray(value)) return value;
  throw new InvalidArgumentError(
    path,
    `${show(value)} is not an array. Give the arguments as a list: [first, second].`,
  );
};

const page = integer(1, 1_000);
const taskFilter = {
  state: read(words("a state", taskStates)),
  queue: read(name),
  name: read(name),
  tags: read(names),
  scheduleId: read(name),
  before: read(moment),
};

/** How many workers there are to be from now on. */
const sizes: Reader<Given<typeof sizeOptions>> = (value, path) => readGiven(sizeOptions, value, path);
const sizeOptions = {
  threads: read(integer(0, mostThreads)),
  processes: read(integer(0, mostProcesses)),
  async: read((value, path) => readGiven({ concurrency: read(integer(0, mostPromises)) }, value, path)),
};

export const callOptions = {
  filter: { ...taskFilter, limit: read(page), cursor: read(name) },
  events: {
    taskId: read(name),
    scheduleId: read(name),
    type: read(words("an event", [...taskEventTypes, ...scheduleEventTypes])),
    queue: read(name),
    since: read(moment),
    until: read(moment),
    after: read(integer(0, Number.MAX_SAFE_INTEGER)),
    limit: read(page),
  },
  schedules: {
    status: read(words("a status", Object.keys(scheduleMoves) as ScheduleStatus[])),
    task: read(name),
    tags: read(names),
    limit: read(page),
    cursor: read(name),
  },
  updateSchedule: {
    ifVersion: read(integer(1, Number.MAX_SAFE_INTEGER)),
    changelog: read(text),
    reactivate: read(boolean),
  },
  deleteSchedule: { cancelQueued: read(boolean) },
  triggerSchedule: { args: read(args), force: read(boolean) },
  scheduleHistory: { limit: read(page) },
  wait: { timeout: read(duration(0)), signal: read(signal) },
  cancel: { reason: read(text), running: read(oneOf("no", "signal", "terminate")), grace: read(duration(0)) },
  delete: { force: read(boolean) },
  configure: { executors: read(sizes) },
  drain: { timeout: read(duration(0)) },
  close: { drain: read(duration(0)) },
  dequeue: { waitMs: read(duration(0)), leaseMs: read(duration(1)), ack: read(oneOf("manual", "auto")) },
  nack: { delay: read(duration(0)) },
  limits: {
    concurrency: read(orNone(concurrency)),
    rateLimit: read(orNone(rateLimit)),
    maxSize: read(orNone(size)),
    weight: read(orNone(weight)),
    priorityPolicy: read(priorityPolicy),
    agingStep: read(agingStep),
  },
  map: {
    concurrency: read(integer(1, Number.MAX_SAFE_INTEGER)),
    ordered: read(boolean),
    key: read(key),
    onError: read(oneOf("throw", "yield")),
  },
} satisfies Readonly<Record<string, Readers>>;

type CallOptions = typeof callOptions;

/**
 * Checks the options of a call; none were given where `value` is `undefined`.
 *
 * @throws InvalidArgumentError, UnknownOptionError, naming the place.
 */
export const readCall = <C extends keyof CallOptions>(
  call: C,
  value: unknown,
  path = "options",
): Given<CallOptions[C]> => (value === undefined ? {} : readGiven(callOptions[call], value, path));
