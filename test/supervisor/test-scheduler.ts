import type { EpochMs } from "../../src/base/clock.ts";
import { newId } from "../../src/base/id.ts";
import type { ScheduleDraft } from "../../src/schedule/draft.ts";
import type { ScheduleId, StoredSchedule } from "../../src/schedule/schedule.ts";
import type { ScheduleKey, SchedulerMessage } from "../../src/supervisor/protocol.ts";
import type { StoredEvent } from "../../src/task/event.ts";
import type { StoredTask, TaskId } from "../../src/task/task.ts";
import { aDraft, june, someArgs } from "../support/schedules.ts";
import { TestSupervisor, type SupervisorOptions } from "./test-supervisor.ts";

type Change<Type extends SchedulerMessage["type"]> = Omit<Extract<SchedulerMessage, { type: Type }>, "type" | "reply">;

/** The scheduler among the other actors, on a clock that starts on 1 June 2026. */
export class TestScheduler {
  readonly options: SupervisorOptions;
  supervisor: TestSupervisor;

  private constructor(options: SupervisorOptions, supervisor: TestSupervisor) {
    this.options = options;
    this.supervisor = supervisor;
  }

  static async start(options: SupervisorOptions = {}): Promise<TestScheduler> {
    const given = { now: june, threads: 4, ...options };
    return new TestScheduler(given, await TestSupervisor.start(given));
  }

  get now(): EpochMs {
    return this.supervisor.clock.now();
  }

  advance(ms: number): Promise<void> {
    return this.supervisor.advance(ms);
  }

  /** Everything dies at once, and is started again after `downMs`. */
  async restart(downMs = 0, changes: SupervisorOptions = {}): Promise<void> {
    const { storage, tree } = this.supervisor;
    const now = this.now + downMs;
    tree.kill();
    this.supervisor = await TestSupervisor.start({ ...this.options, ...changes, storage: storage.inner, now });
    await this.supervisor.advance(0);
  }

  // ------------------------------------------------------------------------------------------------------- calls

  async put(...drafts: readonly ScheduleDraft[]): Promise<readonly ScheduleKey[]> {
    return this.supervisor.schedule((reply) => ({ type: "putSchedules", drafts, reply }));
  }

  /** Stores one schedule; gives its id. */
  async add(given: Parameters<typeof aDraft>[0] = {}): Promise<ScheduleId> {
    const [key] = await this.put(aDraft(given));
    return key?.id ?? "";
  }

  declare(...drafts: readonly ScheduleDraft[]): Promise<void> {
    return this.supervisor.schedule((reply) => ({ type: "declareSchedules", drafts, tasks: ["greet"], reply }));
  }

  update(
    id: ScheduleId,
    given: Partial<Omit<Change<"updateSchedule">, "id">> & { readonly ttlMs?: number },
  ): Promise<StoredSchedule> {
    const { changes = { definition: {}, request: {} }, reactivate = false, ...rest } = given;
    return this.supervisor.schedule((reply) => ({ type: "updateSchedule", id, changes, reactivate, ...rest, reply }));
  }

  pause(id: ScheduleId): Promise<boolean> {
    return this.supervisor.schedule((reply) => ({ type: "pauseSchedule", id, reply }));
  }

  resume(id: ScheduleId): Promise<boolean> {
    return this.supervisor.schedule((reply) => ({ type: "resumeSchedule", id, reply }));
  }

  cancel(id: ScheduleId): Promise<boolean> {
    return this.supervisor.schedule((reply) => ({ type: "cancelSchedule", id, reply }));
  }

  delete(id: ScheduleId, cancelQueued = false): Promise<boolean> {
    return this.supervisor.schedule((reply) => ({ type: "deleteSchedule", id, cancelQueued, reply }));
  }

  trigger(
    id: ScheduleId,
    given: { readonly args?: Uint8Array; readonly force?: boolean } = {},
  ): Promise<TaskId | undefined> {
    const { args, force = false } = given;
    const own = args === undefined ? {} : { args };
    return this.supervisor.schedule((reply) => ({
      type: "triggerSchedule",
      id,
      taskId: newId(),
      force,
      ...own,
      reply,
    }));
  }

  emit(event: string, payload: unknown = {}): Promise<readonly TaskId[]> {
    const [bytes, emission] = [someArgs(payload), newId()];
    return this.supervisor.schedule((reply) => ({ type: "emit", event, payload: bytes, emission, reply }));
  }

  order(to: Change<"switch">["to"]): Promise<boolean> {
    return this.supervisor.schedule((reply) => ({ type: "switch", to, reply }));
  }

  // ------------------------------------------------------------------------------------------------ what is there

  async find(id: ScheduleId): Promise<StoredSchedule | undefined> {
    const { schedules } = await this.supervisor.storage.inner.schedules({ ids: [id], limit: 1 });
    return schedules[0];
  }

  async get(id: ScheduleId): Promise<StoredSchedule> {
    const schedule = await this.find(id);
    if (schedule === undefined) throw new Error(`There is no schedule ${id}.`);
    return schedule;
  }

  /** The tasks of a schedule, or of all, in the order of their slots. */
  async tasks(scheduleId?: ScheduleId): Promise<StoredTask[]> {
    const query = scheduleId === undefined ? {} : { scheduleId };
    const tasks: StoredTask[] = [];
    for (let cursor: string | undefined, isMore = true; isMore; isMore = cursor !== undefined) {
      const page = await this.supervisor.storage.inner.list({
        ...query,
        limit: 1_000,
        ...(cursor === undefined ? {} : { cursor }),
      });
      tasks.push(...page.tasks);
      cursor = page.cursor;
    }
    return tasks.sort((a, b) => slotOf(a) - slotOf(b));
  }

  /** The slots that have fired. */
  async slots(scheduleId: ScheduleId): Promise<EpochMs[]> {
    return (await this.tasks(scheduleId)).map(slotOf);
  }

  async events(scheduleId: ScheduleId): Promise<StoredEvent[]> {
    return [...(await this.supervisor.storage.inner.events({ scheduleId, limit: 1_000 }))];
  }

  async eventTypes(scheduleId: ScheduleId): Promise<string[]> {
    const events = await this.events(scheduleId);
    return events.filter(({ type }) => type.startsWith("schedule.")).map(({ type }) => type);
  }
}

const slotOf = ({ request }: StoredTask): EpochMs => request.schedule?.slot ?? 0;
