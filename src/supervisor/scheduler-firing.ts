import type { Self } from "../actor/actor.ts";
import type { EpochMs } from "../base/clock.ts";
import { ClosedError, ScheduleEndedError, StoreFailedError, StoreFullError } from "../base/errors.ts";
import { eventTaskId, planEvent, planFiring, planSkipping, slotTaskId, type Plan } from "../schedule/firing.ts";
import { dueAt, type StoredSchedule } from "../schedule/schedule.ts";
import type { Firing } from "../storage/schedule-storage.ts";
import type { NewTask } from "../storage/storage.ts";
import { withEvent } from "../task/codec.ts";
import type { ScheduleOrigin, TaskId } from "../task/task.ts";
import { toTaskError } from "../task/task-error.ts";
import type { SchedulerMessage } from "./protocol.ts";
import { findAll, lookAhead, scheduleOf, sleep, type Inbox, type SchedulerState } from "./scheduler-state.ts";

/** How many schedules fire in one transaction: so that tasks are not kept waiting for long. */
const firingStep = 500;
/** How long to wait for space on the disk, and for a schedule that could not be fired. */
const spaceRetryMs = 1_000;
const errorRetryMs = 60_000;

/** Fires what is due, and sleeps until there is more. */
export async function wake(state: SchedulerState, _message: Inbox, self: Self<Inbox>): Promise<void> {
  if (state.course.mode !== "running") return;
  const now = self.clock.now();
  // The clock may have been put back; otherwise this was a look at it, and no more.
  if (state.dueAt !== undefined && state.dueAt > now) return sleep(state, self);
  try {
    const due = await state.storage.dueSchedules(now, firingStep);
    await fireAll(state, self, due, (schedule) => planFiring(schedule, now, state.settings.missed));
    if (due.length === firingStep) self.tell({ type: "wake" });
    else {
      reportRecovery(state);
      await lookAhead(state, self);
    }
  } catch (error) {
    if (!(error instanceof StoreFullError)) throw error;
    state.dueAt = now + spaceRetryMs;
    sleep(state, self);
  }
}

/** Everything that was planned up to now does not fire. */
export async function skipAll(state: SchedulerState, self: Self<Inbox>): Promise<void> {
  for (let found = firingStep; found === firingStep;) {
    const now = self.clock.now();
    const due = await state.storage.dueSchedules(now, firingStep);
    await fireAll(state, self, due, (schedule) => planSkipping(schedule, now));
    found = due.length;
  }
}

function reportRecovery(state: SchedulerState): void {
  const { recovery } = state;
  state.recovery = undefined;
  if (recovery === undefined || recovery.schedules === 0) return;
  const { startedAt: _, ...report } = recovery;
  state.onRecovered(report);
}

/** A firing, with the schedule that it is about. */
interface Fired {
  readonly schedule: StoredSchedule;
  readonly firing: Firing;
}

async function fireAll(
  state: SchedulerState,
  self: Self<Inbox>,
  schedules: readonly StoredSchedule[],
  planFor: (schedule: StoredSchedule) => Plan,
): Promise<void> {
  const now = self.clock.now();
  const fired: Fired[] = [];
  for (const schedule of schedules) {
    try {
      const plan = planFor(schedule);
      const tasks = plan.slots.map((slot) => taskFor(state, schedule, slotTaskId(schedule.id, slot), now, { slot }));
      fired.push({ schedule, firing: { id: schedule.id, version: schedule.version, plan, tasks } });
      addToRecovery(state, schedule, plan);
    } catch (error) {
      await failed(state, self, schedule, error);
    }
  }
  await carryOut(state, self, fired);
}

function addToRecovery(state: SchedulerState, schedule: StoredSchedule, { slots, missed, skipped }: Plan): void {
  const { recovery } = state;
  if (recovery === undefined || (dueAt(schedule) ?? 0) > recovery.startedAt) return;
  state.recovery = {
    ...recovery,
    schedules: recovery.schedules + 1,
    fired: recovery.fired + slots.length,
    missed: recovery.missed + missed,
    skipped: recovery.skipped + skipped,
  };
}

/** What of a task is not as its schedule says. */
interface Occasion {
  readonly slot: EpochMs;
  readonly event?: string;
  readonly args?: NewTask["args"];
}

function taskFor(
  state: SchedulerState,
  { id, definition }: StoredSchedule,
  taskId: TaskId,
  now: EpochMs,
  { slot, event, args = definition.args }: Occasion,
): NewTask {
  const { name, tags, metadata, pinsVersion = false } = definition;
  const { ttlMs, version: stored, ...request } = definition.request;
  const version = pinsVersion ? stored : (state.versionOf(request.name) ?? stored);
  const schedule: ScheduleOrigin = { id, name, slot, ...(event === undefined ? {} : { event }) };
  return {
    id: taskId,
    args,
    request: {
      ...request,
      ...(version === undefined ? {} : { version }),
      createdAt: now,
      ...(ttlMs === undefined ? {} : { expiresAt: now + ttlMs }),
      schedule,
      tags,
      metadata: { ...metadata, scheduleId: id, scheduledFor: new Date(slot).toISOString() },
    },
  };
}

/**
 * Stores the tasks of firings, and what follows for their schedules, in one transaction; where that is refused, one by one,
 * so that a schedule which cannot be fired does not keep others from it. Gives the tasks that were stored.
 *
 * @throws what the storage throws when it is full or has failed.
 */
async function carryOut(state: SchedulerState, self: Self<Inbox>, fired: readonly Fired[]): Promise<TaskId[]> {
  if (fired.length === 0) return [];
  const now = self.clock.now();
  const firings = fired.map(({ firing }) => firing);
  try {
    const [answers] = await state.storage.commit([{ type: "fire", now, firings, isCounted: state.settings.metrics }]);
    const stored = answers.map((ids) => ids ?? []);
    const tasks = firings.flatMap(({ tasks: made }, index) =>
      made.filter(({ id }) => stored[index]?.includes(id) === true),
    );
    if (tasks.length > 0) state.queue().tell({ type: "tasksStored", tasks });
    return stored.flat().filter((id) => id !== undefined);
  } catch (error) {
    const [first, ...others] = fired;
    if (first === undefined || isAboutStorage(error)) throw error;
    if (others.length === 0) {
      await failed(state, self, first.schedule, error);
      return [];
    }
    const ids: TaskId[] = [];
    for (const one of fired) ids.push(...(await carryOut(state, self, [one])));
    return ids;
  }
}

const isAboutStorage = (error: unknown): boolean =>
  error instanceof StoreFullError || error instanceof StoreFailedError || error instanceof ClosedError;

/** A schedule that cannot be fired is told of, and put off. */
async function failed(
  state: SchedulerState,
  self: Self<Inbox>,
  schedule: StoredSchedule,
  error: unknown,
): Promise<void> {
  const { results: _, ...stored } = schedule;
  const now = self.clock.now();
  const retryAt = now + errorRetryMs;
  state.onError(schedule.id, error);
  await state.storage.commit([
    {
      type: "putSchedule",
      schedule: { ...stored, state: { ...stored.state, retryAt } },
      ifVersion: stored.version,
      event: "schedule.error",
      now,
      error: toTaskError(error),
    },
  ]);
}

// ------------------------------------------------------------------------------------------------------ by a call

export async function triggerSchedule(
  state: SchedulerState,
  { id, taskId, args, force }: Extract<SchedulerMessage, { type: "triggerSchedule" }>,
  self: Self<Inbox>,
): Promise<TaskId | undefined> {
  const schedule = await scheduleOf(state, id);
  const { status } = schedule.state;
  if (status === "cancelled" || status === "expired") throw new ScheduleEndedError(id, status);
  const now = self.clock.now();
  const task = taskFor(state, schedule, taskId, now, { slot: now, ...(args === undefined ? {} : { args }) });
  const firing = { id, version: schedule.version, tasks: [task], ...(force ? { force } : {}) };
  const [[stored]] = await state.storage.commit([
    { type: "fire", now, firings: [firing], isCounted: state.settings.metrics },
  ]);
  const [storedId] = stored ?? [];
  if (storedId !== undefined) state.queue().tell({ type: "tasksStored", tasks: [task] });
  return storedId;
}

/** Fires all schedules that want this event now. One that cannot be fired keeps no other from it. */
export async function emit(
  state: SchedulerState,
  { event, payload, emission }: Extract<SchedulerMessage, { type: "emit" }>,
  self: Self<Inbox>,
): Promise<readonly TaskId[]> {
  if (state.course.mode !== "running") return [];
  const now = self.clock.now();
  const ids: TaskId[] = [];
  const schedules = await findAll(state.storage, { event, statuses: ["active"] });
  for (let from = 0; from < schedules.length; from += firingStep) {
    const fired: Fired[] = [];
    for (const schedule of schedules.slice(from, from + firingStep)) {
      const { id, version, definition } = schedule;
      const plan = planEvent(schedule, now);
      if (plan === undefined) continue;
      const args = withEvent(definition.args, payload);
      const task = taskFor(state, schedule, eventTaskId(id, emission, now), now, { slot: now, event, args });
      fired.push({ schedule, firing: { id, version, plan, tasks: [task] } });
    }
    ids.push(...(await carryOut(state, self, fired)));
  }
  await lookAhead(state, self);
  return ids;
}
