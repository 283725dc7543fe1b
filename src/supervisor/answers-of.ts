import type { ActorRef } from "../actor/actor.ts";
import type { ChildCall, RunObserver } from "../executor/executor.ts";
import type { TaskId } from "../task/task.ts";
import type { ChildTask, QueueMessage } from "./protocol.ts";

/** A disk may be slow. */
const answerWithinMs = 60_000;

/** What the queue answers to running attempts. */
export const answersOf = (
  queue: () => ActorRef<QueueMessage>,
  newChild: (call: ChildCall) => Promise<ChildTask>,
): Required<Pick<RunObserver, "recall" | "keep" | "enqueue">> => ({
  recall: (id, key) => queue().ask((reply) => ({ type: "recall", id, key, reply }), answerWithinMs),
  keep: (checkpoint) => queue().ask((reply) => ({ type: "keep", checkpoint, reply }), answerWithinMs),
  async enqueue(call) {
    const { task, ...child } = await newChild(call);
    const ids = await queue().ask<readonly (TaskId | undefined)[]>(
      (reply) => ({ type: "enqueue", tasks: [task], ...child, reply }),
      answerWithinMs,
    );
    return ids[0];
  },
});
