import type { Self } from "../actor/actor.ts";
import type { AttemptNote } from "../executor/executor.ts";
import type { Note } from "../storage/storage.ts";
import type { QueueMessage } from "./protocol.ts";
import { commit, type Inbox, type QueueState } from "./queue-state.ts";

/** How long what attempts say may wait for something else to be stored with. */
const gatheringMs = 100;

/** What an attempt says is shown at once to those who follow its task, and stored with what is stored next. */
export function noted(state: QueueState, { note }: Extract<QueueMessage, { type: "noted" }>, self: Self<Inbox>): void {
  const { id, attempt, progress, lines } = note;
  // What is late is for the store to refuse, and to count.
  const isCurrent = state.claimed.get(id)?.life.attempt === attempt;
  if (isCurrent && progress !== undefined) state.followers.tell(id, progress);
  if (isCurrent && progress === undefined && lines === undefined) return;
  gather(state, note);
  if (state.isNoting) return;
  state.isNoting = true;
  self.setTimer("storeNotes", self.clock.now() + gatheringMs, { type: "storeNotes" });
}

const keyOf = ({ id, attempt }: Pick<AttemptNote, "id" | "attempt">): string => `${attempt} ${id}`;

/** Tells of the progress of a task from now on, and what is not stored yet. */
export function follow(state: QueueState, { id, sink }: Extract<QueueMessage, { type: "follow" }>): void {
  state.followers.add(id, sink);
  const attempt = state.claimed.get(id)?.life.attempt ?? 0;
  const progress = state.notes.get(keyOf({ id, attempt }))?.progress;
  if (progress !== undefined) sink.progressed(id, progress);
}

/** Notes of one attempt become one. */
function gather({ notes }: QueueState, note: AttemptNote): void {
  const key = keyOf(note);
  const before = notes.get(key);
  notes.set(key, { ...before, ...note, lines: [...(before?.lines ?? []), ...(note.lines ?? [])] });
}

export function storeNotes(state: QueueState, self: Self<Inbox>): void {
  state.isNoting = false;
  commit(state, self, takeNotes(state), () => undefined);
}

/** What is to be stored of what was said, if anything: before the ends of the attempts that said it. */
export function takeNotes(state: QueueState): readonly Note[] {
  if (state.notes.size === 0) return [];
  const notes = Array.from(state.notes.values(), ({ attempt, ...note }) => ({
    ...note,
    fence: { epoch: state.epoch, attempt },
  }));
  state.notes.clear();
  return [{ type: "note", notes }];
}

/** Stores the value of a checkpoint, and answers whether the attempt that made it is the current one. */
export function keep(
  state: QueueState,
  { checkpoint, reply }: Extract<QueueMessage, { type: "keep" }>,
  self: Self<Inbox>,
): void {
  const { id, attempt, key, value } = checkpoint;
  const note = { id, fence: { epoch: state.epoch, attempt }, checkpoint: { key, value } };
  commit(state, self, [{ type: "note", notes: [note] }], ([[isKept]]) => reply(isKept === true), reply.reject);
}

export function recall({ storage }: QueueState, { id, key, reply }: Extract<QueueMessage, { type: "recall" }>): void {
  storage.checkpoint(id, key).then(reply, reply.reject);
}
