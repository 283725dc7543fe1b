import { InvalidArgumentError } from "../base/errors.ts";
import type { MissedPolicy } from "../schedule/missed.ts";
import type { MissedOptions, ScheduleOptions, ScheduleTemplate } from "../schedule/schedule-options.ts";
import { readTrigger, type Trigger } from "../schedule/trigger.ts";
import { readTimezone } from "../schedule/zone.ts";
import { asObject, boolean, duration, integer, moment, name, oneOf, readGiven, show } from "./read.ts";
import type { Options, Reader, Table } from "./read.ts";
import { commonOptions } from "./task-options.ts";

/** What becomes of slots that passed while nothing could run. */
export const missedOptions = {
  handling: {
    type: '"coalesce" | "trigger" | "skip"',
    default: "coalesce",
    description: "Which of them run: the last one; the last `max`, oldest first; or none.",
    read: oneOf("coalesce", "trigger", "skip"),
  },
  threshold: {
    type: "Duration",
    unit: "ms",
    default: "5m",
    description: "From how much lateness on a slot counts as missed. A single one within it always runs.",
    read: duration(0),
  },
  max: {
    type: "number",
    default: 10,
    description: "The most that `trigger` runs at a time, 1 to 1,000.",
    read: integer(1, 1_000),
  },
} satisfies Table<MissedOptions>;

export const missed: Reader<Partial<MissedPolicy>> = (value, path) => readGiven(missedOptions, value, path);

export const timezone: Reader<string> = (value, path) => readTimezone(value, path).timezone ?? "UTC";

/** A trigger; text is a cron expression. */
export const trigger: Reader<Trigger> = (value, path) => {
  if (value === undefined) throw new InvalidArgumentError(path, "is missing. Give cron(), every(), at() …");
  return typeof value === "string" ? readTrigger({ type: "cron", expression: value }, path) : readTrigger(value, path);
};

const args: Reader<readonly unknown[]> = (value, path) => {
  if (Array.isArray(value)) return value;
  throw new InvalidArgumentError(path, "is not an array. Give the arguments as a list: [first, second].");
};

const unique: Reader<boolean | "skip" | "coalesce"> = (value, path) => {
  if (typeof value === "boolean" || value === "skip" || value === "coalesce") return value;
  throw new InvalidArgumentError(path, `${show(value)} is not accepted: give true, false, "skip" or "coalesce".`);
};

const asTemplate: Reader<ScheduleTemplate> = (value, path) => asObject(value, path);

function without<O extends object, K extends keyof O>(options: O, ...names: readonly K[]): Omit<O, K> {
  return Object.fromEntries(Object.entries(options).filter(([key]) => !names.includes(key as K))) as Omit<O, K>;
}

/** Options of its tasks. */
export const tasksOptions = without(commonOptions, "delay", "ttl", "onConflict", "onFull");

/** Options that only schedules have. */
export const ownOptions = {
  name: {
    type: "string",
    defaultText: "the task's, with something random",
    description: "Unique in the store: 1 to 200 bytes.",
    read: name,
  },
  args: { type: "unknown[]", default: [], description: "Arguments of its tasks.", read: args },
  startAt: {
    type: "Date | number",
    unit: "ms since 1970",
    defaultText: "the creation",
    description: "No slot before. An `every` without an anchor has its first slot then.",
    read: moment,
  },
  endAt: {
    type: "Date | number",
    unit: "ms since 1970",
    defaultText: "never",
    description: "No slot after; then it is `completed`.",
    read: moment,
  },
  maxRuns: {
    type: "number",
    defaultText: "no limit",
    description: "How often it fires until it is `completed`. Firing by hand does not count.",
    read: integer(1, Number.MAX_SAFE_INTEGER),
  },
  ttl: {
    type: "Duration",
    unit: "ms",
    defaultText: "never",
    description: "How long after its creation it is `expired`. More than 0.",
    read: duration(1),
  },
  taskTtl: {
    type: "Duration",
    unit: "ms",
    defaultText: "the task's `ttl`",
    description: "A task of it expires when it has not started this long after it was stored. More than 0.",
    read: duration(1),
  },
  unique: {
    type: 'boolean | "skip" | "coalesce"',
    defaultText: "`false`; `true` for declared ones",
    description:
      "Whether it stores no task while one of it has not ended. `true` and `skip` leave the slot out; `coalesce` makes up for all that were left out with one, right after the end.",
    read: unique,
  },
  missed: {
    type: "MissedOptions",
    defaultText: "as the scheduler's",
    description: "What becomes of slots that passed while nothing could run.",
    read: missed,
    fields: missedOptions,
  },
  timezone: {
    type: "string",
    defaultText: "the scheduler's",
    description: "IANA name of the zone of a trigger that names none.",
    read: timezone,
  },
  template: {
    type: "ScheduleTemplate",
    description: "Options to start from, as `template()` gives them: tags are added, metadata is merged.",
    read: asTemplate,
  },
  upsert: {
    type: "boolean",
    default: false,
    description:
      "Whether a schedule of this name is changed to this one, where there is one. One that was cancelled or has expired stays so.",
    read: boolean,
  },
  ifPast: {
    type: '"run" | "error"',
    default: "run",
    description: "What to do with an `at` whose moment is past: fire at once, or refuse it.",
    read: oneOf("run", "error"),
  },
} satisfies Options;

/** Options of a schedule. */
export const scheduleOptions = { ...ownOptions, ...tasksOptions } satisfies Table<ScheduleOptions>;

/** Reads what is not `null`, which takes it away. */
const orNone =
  <T>(read: Reader<T>): Reader<T | null> =>
  (value, path) =>
    value === null ? null : read(value, path);

const updatable = without(scheduleOptions, "template", "upsert", "ifPast");

/** What `update` may change. */
export const updateOptions = {
  ...updatable,
  trigger: { type: "Trigger | string", description: "A trigger, or a cron expression.", read: trigger },
  startAt: { ...updatable.startAt, read: orNone(updatable.startAt.read) },
  endAt: { ...updatable.endAt, read: orNone(updatable.endAt.read) },
  maxRuns: { ...updatable.maxRuns, read: orNone(updatable.maxRuns.read) },
  ttl: { ...updatable.ttl, read: orNone(updatable.ttl.read) },
  taskTtl: { ...updatable.taskTtl, read: orNone(updatable.taskTtl.read) },
  missed: { ...updatable.missed, read: orNone(updatable.missed.read) },
  timeout: { ...updatable.timeout, read: orNone(updatable.timeout.read) },
  stallTimeout: { ...updatable.stallTimeout, read: orNone(updatable.stallTimeout.read) },
} satisfies Options;
