import type { LogLine } from "../../task/log-line.ts";
import type { Payload } from "../../task/task.ts";
import type { Note, TaskNotes } from "../storage.ts";
import { noteKey, noteRange, notePart, taskKey } from "./keys.ts";
import { decodeData, encodeData } from "./records.ts";
import type { Step, Store } from "./store.ts";

export function note(store: Store, { notes }: Note, epoch: number): Step<readonly boolean[]> {
  return {
    bytes: notes.reduce((sum, { progress, lines, checkpoint }) => {
      return sum + 100 + (progress?.length ?? 0) + (lines?.length ?? 0) * 200 + (checkpoint?.value.length ?? 0);
    }, 0),
    apply: () =>
      notes.map(({ id, fence, progress, lines = [], checkpoint }) => {
        const held = store.claims.get(id);
        if (held === undefined || fence.epoch !== epoch || fence.attempt !== held.life.attempt) {
          store.ledger.total("late");
          return false;
        }
        const key = taskKey(id);
        if (progress !== undefined) put(store, noteKey(key, notePart.progress), progress);
        if (lines.length > 0) {
          const place = store.ledger.nextSequence();
          store.tables.notes.put(noteKey(key, notePart.lines, sequenceBytes(place)), encodeData(lines));
        }
        if (checkpoint !== undefined) {
          const place = noteKey(key, notePart.checkpoint, Buffer.from(checkpoint.key, "utf8"));
          if (!store.tables.notes.doesExist(place)) put(store, place, checkpoint.value);
        }
        store.isNoted = true;
        return true;
      }),
  };
}

const put = ({ tables }: Store, key: Buffer, value: Payload): void => void tables.notes.put(key, encodeData(value));

function sequenceBytes(sequence: number): Buffer {
  const bytes = Buffer.allocUnsafe(6);
  bytes.writeUIntBE(sequence, 0, 6);
  return bytes;
}

export function notesOf({ tables }: Store, key: Buffer): TaskNotes {
  const progress = tables.notes.get(noteKey(key, notePart.progress));
  const lines: LogLine[] = [];
  for (const { value } of tables.notes.getRange(noteRange(key, notePart.lines))) {
    lines.push(...decodeData<readonly LogLine[]>(value));
  }
  return progress === undefined ? { lines } : { lines, progress: decodeData<Payload>(progress) };
}

export function checkpointOf({ tables }: Store, key: Buffer, name: string): Payload | undefined {
  const value = tables.notes.get(noteKey(key, notePart.checkpoint, Buffer.from(name, "utf8")));
  return value === undefined ? undefined : decodeData<Payload>(value);
}

/** The task is forgotten. */
export function forgetNotes(store: Store, key: Buffer): void {
  // Most stores never have a note, and look for none.
  if (!store.isNoted) return;
  const places = Array.from(store.tables.notes.getKeys(noteRange(key)));
  for (const place of places) store.tables.notes.remove(place);
}
