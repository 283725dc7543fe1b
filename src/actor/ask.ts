import type { Clock } from "../base/clock.ts";
import { AskTimeoutError } from "../base/errors.ts";
import type { ActorRef, Message, Reply } from "./actor.ts";

/** Tells `to` what `build` makes of a reply; the promise is that reply, or an AskTimeoutError after `timeoutMs`. */
export function ask<M extends Message, T>(
  to: Pick<ActorRef<M>, "name" | "tell">,
  clock: Clock,
  build: (reply: Reply<T>) => M,
  timeoutMs: number,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const deadline = clock.wakeAt(clock.now() + timeoutMs, () => reject(new AskTimeoutError(to.name, timeoutMs)));
    const answer = (value: T): void => {
      deadline.cancel();
      resolve(value);
    };
    const refuse = (error: unknown): void => {
      deadline.cancel();
      reject(error);
    };
    try {
      to.tell(build(Object.assign(answer, { reject: refuse })));
    } catch (error) {
      refuse(error);
    }
  });
}

/** Rejects every ask in `message`: each of its fields that holds a reply. */
export function rejectReplies(message: Message, error: unknown): void {
  for (const value of Object.values(message)) if (isReply(value)) value.reject(error);
}

const isReply = (value: unknown): value is Reply<unknown> =>
  typeof value === "function" && "reject" in value && typeof value.reject === "function";
