import type { EpochMs } from "../base/clock.ts";
import { InvalidArgumentError } from "../base/errors.ts";
import { nearest } from "../base/names.ts";
import { nextAt, readAt, type AtTrigger } from "./at.ts";
import { nextCron, readCron, type CronTrigger } from "./cron.ts";
import { nextDaily, readDaily, type DailyTrigger } from "./daily.ts";
import { nextEvery, readEvery, type Course, type EveryTrigger } from "./every.ts";
import { show } from "./given.ts";
import { nextMonthly, readMonthly, type MonthlyTrigger } from "./monthly.ts";
import { readOnEvent, type EventTrigger } from "./on-event.ts";
import { nextWeekly, readWeekly, type WeeklyTrigger } from "./weekly.ts";

/** A rule that says when: plain data, which is stored, sent and written in files as it is. */
export type Trigger =
  | AtTrigger
  | CronTrigger
  | DailyTrigger
  | EventTrigger
  | EveryTrigger
  | MonthlyTrigger
  | WeeklyTrigger;

/** What is outside of a trigger and decides about its slots. */
export interface SlotContext extends Course {
  /** The zone of triggers that name none. Default: `"UTC"`. */
  readonly timezone?: string | undefined;
}

const readers: { readonly [Type in Trigger["type"]]: (value: unknown, path: string) => Trigger & { type: Type } } = {
  at: readAt,
  cron: readCron,
  daily: readDaily,
  every: readEvery,
  monthly: readMonthly,
  onEvent: readOnEvent,
  weekly: readWeekly,
};

/**
 * `value`, from a file or a command line, as a trigger. Reading a trigger gives an equal one.
 *
 * @param path where it was given, for messages.
 * @throws what the function of its type throws, with the path of the field.
 */
export function readTrigger(value: unknown, path = "trigger"): Trigger {
  const type = typeof value === "object" && value !== null && "type" in value ? value.type : undefined;
  if (typeof type === "string" && Object.hasOwn(readers, type)) return readers[type as Trigger["type"]](value, path);
  if (typeof value !== "object" || value === null) {
    throw new InvalidArgumentError(path, `${show(value)} is not a trigger. Give what cron(), every(), daily() … gave.`);
  }
  const known = Object.keys(readers);
  const meant = typeof type === "string" ? nearest(type.slice(0, 20), known) : undefined;
  const advice = meant === undefined ? `Known are ${known.join(", ")}.` : `Did you mean "${meant}"?`;
  throw new InvalidArgumentError(`${path}.type`, `${show(type)} is not a type of trigger. ${advice}`);
}

/**
 * The first slot strictly after `after`; `undefined` when there is none any more. An event has none, and an `every` after
 * a fixed delay has none while its last run goes on.
 */
export function nextSlot(trigger: Trigger, after: EpochMs, context: SlotContext): EpochMs | undefined {
  if (trigger.type === "at") return nextAt(trigger, after);
  if (trigger.type === "onEvent") return undefined;
  if (trigger.type === "every") return nextEvery(trigger, after, context);
  const timezone = trigger.timezone ?? context.timezone ?? "UTC";
  // Many schedules have one trigger, and are due together.
  return remembered(`${after} ${timezone} ${JSON.stringify(trigger)}`, () => nextShown(trigger, timezone, after));
}

type ClockTrigger = CronTrigger | DailyTrigger | MonthlyTrigger | WeeklyTrigger;

function nextShown(trigger: ClockTrigger, timezone: string, after: EpochMs): EpochMs | undefined {
  switch (trigger.type) {
    case "cron":
      return nextCron(trigger, timezone, after);
    case "daily":
      return nextDaily(trigger, timezone, after);
    case "weekly":
      return nextWeekly(trigger, timezone, after);
    case "monthly":
      return nextMonthly(trigger, timezone, after);
  }
}

const rememberedSlots = 1_000;
const known = new Map<string, EpochMs | undefined>();

function remembered(key: string, compute: () => EpochMs | undefined): EpochMs | undefined {
  if (known.has(key)) return known.get(key);
  const slot = compute();
  if (known.size >= rememberedSlots) known.clear();
  known.set(key, slot);
  return slot;
}
