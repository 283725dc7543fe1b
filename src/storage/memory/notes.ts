import type { Payload } from "../../task/task.ts";
import type { Note, TaskNotes } from "../storage.ts";
import { claimOf } from "./attempts.ts";
import type { Ledger } from "./ledger.ts";

/** What attempts of a task have said. Never changed, but replaced. */
export interface KeptNotes extends TaskNotes {
  readonly checkpoints: ReadonlyMap<string, Payload>;
}

export const noNotes: KeptNotes = { lines: [], checkpoints: new Map() };

export const note = (ledger: Ledger, { notes }: Note): boolean[] =>
  notes.map((each) => {
    const { id, progress, lines = [], checkpoint } = each;
    if (claimOf(ledger, each) === undefined) {
      ledger.totals.late += 1;
      return false;
    }
    const before = ledger.notes.get(id) ?? noNotes;
    const isNew = checkpoint !== undefined && !before.checkpoints.has(checkpoint.key);
    ledger.keepNotes(id, {
      ...before,
      ...(progress === undefined ? undefined : { progress }),
      lines: [...before.lines, ...lines],
      checkpoints: isNew ? new Map([...before.checkpoints, [checkpoint.key, checkpoint.value]]) : before.checkpoints,
    });
    return true;
  });
