import type { Message } from "./actor.ts";

/**
 * What an actor owes itself: a timer that is due, a pipe that has settled. Whether it still counts is decided when
 * its turn in the mailbox comes, so a timer that was cancelled in the meantime, or an earlier life, does not get through.
 */
export class OwnMessage implements Message {
  readonly type = "own";
  /** The message to handle; `undefined` when it no longer counts. */
  readonly take: () => Message | undefined;

  constructor(take: () => Message | undefined) {
    this.take = take;
  }
}
