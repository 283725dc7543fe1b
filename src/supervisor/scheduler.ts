import { defineActor, type Actor, type Reply, type Self } from "../actor/actor.ts";
import type { EpochMs } from "../base/clock.ts";
import type { SchedulerMessage } from "./protocol.ts";
import {
  cancelSchedule,
  declareSchedules,
  deleteSchedule,
  pauseSchedule,
  putSchedules,
  resumeSchedule,
  updateSchedule,
} from "./scheduler-changes.ts";
import { emit, skipAll, triggerSchedule, wake } from "./scheduler-firing.ts";
import { lookAhead, type Inbox, type SchedulerParts, type SchedulerState } from "./scheduler-state.ts";

/**
 * Fires schedules when they are due. It sleeps until the first of them is; all that is known of them is in the storage.
 * Its messages are handled one after the other, reads and commits included, so that whatever is decided about a schedule
 * is carried out before anything else is decided about it.
 */
export const schedulerActor = (parts: SchedulerParts): Actor<Inbox, SchedulerState> =>
  defineActor<Inbox, SchedulerState>({
    async start(self) {
      const { course } = parts;
      course.startedAt ??= course.mode === "stopped" ? undefined : self.clock.now();
      const state: SchedulerState = { ...parts, dueAt: undefined, recovery: noReport(self.clock.now()) };
      await lookAhead(state, self);
      return state;
    },
    on: {
      putSchedules: answered(putSchedules),
      declareSchedules: answered(declareSchedules),
      updateSchedule: answered(updateSchedule),
      pauseSchedule: answered(pauseSchedule),
      resumeSchedule: answered(resumeSchedule),
      cancelSchedule: answered(cancelSchedule),
      deleteSchedule: answered(deleteSchedule),
      triggerSchedule: answered(triggerSchedule),
      emit: answered(emit),
      switch: answered(switchCourse),
      tasksEnded: (state, _message, self) => lookAhead(state, self),
      wake,
    },
  });

const noReport = (startedAt: EpochMs): NonNullable<SchedulerState["recovery"]> => ({
  startedAt,
  schedules: 0,
  fired: 0,
  missed: 0,
  skipped: 0,
});

/** A handler that replies with what `serve` gives, when the next moment to wake at is known. */
const answered =
  <M extends SchedulerMessage & { readonly reply: Reply<T> }, T>(
    serve: (state: SchedulerState, message: M, self: Self<Inbox>) => Promise<T>,
  ) =>
  async (state: SchedulerState, message: M, self: Self<Inbox>): Promise<void> => {
    try {
      const answer = await serve(state, message, self);
      await lookAhead(state, self);
      message.reply(answer);
    } catch (error) {
      message.reply.reject(error);
    }
  };

/** From which mode, and to which, each order leads. */
const moves = {
  start: { from: "stopped", to: "running" },
  pause: { from: "running", to: "paused" },
  resume: { from: "paused", to: "running" },
  shutdown: { from: "any", to: "stopped" },
} as const;

/** All schedules together. Whether anything was changed: each order may be given again. */
async function switchCourse(
  state: SchedulerState,
  { to: order }: Extract<SchedulerMessage, { type: "switch" }>,
  self: Self<Inbox>,
): Promise<boolean> {
  const { course } = state;
  const { from, to } = moves[order];
  if (course.mode === to || (from !== "any" && course.mode !== from)) return false;
  if (order === "resume") await skipAll(state, self);
  if (order === "start") state.recovery = noReport(self.clock.now());
  course.mode = to;
  course.startedAt = to === "stopped" ? undefined : (course.startedAt ?? self.clock.now());
  return true;
}
