import { ClosedError } from "../../base/errors.ts";
import { Committer } from "./committer.ts";
import { openEnvironment, type Environment, type LmdbOptions } from "./environment.ts";
import { decodeData, encodeData } from "./records.ts";
import { momentKey, taskKey } from "./keys.ts";
import { openRaw, openRecords, type Table } from "./tables.ts";
import type { KeptResult, ResultStorage } from "../components.ts";

/** What is stored of a result. */
type Row = Pick<KeptResult, "result" | "expiresAt">;

interface Opened {
  readonly environment: Environment;
  /** task key, attempt → result. */
  readonly results: Table;
  /** moment → key of a result. */
  readonly expiry: Table;
  readonly committer: Committer;
}

/** Results in a folder of their own. */
export function lmdbResults(options: LmdbOptions): ResultStorage {
  let opened: Opened | undefined;

  const store = (): Opened => {
    if (opened === undefined) throw new ClosedError("The storage of results");
    return opened;
  };

  const keep = ({ results, expiry }: Opened, { id, attempt, result, expiresAt }: KeptResult): void => {
    const key = keyOf(id, attempt);
    results.put(key, encodeData({ result, expiresAt }));
    expiry.put(Buffer.concat([momentKey(expiresAt), key]), key);
  };

  return {
    async open(owner) {
      const environment = await openEnvironment(options, owner, "omniq results", ["meta", "results", "expiry-index"]);
      const results = openRecords(environment.root, "results", environment.folder);
      const expiry = openRaw(environment.root, "expiry-index");
      const committer = new Committer({
        transact: environment.transact,
        ensureSpace: (bytes, addsWork) => environment.guard.check(bytes, !addsWork),
        finish: () => undefined,
        committed: () => undefined,
      });
      opened = { environment, results, expiry, committer };
    },
    put: (results) =>
      store().committer.commit<void>({
        bytes: results.reduce((sum, { result }) => sum + result.length + 100, 0),
        addsWork: false,
        check: () => undefined,
        apply: () => results.forEach((result) => keep(store(), result)),
      }),
    async get(id, attempt) {
      const { results, committer } = store();
      await committer.settled();
      const bytes = results.get(keyOf(id, attempt));
      return bytes === undefined ? undefined : decodeData<Row>(bytes).result;
    },
    prune: (now, limit) => {
      const { results, expiry, committer } = store();
      return committer.commit<number>({
        bytes: 0,
        addsWork: false,
        check: () => undefined,
        apply: () => {
          const over = [...expiry.getRange({ end: momentKey(now + 1), limit })];
          for (const { key, value } of over) {
            const bytes = results.get(value);
            // Written again since, it is kept until its later end.
            const isOver = bytes !== undefined && decodeData<Row>(bytes).expiresAt <= now;
            if (isOver) results.remove(value);
            expiry.remove(key);
          }
          return over.length;
        },
      });
    },
    async close() {
      const current = opened;
      opened = undefined;
      await current?.committer.settled();
      await current?.environment.close(current.committer.failure === undefined);
    },
  };
}

function keyOf(id: string, attempt: number): Buffer {
  const suffix = Buffer.allocUnsafe(4);
  suffix.writeUInt32BE(attempt, 0);
  return Buffer.concat([taskKey(id), suffix]);
}
