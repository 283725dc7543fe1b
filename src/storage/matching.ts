import type { StoredSchedule } from "../schedule/schedule.ts";
import type { StoredEvent } from "../task/event.ts";
import type { StoredTask } from "../task/task.ts";
import type { ScheduleQuery } from "./schedule-storage.ts";
import type { EventQuery, TaskQuery } from "./storage.ts";

/** Whether a task is asked for, wherever the page starts. */
export const isTaskMatch = (
  { request, life }: Omit<StoredTask, "id" | "args">,
  { states, queue, name, tags = [], scheduleId, before }: TaskQuery,
): boolean =>
  (states === undefined || states.includes(life.state)) &&
  (queue === undefined || request.queue === queue) &&
  (name === undefined || request.name === name) &&
  (scheduleId === undefined || request.schedule?.id === scheduleId) &&
  (before === undefined || (life.finishedAt ?? request.createdAt) < before) &&
  tags.every((tag) => request.tags.includes(tag));

/** Whether a schedule is asked for, wherever the page starts. */
export const isScheduleMatch = (
  { id, definition, state }: Omit<StoredSchedule, "results">,
  { ids, name, statuses, task, tags = [], event }: ScheduleQuery,
): boolean =>
  (ids === undefined || ids.includes(id)) &&
  (name === undefined || definition.name === name) &&
  (statuses === undefined || statuses.includes(state.status)) &&
  (task === undefined || definition.request.name === task) &&
  (event === undefined || (state.status === "active" && eventOf(definition) === event)) &&
  tags.every((tag) => definition.tags.includes(tag));

/** The event that it fires on. */
export const eventOf = ({ trigger }: StoredSchedule["definition"]): string | undefined =>
  trigger.type === "onEvent" ? trigger.event : undefined;

/** Whether an event is asked for, whatever its sequence. */
export const isEventMatch = (
  event: StoredEvent,
  { taskId, scheduleId, types, queue, since, until }: EventQuery,
): boolean =>
  (taskId === undefined || event.taskId === taskId) &&
  (scheduleId === undefined || event.scheduleId === scheduleId) &&
  (types === undefined || types.includes(event.type)) &&
  (queue === undefined || event.queue === queue) &&
  (since === undefined || event.at >= since) &&
  (until === undefined || event.at < until);
