import { InvalidInputError, UnknownScheduleError, UnknownTaskError } from "../base/errors.ts";
import type { ScheduleDraft } from "../schedule/draft.ts";
import type { ScheduleDefinition, ScheduleId } from "../schedule/schedule.ts";
import type { SchedulerMessage } from "../supervisor/protocol.ts";
import { handlerKey, type Payload } from "../task/task.ts";
import type { ScheduleCalls } from "./contract.ts";
import type { ExposeParts } from "./expose.ts";

/** Thousands of schedules may be stored with one call. */
const answerWithinMs = 600_000;

/** The calls about schedules, as the supervisor answers them. */
export function scheduleCalls(parts: ExposeParts): ScheduleCalls {
  const { storage } = parts;
  const scheduler = parts.ref<SchedulerMessage>("scheduler");

  const definitionOf = async (id: ScheduleId): Promise<ScheduleDefinition> => {
    const { schedules } = await storage.schedules({ ids: [id], limit: 1 });
    const [found] = schedules;
    if (found === undefined) throw new UnknownScheduleError(id);
    return found.definition;
  };

  return {
    schedules: (query) => storage.schedules(query),
    scheduleHistory: (id, limit) => storage.scheduleHistory(id, limit),
    async putSchedules(drafts) {
      for (const { definition } of drafts) {
        if (!parts.registry.handlers.has(handlerOf(parts, definition))) {
          throw new UnknownTaskError(definition.request.name, undefined);
        }
      }
      const checked: ScheduleDraft[] = [];
      for (const draft of drafts) {
        const { definition } = draft;
        checked.push({ ...draft, definition: { ...definition, args: await checkedArgs(parts, definition) } });
      }
      return scheduler.ask((reply) => ({ type: "putSchedules", drafts: checked, reply }), answerWithinMs);
    },
    async updateSchedule(id, changes, { reactivate = false, ...expected }) {
      const { args, trigger } = changes.definition;
      const before = args === undefined || args === null ? undefined : await definitionOf(id);
      const checked =
        before === undefined || args === undefined || args === null
          ? undefined
          : await checkedArgs(parts, { ...before, args, trigger: trigger ?? before.trigger });
      const all =
        checked === undefined ? changes : { ...changes, definition: { ...changes.definition, args: checked } };
      return scheduler.ask(
        (reply) => ({ type: "updateSchedule", id, changes: all, reactivate, ...expected, reply }),
        answerWithinMs,
      );
    },
    moveSchedule: (id, to) => scheduler.ask((reply) => ({ type: `${to}Schedule`, id, reply }), answerWithinMs),
    deleteSchedule: (id, cancelQueued) =>
      scheduler.ask((reply) => ({ type: "deleteSchedule", id, cancelQueued, reply }), answerWithinMs),
    async triggerSchedule(id, taskId, { args, force }) {
      const checked =
        args === undefined ? {} : { args: await checkedArgs(parts, { ...(await definitionOf(id)), args }) };
      return scheduler.ask(
        (reply) => ({ type: "triggerSchedule", id, taskId, force, ...checked, reply }),
        answerWithinMs,
      );
    },
    emit: (event, payload, emission) =>
      scheduler.ask((reply) => ({ type: "emit", event, payload, emission, reply }), answerWithinMs),
    switchScheduler: (to) => scheduler.ask((reply) => ({ type: "switch", to, reply }), answerWithinMs),
    async schedulerState() {
      const now = parts.now();
      return { ...parts.course, now, totals: await storage.scheduleTotals(now) };
    },
  };
}

const handlerOf = (
  { registry }: Pick<ExposeParts, "registry">,
  { request, pinsVersion = false }: ScheduleDefinition,
) => {
  const version = pinsVersion ? request.version : (registry.versionOf(request.name) ?? request.version);
  return handlerKey(version === undefined ? { name: request.name } : { name: request.name, version });
};

/**
 * The arguments, as the `input` schema of the task gives them. Those that wait for an event are not complete: fields of
 * its payload come to them.
 */
export async function checkedArgs(
  parts: Pick<ExposeParts, "registry" | "executor">,
  definition: ScheduleDefinition,
): Promise<Payload> {
  const handler = handlerOf(parts, definition);
  if (definition.trigger.type === "onEvent" || !parts.registry.withInput.has(handler)) return definition.args;
  const [accepted] = await parts.executor.validate(handler, [definition.args]);
  if (accepted !== undefined) return accepted;
  throw new InvalidInputError(definition.request.name, [{ path: "", message: "the check gave nothing" }]);
}
