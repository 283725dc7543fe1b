import type { Definition } from "./definition.ts";

/** A schedule that is declared beside its handler, as it was given. */
export interface DeclaredSchedule {
  readonly trigger: unknown;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Keeps a schedule with the definition of its task. */
export function declareSchedule(definition: Definition, schedule: DeclaredSchedule): void {
  declared.set(definition, [...schedulesOf(definition), schedule]);
}

/** The schedules that were declared of a task, in order. */
export const schedulesOf = (definition: Definition): readonly DeclaredSchedule[] => declared.get(definition) ?? [];

// On globalThis, so that a task module which finds another installed copy of this package is heard all the same.
const key = Symbol.for("omniq.schedules");
const shared = globalThis as { [key]?: WeakMap<Definition, readonly DeclaredSchedule[]> };
const declared = (shared[key] ??= new WeakMap());
