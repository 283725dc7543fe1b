import type { EpochMs } from "../../base/clock.ts";
import type { ScheduleResults, ScheduleState, ScheduleStatus, StoredSchedule } from "../../schedule/schedule.ts";
import { decodeData, encodeData } from "./records.ts";

/** What callers have made of a schedule. */
export type DefinedRow = Pick<StoredSchedule, "version" | "createdAt" | "updatedAt" | "definition">;

/** What becomes of it: small, because it changes with every firing and every end. */
export interface ProgressRow {
  readonly state: ScheduleState;
  readonly results: ScheduleResults;
  /** Its last firing counted in the totals, so the ends of its tasks do. */
  readonly isCounted: boolean;
  /** How many changes its history has had. */
  readonly changes: number;
  /** Where it stands in the order of what is due. */
  readonly due: EpochMs | undefined;
}

const statuses: readonly ScheduleStatus[] = ["active", "paused", "completed", "cancelled", "expired"];
const outcomes = ["success", "error", "cancelled"] as const;

type Maybe = number | null;

/** Without names, which would be the greater part. New fields go to the end. */
type PackedProgress = readonly [
  status: number,
  nextSlot: Maybe,
  pendingSlot: Maybe,
  retryAt: Maybe,
  lastSlot: Maybe,
  lastRunAt: Maybe,
  lastTaskId: string | null,
  runCount: number,
  missedCount: number,
  skippedCount: number,
  unfinished: number,
  successCount: number,
  errorCount: number,
  totalDurationMs: number,
  lastResult: Maybe,
  lastFinishedAt: Maybe,
  isCounted: boolean,
  changes: number,
  due: Maybe,
];

export const encodeProgress = ({ state, results, isCounted, changes, due }: ProgressRow): Buffer =>
  encodeData([
    statuses.indexOf(state.status),
    state.nextSlot ?? null,
    state.pendingSlot ?? null,
    state.retryAt ?? null,
    state.lastSlot ?? null,
    state.lastRunAt ?? null,
    state.lastTaskId ?? null,
    state.runCount,
    state.missedCount,
    state.skippedCount,
    results.unfinished,
    results.successCount,
    results.errorCount,
    results.totalDurationMs,
    results.lastResult === undefined ? null : outcomes.indexOf(results.lastResult),
    results.lastFinishedAt ?? null,
    isCounted,
    changes,
    due ?? null,
  ] satisfies PackedProgress);

export function decodeProgress(bytes: Buffer): ProgressRow {
  const packed = decodeData<PackedProgress>(bytes);
  const [status, nextSlot, pendingSlot, retryAt, lastSlot, lastRunAt, lastTaskId, ...counts] = packed;
  const [runCount, missedCount, skippedCount, unfinished, successCount, errorCount, totalDurationMs, ...rest] = counts;
  const [lastResult, lastFinishedAt, isCounted, changes, due] = rest;
  return {
    state: {
      status: statuses[status] ?? "cancelled",
      ...(nextSlot === null ? {} : { nextSlot }),
      ...(pendingSlot === null ? {} : { pendingSlot }),
      ...(retryAt === null ? {} : { retryAt }),
      ...(lastSlot === null ? {} : { lastSlot }),
      ...(lastRunAt === null ? {} : { lastRunAt }),
      ...(lastTaskId === null ? {} : { lastTaskId }),
      runCount,
      missedCount,
      skippedCount,
    },
    results: {
      unfinished,
      successCount,
      errorCount,
      totalDurationMs,
      ...(lastResult === null ? {} : { lastResult: outcomes[lastResult] ?? "cancelled" }),
      ...(lastFinishedAt === null ? {} : { lastFinishedAt }),
    },
    isCounted,
    changes,
    due: due ?? undefined,
  };
}

/** A schedule as it is given back. */
export const scheduleOf = (
  id: string,
  { version, createdAt, updatedAt, definition }: DefinedRow,
  { state, results }: ProgressRow,
): StoredSchedule => ({ id, version, createdAt, updatedAt, definition, state, results });
