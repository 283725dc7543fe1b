import type { Clock } from "../base/clock.ts";
import { AskTimeoutError } from "../base/errors.ts";
import type { ActorRef, Message, Reply } from "./actor.ts";

/** Asks that were told and not answered, with how to reject them. */
export type OpenAsks = Map<Message, (error: unknown) => void>;

/** Tells `to` what `build` makes of a reply; the promise is that reply, or an AskTimeoutError after `timeoutMs`. */
export function ask<M extends Message, T>(
  to: Pick<ActorRef<M>, "name" | "tell">,
  clock: Clock,
  build: (reply: Reply<T>) => M,
  timeoutMs: number,
  open: OpenAsks,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let message: M | undefined;
    const close = (): void => {
      deadline.cancel();
      if (message !== undefined) open.delete(message);
    };
    const answer = (value: T): void => {
      close();
      resolve(value);
    };
    const refuse = (error: unknown): void => {
      close();
      reject(error);
    };
    const deadline = clock.wakeAt(clock.now() + timeoutMs, () => refuse(new AskTimeoutError(to.name, timeoutMs)));
    try {
      message = build(Object.assign(answer, { reject: refuse }));
      open.set(message, refuse);
      to.tell(message);
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
