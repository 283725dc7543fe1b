import type { EpochMs } from "../base/clock.ts";
import { canonical } from "./canonical.ts";
import type { ScheduleDefinition, ScheduledRequest, ScheduleId } from "./schedule.ts";
import type { Trigger } from "./trigger.ts";

/** A schedule that is asked for: everything that does not depend on the moment. */
export interface ScheduleDraft {
  /** The id that it gets if it is new. */
  readonly id: ScheduleId;
  readonly definition: Omit<ScheduleDefinition, "expiresAt" | "triggerSince">;
  readonly ttlMs?: number;
  /** A moment that is past is refused. */
  readonly mustBeAhead?: boolean;
  /** Takes the place of one with its name. */
  readonly isUpsert?: boolean;
  /** The name is a proposal: another will do. */
  readonly isNameFree?: boolean;
}

/** What is to become of a definition; `null` takes something away. */
export interface ScheduleChanges {
  readonly definition: Nullable<Omit<ScheduleDefinition, "request" | "expiresAt" | "triggerSince" | "declared">>;
  readonly request: Nullable<ScheduledRequest>;
  /** From the moment of the change. */
  readonly ttlMs?: number | null;
}

type Nullable<T> = { readonly [K in keyof T]?: T[K] | null | undefined };

/** Says which of the declared schedules it is. */
export const declaredKey = (task: string, trigger: Trigger): string => canonical([task, trigger]);

/** The definition of a schedule that is made at `createdAt`. */
export const definitionOf = ({ definition, ttlMs }: ScheduleDraft, createdAt: EpochMs): ScheduleDefinition =>
  ttlMs === undefined ? definition : { ...definition, expiresAt: createdAt + ttlMs };

/** `before` with `changes` made at `now`. */
export function withChanges(
  before: ScheduleDefinition,
  { definition, request, ttlMs }: ScheduleChanges,
  now: EpochMs,
): ScheduleDefinition {
  const expiresAt = typeof ttlMs === "number" ? now + ttlMs : ttlMs;
  return merged(before, { ...definition, expiresAt, request: merged(before.request, request) });
}

/** `changes` over `before`: what is `undefined` stays, what is `null` goes. */
function merged<T extends object>(before: T, changes: Nullable<T>): T {
  const all: Record<string, unknown> = { ...(before as Readonly<Record<string, unknown>>) };
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) delete all[key];
    else if (value !== undefined) all[key] = value;
  }
  return all as T;
}
