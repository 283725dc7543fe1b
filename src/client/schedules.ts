import { systemClock } from "../base/clock.ts";
import { InvalidArgumentError, UnknownScheduleError } from "../base/errors.ts";
import { newId } from "../base/id.ts";
import { checkName } from "../base/names.ts";
import type { SupervisorCalls } from "../bridge/contract.ts";
import { readCall } from "../config/call-options.ts";
import { asObject } from "../config/read.ts";
import type { TaskDefaults } from "../config/resolve.ts";
import { encodeArgs, resolveSchedule, resolveUpdate, type ScheduleSettings } from "../config/resolve-schedule.ts";
import type { ScheduleDraft } from "../schedule/draft.ts";
import type { ScheduleUpdate } from "../schedule/schedule-options.ts";
import type { ScheduleId, ScheduleStatus as StatusName, StoredSchedule } from "../schedule/schedule.ts";
import { upcoming } from "../schedule/upcoming.ts";
import { encode } from "../task/codec.ts";
import type { TaskId } from "../task/task.ts";
import type { TaskHandle } from "./handle.ts";
import {
  historyEntryOf,
  scheduleRecordOf,
  scheduleStatusOf,
  type ScheduleHistoryEntry,
  type ScheduleRecord,
  type ScheduleStatus,
} from "./schedule-record.ts";

/** A stored schedule. */
export interface ScheduleHandle {
  readonly id: ScheduleId;
  readonly name: string;
}

/** Which schedules are meant. Filters are joined by "and". */
export interface ScheduleFilter {
  /** One status, or any of several. */
  readonly status?: StatusName | readonly StatusName[] | undefined;
  /** Of this task. */
  readonly task?: string | undefined;
  /** All of them. */
  readonly tags?: readonly string[] | undefined;
  /** Schedules of a page, 1 to 1,000. Default 100. */
  readonly limit?: number | undefined;
  /** Where the page starts: `cursor` of the page before. */
  readonly cursor?: string | undefined;
}

export interface UpdateScheduleOptions {
  /** Rejects with VersionConflictError when the schedule has another version. */
  readonly ifVersion?: number | undefined;
  /** Kept in the history. At most 1,000 characters. */
  readonly changelog?: string | undefined;
  /** Brings a schedule back that is completed, where a slot is left. Default `false`. */
  readonly reactivate?: boolean | undefined;
}

/** What schedules need of the runtime. */
export interface ScheduleSource {
  readonly calls: SupervisorCalls;
  readonly settings: ScheduleSettings;
  defaultsOf(task: unknown): TaskDefaults;
  /** Of a name, defined or not. */
  defaultsFor(name: string): TaskDefaults;
  /** Whether a task module declares the schedule with this key. */
  isDeclared(key: string): boolean;
  isRegistered(name: string, version: string | undefined): boolean;
  handle(id: TaskId): TaskHandle;
}

/**
 * Schedules by their ids. `pause`, `resume`, `cancel` and `delete` give `false` for an id that is not known; what else
 * concerns one schedule rejects with UnknownScheduleError, but for `get` and `byName`, which give `undefined`.
 */
export class Schedules {
  readonly #source: ScheduleSource;

  /** @internal */
  constructor(source: ScheduleSource) {
    this.#source = source;
  }

  async get(id: ScheduleId): Promise<ScheduleRecord | undefined> {
    return this.#recordOf(await this.#find({ ids: [checkName("id", id)] }));
  }

  async byName(name: string): Promise<ScheduleRecord | undefined> {
    return this.#recordOf(await this.#find({ name: checkName("name", name) }));
  }

  /** A page of schedules, in the order they were made in. @throws InvalidArgumentError, UnknownOptionError. */
  async list(
    filter?: ScheduleFilter,
  ): Promise<{ readonly schedules: readonly ScheduleRecord[]; readonly cursor?: string }> {
    const { status: statuses, limit = 100, ...rest } = readCall("schedules", filter, "filter");
    const query = { ...rest, limit, ...(statuses === undefined ? {} : { statuses }) };
    const { schedules, cursor } = await this.#source.calls.schedules(query);
    const records = schedules.map((schedule) => scheduleRecordOf(schedule, this.#isDeclared));
    return { schedules: records, ...(cursor === undefined ? {} : { cursor }) };
  }

  /**
   * Changes what is given, and makes a new version. With another trigger or zone, slots count from now; the counters stay,
   * and so does the next slot where neither these nor `startAt` and `endAt` are given.
   *
   * @throws UnknownScheduleError, VersionConflictError, ScheduleEndedError for one that was cancelled or has expired,
   *   DuplicateNameError, NoSlotError and what `schedule` throws for options: nothing was changed.
   */
  async update(id: ScheduleId, patch: ScheduleUpdate, options: UpdateScheduleOptions = {}): Promise<ScheduleRecord> {
    const how = readCall("updateSchedule", options);
    const { definition } = await this.#known(id);
    const changes = resolveUpdate(patch, this.#source.defaultsFor(definition.request.name), this.#source.settings);
    return scheduleRecordOf(await this.#source.calls.updateSchedule(id, changes, how), this.#isDeclared);
  }

  /** Fires no more until `resume`, also after a restart. Whether it was active. */
  pause(id: ScheduleId): Promise<boolean> {
    return this.#move(id, "pause");
  }

  /**
   * Goes on with the next slot from now: what passed meanwhile neither fires nor is missed. Whether it was paused.
   *
   * @throws ScheduleEndedError when it is completed, cancelled or expired.
   */
  resume(id: ScheduleId): Promise<boolean> {
    return this.#move(id, "resume");
  }

  /** Fires no more, for good; it stays listed. Whether it could. Its tasks that are stored stay. */
  cancel(id: ScheduleId): Promise<boolean> {
    return this.#move(id, "cancel");
  }

  /** Forgets it, and its history. Whether it was there. Its tasks stay; with `cancelQueued`, those that wait are cancelled. */
  async delete(id: ScheduleId, options: { readonly cancelQueued?: boolean | undefined } = {}): Promise<boolean> {
    const { cancelQueued = false } = readCall("deleteSchedule", options);
    return this.#source.calls.deleteSchedule(checkName("id", id), cancelQueued);
  }

  /**
   * Stores a task of it now, by hand: also while it is paused or completed, or the scheduler is. Its next slot, `runCount`
   * and `maxRuns` are not concerned. `undefined` when it is unique and a task of it has not ended, unless `force`.
   *
   * @param options.args in the place of the schedule's, for this task.
   * @throws UnknownScheduleError, ScheduleEndedError when it was cancelled or has expired; for `args`, what `enqueue` throws.
   */
  async trigger(
    id: ScheduleId,
    options: { readonly args?: readonly unknown[] | undefined; readonly force?: boolean | undefined } = {},
  ): Promise<TaskHandle | undefined> {
    const { args, force = false } = readCall("triggerSchedule", options);
    const { calls, settings } = this.#source;
    const encoded = args === undefined ? {} : { args: encodeArgs(args, "options.args", settings.maxPayloadBytes) };
    const taskId = await calls.triggerSchedule(checkName("id", id), newId(), { ...encoded, force });
    return taskId === undefined ? undefined : this.#source.handle(taskId);
  }

  /**
   * When it will fire next: at most `count` moments, 1 to 1,000, as far as they are known. None while it is paused, for
   * events, and after the last; of a fixed delay only the next, because all others depend on its runs.
   */
  async nextRuns(id: ScheduleId, count = 5): Promise<Date[]> {
    if (!Number.isInteger(count) || count < 1 || count > 1_000) {
      throw new InvalidArgumentError("count", `${count} is not a whole number from 1 to 1000.`);
    }
    const schedule = await this.#known(id);
    return upcoming(schedule, systemClock.now(), count).map((at) => new Date(at));
  }

  async status(id: ScheduleId): Promise<ScheduleStatus> {
    const schedule = await this.#known(id);
    const { request, pinsVersion = false } = schedule.definition;
    const isRegistered = this.#source.isRegistered(request.name, pinsVersion ? request.version : undefined);
    return scheduleStatusOf(schedule, isRegistered);
  }

  /** What was changed about it, newest first: at most `limit` changes, 1 to 1,000. Default 100. */
  async history(
    id: ScheduleId,
    options: { readonly limit?: number | undefined } = {},
  ): Promise<readonly ScheduleHistoryEntry[]> {
    const { limit = 100 } = readCall("scheduleHistory", options);
    await this.#known(id);
    return (await this.#source.calls.scheduleHistory(id, limit)).map(historyEntryOf);
  }

  /** @internal A trigger, and options if there are any; or options with a template that has a trigger. */
  async add(task: unknown, first: unknown, second: unknown): Promise<ScheduleHandle> {
    const isTrigger = typeof first !== "object" || first === null || "type" in first;
    const [trigger, options] = isTrigger ? [first, second] : [undefined, first];
    return this.#put(this.#draft(task, trigger, options));
  }

  /** @internal */
  async addMany(schedules: unknown): Promise<readonly ScheduleHandle[]> {
    if (!Array.isArray(schedules)) {
      throw new InvalidArgumentError("schedules", "is not a list of { task, trigger, … }.");
    }
    const drafts = schedules.map((schedule: unknown, index) => {
      const path = `schedules[${index}]`;
      const { task, trigger, ...options } = asObject(schedule, path);
      return this.#draft(task, trigger, options, { path, triggerPath: `${path}.trigger` });
    });
    return drafts.length === 0 ? [] : this.#source.calls.putSchedules(drafts);
  }

  /** @internal Options of a task with a `schedule`, and a `ttl` that is the task's. */
  async addRecurring(
    task: unknown,
    args: unknown,
    { schedule, ttl, ...options }: { readonly schedule: unknown; readonly ttl?: unknown },
  ): Promise<ScheduleHandle> {
    const taskTtl = ttl === undefined ? {} : { taskTtl: ttl };
    const all = { ...options, ...taskTtl, args };
    return this.#put(this.#draft(task, schedule, all, { triggerPath: "options.schedule" }));
  }

  /** @internal */
  async emit(event: string, payload: unknown): Promise<readonly TaskHandle[]> {
    const { calls, settings, handle } = this.#source;
    const encoded = encode(payload, "payload", { maxBytes: settings.maxPayloadBytes });
    const ids = await calls.emit(checkName("event", event), encoded, newId());
    return ids.map((id) => handle(id));
  }

  async #put(draft: ScheduleDraft): Promise<ScheduleHandle> {
    const [key] = await this.#source.calls.putSchedules([draft]);
    if (key === undefined) throw new RangeError("The supervisor has not said what it has stored.");
    return key;
  }

  #draft(
    task: unknown,
    trigger: unknown,
    options: unknown,
    paths?: { readonly path?: string; readonly triggerPath: string },
  ): ScheduleDraft {
    const defaults = this.#source.defaultsOf(task);
    const isPinned = typeof task !== "string" && defaults.version !== undefined;
    return resolveSchedule({ trigger, options, isPinned, ...paths }, defaults, this.#source.settings);
  }

  readonly #isDeclared = (key: string): boolean => this.#source.isDeclared(key);

  async #move(id: ScheduleId, to: "pause" | "resume" | "cancel"): Promise<boolean> {
    return this.#source.calls.moveSchedule(checkName("id", id), to);
  }

  async #known(id: ScheduleId): Promise<StoredSchedule> {
    const found = await this.#find({ ids: [checkName("id", id)] });
    if (found === undefined) throw new UnknownScheduleError(id);
    return found;
  }

  async #find(
    query: { readonly ids: readonly ScheduleId[] } | { readonly name: string },
  ): Promise<StoredSchedule | undefined> {
    const { schedules } = await this.#source.calls.schedules({ ...query, limit: 1 });
    return schedules[0];
  }

  #recordOf(schedule: StoredSchedule | undefined): ScheduleRecord | undefined {
    return schedule && scheduleRecordOf(schedule, this.#isDeclared);
  }
}
