import type { Connection } from "../bridge/connect.ts";
import { InvalidArgumentError } from "../base/errors.ts";
import type { ScheduleId } from "../schedule/schedule.ts";

export interface SchedulerStats {
  /** `"paused"`: what passes is skipped. `"stopped"`: not started, or shut down; what passes is missed. */
  readonly status: "running" | "paused" | "stopped";
  /** The name of this runtime. */
  readonly instanceId: string;
  /** Since it was started; 0 while it is stopped. */
  readonly uptimeMs: number;
  /** Schedules that are stored, whatever their status. */
  readonly schedulesTotal: number;
  readonly schedulesActive: number;
  readonly schedulesPaused: number;
  /** Tasks that schedules have stored, those by hand included. This and what follows counts while `metrics` is on. */
  readonly tasksTriggeredTotal: number;
  /** To the hour. */
  readonly tasksTriggeredLast24h: number;
  /** Of their tasks that succeeded or failed, the share that succeeded, 0 to 1; `undefined` before the first. */
  readonly successRate: number | undefined;
  /** Slots that did not fire because they were found too late. */
  readonly missed: number;
  /** Slots that did not fire because a task had not ended, another slot stood for them, or the scheduler was paused. */
  readonly skipped: number;
}

/** A schedule that could not be fired: it is tried again a minute later. */
export interface ScheduleFailure {
  readonly scheduleId: ScheduleId;
  readonly error: Error;
}

/** All schedules together. Each call gives whether it changed anything: it may be repeated. Nothing of it is stored. */
export class Scheduler {
  readonly #connection: Connection;
  readonly #instanceId: string;
  readonly #listeners = new Set<(failure: ScheduleFailure) => void>();

  /** @internal */
  constructor(connection: Connection, instanceId: string) {
    this.#connection = connection;
    this.#instanceId = instanceId;
    connection.onScheduleError = (scheduleId, error) => this.#tell({ scheduleId, error });
  }

  /** Has schedules fire, after `shutdown` or where `open` was told not to. What has passed is missed, as after a downtime. */
  start(): Promise<boolean> {
    return this.#connection.calls.switchScheduler("start");
  }

  /**
   * Has no schedule fire, by time or event, until `resume` or the next open; tasks run on, and `trigger` works. What
   * passes meanwhile is skipped, not missed, if it is resumed.
   */
  pause(): Promise<boolean> {
    return this.#connection.calls.switchScheduler("pause");
  }

  resume(): Promise<boolean> {
    return this.#connection.calls.switchScheduler("resume");
  }

  /** Has no schedule fire until `start` or the next open. What passes meanwhile is missed, and obeys `missed`. */
  shutdown(): Promise<boolean> {
    return this.#connection.calls.switchScheduler("shutdown");
  }

  async stats(): Promise<SchedulerStats> {
    const { mode, startedAt, now, totals } = await this.#connection.calls.schedulerState();
    const { byStatus, fired, firedLastDay, succeeded, failed, missed, skipped } = totals;
    const ended = succeeded + failed;
    return {
      status: mode,
      instanceId: this.#instanceId,
      uptimeMs: startedAt === undefined ? 0 : Math.max(0, now - startedAt),
      schedulesTotal: Object.values(byStatus).reduce((sum, count) => sum + count, 0),
      schedulesActive: byStatus.active ?? 0,
      schedulesPaused: byStatus.paused ?? 0,
      tasksTriggeredTotal: fired,
      tasksTriggeredLast24h: firedLastDay,
      successRate: ended === 0 ? undefined : succeeded / ended,
      missed,
      skipped,
    };
  }

  /**
   * Calls `listener` whenever a schedule could not be fired; other schedules are not concerned. What it throws is ignored.
   *
   * @returns stops that.
   */
  onError(listener: (failure: ScheduleFailure) => void): () => void {
    if (typeof listener !== "function") throw new InvalidArgumentError("listener", "is not a function.");
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #tell(failure: ScheduleFailure): void {
    for (const listener of this.#listeners) {
      try {
        listener(failure);
      } catch {
        // It is told of failures, and must not become one.
      }
    }
  }
}
