import type { Self } from "../actor/actor.ts";
import type { EpochMs } from "../base/clock.ts";
import { DuplicateNameError, NoSlotError, VersionConflictError } from "../base/errors.ts";
import { cancelledState, changed, createdState, pausedState, resumedState } from "../schedule/changing.ts";
import { isSame } from "../schedule/canonical.ts";
import { definitionOf, withChanges, type ScheduleDraft } from "../schedule/draft.ts";
import type { ScheduleDefinition, ScheduleState, StoredSchedule } from "../schedule/schedule.ts";
import type { PutSchedule } from "../storage/schedule-storage.ts";
import type { Storage } from "../storage/storage.ts";
import type { ScheduleEventType } from "../task/event.ts";
import { waitingStates } from "../task/state.ts";
import type { ScheduleKey, SchedulerMessage } from "./protocol.ts";
import { find, findAll, scheduleOf, type Inbox, type SchedulerState } from "./scheduler-state.ts";

/** More schedules than this are stored in parts. */
const largestTransaction = 5_000;
const part = 1_000;
/** Whoever deletes a schedule waits for its tasks to be cancelled. */
const cancelWithinMs = 60_000;
const cancelStep = 500;

type Message<Type extends SchedulerMessage["type"]> = Extract<SchedulerMessage, { type: Type }>;

/** Stores new schedules, and changes those that are there where that was asked for. Everything is checked first. */
export async function putSchedules(
  { storage }: SchedulerState,
  { drafts }: Message<"putSchedules">,
  self: Self<Inbox>,
): Promise<readonly ScheduleKey[]> {
  const now = self.clock.now();
  const names = new Set<string>();
  const isLarge = drafts.length > largestTransaction;
  const keys: ScheduleKey[] = [];
  const changes: PutSchedule[] = [];
  for (const draft of drafts) {
    const { name } = draft.definition;
    if (names.has(name)) throw new DuplicateNameError(name);
    names.add(name);
    // Where all are stored together, the storage notices a name that is taken.
    const existing = draft.isUpsert === true || isLarge ? await find(storage, { name }) : undefined;
    if (existing !== undefined && draft.isUpsert !== true) throw new DuplicateNameError(name);
    const change = existing === undefined ? created(draft, now) : upserted(existing, draft, now);
    if (change !== undefined) changes.push(change);
    keys.push({ id: existing?.id ?? draft.id, name });
  }
  for (let from = 0; from < changes.length; from += isLarge ? part : changes.length) {
    await storage.commit(isLarge ? changes.slice(from, from + part) : changes);
  }
  return keys;
}

/**
 * The schedules that the task modules declare, told apart by their task and trigger. One whose trigger was changed there
 * takes the place of one that is declared no more; what is left of these is deleted.
 */
export async function declareSchedules(
  { storage }: SchedulerState,
  { drafts, tasks }: Message<"declareSchedules">,
  self: Self<Inbox>,
): Promise<void> {
  const now = self.clock.now();
  const names = new Set(tasks);
  const stored = (await findAll(storage, {})).filter(({ definition: { declared, request } }) => {
    return declared !== undefined && names.has(request.name);
  });
  const wanted = new Set(drafts.map(({ definition }) => definition.declared));
  const replaced = stored.filter(({ definition, state: { status } }) => {
    return !wanted.has(definition.declared) && status !== "cancelled" && status !== "expired";
  });
  for (const draft of drafts) {
    const { declared, request, name } = draft.definition;
    const isOfTask = ({ definition }: StoredSchedule): boolean => definition.request.name === request.name;
    const same = stored.find(({ definition }) => definition.declared === declared);
    const place = same === undefined ? replaced.findIndex(isOfTask) : -1;
    const existing = place === -1 ? same : replaced.splice(place, 1)[0];
    const change =
      existing === undefined
        ? created(withName(draft, await freeName(storage, draft)), now)
        : upserted(existing, withName(draft, draft.isNameFree === true ? existing.definition.name : name), now);
    if (change !== undefined) await storage.commit([change]);
  }
  const ids = replaced.map(({ id }) => id);
  if (ids.length > 0) await storage.commit([{ type: "deleteSchedules", ids, now }]);
}

const withName = (draft: ScheduleDraft, name: string): ScheduleDraft => ({
  ...draft,
  definition: { ...draft.definition, name },
});

async function freeName(storage: Storage, { id, definition: { name }, isNameFree }: ScheduleDraft): Promise<string> {
  if (isNameFree !== true || (await find(storage, { name })) === undefined) return name;
  return `${Array.from(name).slice(0, 40).join("")}-${id.slice(-12)}`;
}

function created(draft: ScheduleDraft, now: EpochMs): PutSchedule {
  const definition = definitionOf(draft, now);
  const { trigger } = definition;
  if (draft.mustBeAhead === true && trigger.type === "at" && trigger.at < now) {
    throw new NoSlotError("trigger.at", "its moment is past.");
  }
  const state = createdState(definition, now);
  return {
    type: "putSchedule",
    schedule: { id: draft.id, version: 1, createdAt: now, updatedAt: now, definition, state },
    ifVersion: 0,
    event: "schedule.created",
  };
}

/** Nothing where nothing differs, or where it is over for good. */
function upserted(existing: StoredSchedule, draft: ScheduleDraft, now: EpochMs): PutSchedule | undefined {
  const { createdAt, definition: before, state } = existing;
  if (state.status === "cancelled" || state.status === "expired") return undefined;
  const { triggerSince } = before;
  const definition = {
    ...definitionOf(draft, createdAt),
    ...(triggerSince === undefined ? {} : { triggerSince }),
  };
  if (isEqual(before, definition)) return undefined;
  return updated(existing, changed(existing, definition, now, true));
}

function isEqual({ args: before, ...one }: ScheduleDefinition, { args: after, ...other }: ScheduleDefinition): boolean {
  return Buffer.compare(before, after) === 0 && isSame(one, other);
}

const updated = (before: StoredSchedule, after: StoredSchedule, changelog?: string): PutSchedule => ({
  ...put(after, before.version, "schedule.updated"),
  change: {
    version: after.version,
    at: after.updatedAt,
    ...(changelog === undefined ? {} : { changelog }),
    before: before.definition,
    after: after.definition,
  },
});

function put(after: StoredSchedule, ifVersion: number, event: ScheduleEventType): PutSchedule {
  const { results: _, ...schedule } = after;
  return { type: "putSchedule", schedule, ifVersion, event };
}

/** Changes what is given, and makes a new version. */
export async function updateSchedule(
  state: SchedulerState,
  { id, changes, ifVersion, changelog, reactivate }: Message<"updateSchedule">,
  self: Self<Inbox>,
): Promise<StoredSchedule> {
  const before = await scheduleOf(state, id);
  if (ifVersion !== undefined && ifVersion !== before.version) {
    throw new VersionConflictError(id, ifVersion, before.version);
  }
  const now = self.clock.now();
  const after = changed(before, withChanges(before.definition, changes, now), now, reactivate);
  if (reactivate && before.state.status === "completed" && after.state.status === "completed") {
    throw new NoSlotError("patch", "no slot is left, or maxRuns is reached. Give another trigger, endAt or maxRuns.");
  }
  await state.storage.commit([updated(before, after, changelog)]);
  return after;
}

export const pauseSchedule = (
  state: SchedulerState,
  { id }: Message<"pauseSchedule">,
  self: Self<Inbox>,
): Promise<boolean> => move(state, id, "schedule.paused", self.clock.now(), pausedState);

export const resumeSchedule = (
  state: SchedulerState,
  { id }: Message<"resumeSchedule">,
  self: Self<Inbox>,
): Promise<boolean> => move(state, id, "schedule.resumed", self.clock.now(), resumedState);

export const cancelSchedule = (
  state: SchedulerState,
  { id }: Message<"cancelSchedule">,
  self: Self<Inbox>,
): Promise<boolean> => move(state, id, "schedule.cancelled", self.clock.now(), cancelledState);

async function move(
  { storage }: SchedulerState,
  id: string,
  event: ScheduleEventType,
  now: EpochMs,
  next: (schedule: StoredSchedule, now: EpochMs) => ScheduleState | undefined,
): Promise<boolean> {
  const schedule = await find(storage, { ids: [id] });
  const state = schedule && next(schedule, now);
  if (schedule === undefined || state === undefined) return false;
  await storage.commit([{ ...put({ ...schedule, state }, schedule.version, event), now }]);
  return true;
}

export async function deleteSchedule(
  state: SchedulerState,
  { id, cancelQueued }: Message<"deleteSchedule">,
  self: Self<Inbox>,
): Promise<boolean> {
  const { storage } = state;
  if ((await find(storage, { ids: [id] })) === undefined) return false;
  if (cancelQueued) await cancelTasksOf(state, id);
  const [[wasThere]] = await storage.commit([{ type: "deleteSchedules", ids: [id], now: self.clock.now() }]);
  return wasThere === true;
}

async function cancelTasksOf({ storage, queue }: SchedulerState, scheduleId: string): Promise<void> {
  for (let cursor: string | undefined, isMore = true; isMore; isMore = cursor !== undefined) {
    const page = await storage.list({
      scheduleId,
      states: waitingStates,
      limit: cancelStep,
      ...(cursor === undefined ? {} : { cursor }),
    });
    const ids = page.tasks.map(({ id }) => id);
    const reason = "its schedule was deleted";
    if (ids.length > 0) {
      await queue().ask<readonly boolean[]>(
        (reply) => ({ type: "cancel", ids, reason, running: "no", graceMs: 0, reply }),
        cancelWithinMs,
      );
    }
    cursor = page.cursor;
  }
}
