import { ClosedError } from "../../base/errors.ts";
import type { EventStorage } from "../components.ts";
import { Committer } from "./committer.ts";
import { openEnvironment, type Environment, type LmdbOptions } from "./environment.ts";
import { numberKey } from "./keys.ts";
import { queryEvents } from "./reading.ts";
import { encodeData } from "./records.ts";
import { openRecords, type Table } from "./tables.ts";
import { forgetEvents } from "./time.ts";

interface Opened {
  readonly environment: Environment;
  readonly events: Table;
  readonly committer: Committer;
}

/** Events in a folder of their own. */
export function lmdbEvents(options: LmdbOptions): EventStorage {
  let opened: Opened | undefined;
  const store = (): Opened => {
    if (opened === undefined) throw new ClosedError("The storage of events");
    return opened;
  };
  const change = <T>(bytes: number, apply: () => T): Promise<T> =>
    store().committer.commit<T>({ bytes, addsWork: false, check: () => undefined, apply });

  return {
    async open(owner) {
      const environment = await openEnvironment(options, owner, "omniq events", ["meta", "events"]);
      const committer = new Committer({
        transact: environment.transact,
        ensureSpace: (bytes, addsWork) => environment.guard.check(bytes, !addsWork),
        finish: () => undefined,
        committed: () => undefined,
      });
      opened = { environment, events: openRecords(environment.root, "events", environment.folder), committer };
    },
    append: (events) =>
      change(events.length * 300, () => {
        for (const event of events) store().events.put(numberKey(event.sequence), encodeData(event));
      }),
    async query(query) {
      const { events, committer } = store();
      await committer.settled();
      return queryEvents(events, query);
    },
    prune: (upTo, limit) => change(0, () => forgetEvents(store().events, upTo, limit)),
    async close() {
      const current = opened;
      opened = undefined;
      await current?.committer.settled();
      await current?.environment.close(current.committer.failure === undefined);
    },
  };
}
