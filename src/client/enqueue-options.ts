import type { ScheduleOptions } from "../schedule/schedule-options.ts";
import type { Trigger } from "../schedule/trigger.ts";
import type { TaskOptions } from "../task/definition.ts";

/** Options of tasks that a schedule is to store again and again; `ttl` is that of each task. */
export type RecurringOptions = Omit<
  TaskOptions,
  "id" | "delay" | "runAt" | "schedule" | "dedupeKey" | "onConflict" | "onFull" | "durability"
> &
  Pick<ScheduleOptions, "name"> & { readonly schedule: Exclude<Trigger, { readonly type: "at" }> | string };

/** Whether they ask for a schedule. */
export const isRecurring = (options: unknown): options is { readonly schedule: object | string } => {
  const schedule =
    typeof options === "object" && options !== null && "schedule" in options ? options.schedule : undefined;
  if (typeof schedule === "string") return true;
  return typeof schedule === "object" && schedule !== null && "type" in schedule && schedule.type !== "at";
};

/** The options, with what is done about a conflict kept apart: it decides what is given back. */
export type EnqueueOptions<C> = Omit<TaskOptions, "onConflict"> & { readonly onConflict?: C | undefined };

/** With `onConflict: "skip"`, there may be no task. */
export type Enqueued<C, H> = "skip" extends C ? H | undefined : H;
