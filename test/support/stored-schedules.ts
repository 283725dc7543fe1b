import { defaultBackoff } from "../../src/task/retry.ts";
import {
  newState,
  type ScheduleDefinition,
  type ScheduleState,
  type StoredSchedule,
} from "../../src/schedule/schedule.ts";
import type { Firing } from "../../src/storage/schedule-storage.ts";
import type { NewTask } from "../../src/storage/storage.ts";
import type { Plan } from "../../src/schedule/firing.ts";
import { aTask, birth, someBytes } from "./tasks.ts";

/** A schedule as it is stored first: every 100 ms, unless something else is given. */
export function aSchedule(
  given: Partial<ScheduleDefinition> & {
    readonly id?: string;
    readonly version?: number;
    readonly updatedAt?: number;
    readonly state?: Partial<ScheduleState>;
  } = {},
): Omit<StoredSchedule, "results"> {
  const { id = "schedule", version = 1, updatedAt = birth, state, ...definition } = given;
  return {
    id,
    version,
    createdAt: birth,
    updatedAt,
    definition: {
      name: `name of ${id}`,
      trigger: { type: "every", interval: 100 },
      request: { name: "greet", queue: "default", priority: 0, maxRetries: 0, backoff: defaultBackoff },
      args: someBytes(1),
      overlap: "allow",
      timezone: "UTC",
      tags: [],
      metadata: {},
      ...definition,
    },
    state: { ...newState(birth + 100), ...state },
  };
}

/** A task of a schedule. */
export const aScheduledTask = (scheduleId: string, given: Parameters<typeof aTask>[0] = {}): NewTask =>
  aTask({ ...given, schedule: { id: scheduleId, name: `name of ${scheduleId}`, slot: birth } });

/** A plan to fire these slots, with the next one 100 ms later. */
export const aPlan = (slots: readonly number[], given: Partial<Plan> = {}): Plan => ({
  slots,
  missed: 0,
  skipped: 0,
  nextSlot: (slots.at(-1) ?? birth) + 100,
  status: "active",
  ...given,
});

/** A firing of a schedule as its plan says, with tasks of these ids. */
export const aFiring = (
  id: string,
  plan: Plan | undefined,
  taskIds: readonly string[],
  given: Partial<Firing> = {},
): Firing => ({
  id,
  version: 1,
  ...(plan === undefined ? {} : { plan }),
  tasks: taskIds.map((taskId) => aScheduledTask(id, { id: taskId })),
  ...given,
});
