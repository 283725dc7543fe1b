import { TaskModuleError } from "../base/errors.ts";
import { prepareTaskDefaults, type ResolvedOptions } from "../config/resolve.ts";
import { resolveSchedule, type ScheduleSettings } from "../config/resolve-schedule.ts";
import type { Catalogue } from "../executor/executor.ts";
import { newestVersions } from "../executor/versions.ts";
import { declaredKey, type ScheduleDraft } from "../schedule/draft.ts";

/**
 * The schedules that task modules declare.
 *
 * @throws TaskModuleError for one that is declared twice; what `resolveSchedule` throws for options.
 */
export function declaredSchedules(
  catalogue: Catalogue,
  options: ScheduleSettings & Pick<ResolvedOptions, "queues" | "executors">,
): ScheduleDraft[] {
  const drafts = new Map<string, ScheduleDraft>();
  for (const { name, file, options: definition, schedules = [] } of newestVersions(catalogue)) {
    const defaults = prepareTaskDefaults(name, definition, options);
    for (const declared of schedules) {
      const path = `options of defineSchedule("${name}")`;
      const draft = resolveSchedule({ ...declared, path, unique: true }, defaults, options);
      const key = declaredKey(name, draft.definition.trigger);
      if (drafts.has(key)) throw new TaskModuleError(file, `declares a schedule of "${name}" twice with one trigger.`);
      const isNameFree = declared.options["name"] === undefined;
      drafts.set(key, {
        ...draft,
        definition: { ...draft.definition, ...(isNameFree ? { name } : {}), declared: key },
        isNameFree,
      });
    }
  }
  return [...drafts.values()];
}
