import type { EpochMs } from "../../src/base/clock.ts";
import { newId } from "../../src/base/id.ts";
import type { ScheduleDraft } from "../../src/schedule/draft.ts";
import type { Plan } from "../../src/schedule/firing.ts";
import { afterFiring } from "../../src/schedule/firing.ts";
import {
  newState,
  noResults,
  type ScheduleDefinition,
  type ScheduleResults,
  type ScheduleState,
  type StoredSchedule,
} from "../../src/schedule/schedule.ts";
import { every } from "../../src/schedule/every.ts";
import { firstSlot } from "../../src/schedule/slots.ts";
import { encode } from "../../src/task/codec.ts";
import { defaultBackoff } from "../../src/task/retry.ts";

export const second = 1_000;
export const minute = 60 * second;
export const hour = 60 * minute;

/** 1 June 2026, midnight in UTC. */
export const june = Date.UTC(2026, 5, 1);

export const someArgs = (...args: unknown[]): Uint8Array => encode(args, "args", { maxBytes: 100_000 });

/** What is asked for when nothing is said: every minute, tasks that may overlap. */
export const aDefinition = (given: Partial<ScheduleDefinition> = {}): ScheduleDefinition => ({
  name: "schedule",
  trigger: every("1m"),
  request: { name: "greet", queue: "default", priority: 0, maxRetries: 0, backoff: defaultBackoff },
  args: someArgs("Ada"),
  overlap: "allow",
  timezone: "UTC",
  tags: [],
  metadata: {},
  ...given,
});

let made = 0;

export const aDraft = ({
  request,
  ttlMs,
  mustBeAhead,
  isUpsert,
  isNameFree,
  id = newId(),
  ...given
}: Partial<Omit<ScheduleDefinition, "request">> &
  Partial<Omit<ScheduleDraft, "definition">> & {
    readonly request?: Partial<ScheduleDefinition["request"]>;
  } = {}): ScheduleDraft => {
  const definition = aDefinition({ name: `schedule-${(made += 1)}`, ...given });
  return {
    id,
    definition: { ...definition, request: { ...definition.request, ...request } },
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(mustBeAhead === undefined ? {} : { mustBeAhead }),
    ...(isUpsert === undefined ? {} : { isUpsert }),
    ...(isNameFree === undefined ? {} : { isNameFree }),
  };
};

/** A schedule as it is after its creation, but for what is given. */
export function aSchedule({
  createdAt = june,
  state,
  results,
  ...definition
}: Partial<ScheduleDefinition> & {
  readonly createdAt?: EpochMs;
  readonly state?: Partial<ScheduleState>;
  readonly results?: Partial<ScheduleResults>;
} = {}): StoredSchedule {
  const asked = aDefinition(definition);
  const { trigger, startAt, endAt, timezone } = asked;
  return {
    id: "01900000-0000-7000-8000-000000000000",
    version: 1,
    createdAt,
    updatedAt: createdAt,
    definition: asked,
    state: { ...newState(firstSlot(trigger, { createdAt, startAt, endAt, timezone })), ...state },
    results: { ...noResults, ...results },
  };
}

/** The schedule when its plan was carried out at `now`, and all tasks were stored, or those that are said to be. */
export const fired = (
  schedule: StoredSchedule,
  plan: Plan,
  now: EpochMs,
  isStored: (index: number) => boolean = () => true,
): StoredSchedule => ({
  ...schedule,
  state: afterFiring(
    schedule,
    plan,
    plan.slots.map((slot, index) => (isStored(index) ? `task-${slot}` : undefined)),
    now,
  ),
});
