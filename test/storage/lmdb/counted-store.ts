import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { claim } from "../../../src/storage/lmdb/claim.ts";
import { enqueue } from "../../../src/storage/lmdb/enqueue.ts";
import { recoverClaims } from "../../../src/storage/lmdb/recovery.ts";
import { Store, type Step } from "../../../src/storage/lmdb/store.ts";
import { openRoot, openTables, type Table, type Tables } from "../../../src/storage/lmdb/tables.ts";
import type { Claim, Claimed, NewTask, StorageSettings } from "../../../src/storage/storage.ts";
import { birth } from "../../support/tasks.ts";
import { someSettings } from "../../conformance/storage/bench.ts";

/** What was done with the tables of a store. */
export interface Work {
  /** Entries that were read, and looks that found none. */
  reads: number;
  writes: number;
  /** Of the values that were written. */
  bytes: number;
}

const writing = new Set<PropertyKey>(["put", "remove"]);
const listing = new Set<PropertyKey>(["getRange", "getKeys"]);

/** The table, with everything that is done with it counted. */
function counted(table: Table, work: Work): Table {
  return new Proxy(table, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...given: unknown[]): unknown => {
        if (writing.has(name)) {
          work.writes++;
          if (given[1] instanceof Uint8Array) work.bytes += given[1].length;
        } else work.reads++;
        const answer: unknown = member.apply(target, given);
        return listing.has(name) ? countedEntries(answer as Iterable<unknown>, work) : answer;
      };
    },
  });
}

function* countedEntries(entries: Iterable<unknown>, work: Work): Iterable<unknown> {
  for (const entry of entries) {
    work.reads++;
    yield entry;
  }
}

/** A store without what lies around it, whose work can be counted. */
export class CountedStore {
  readonly #path = mkdtempSync(join(tmpdir(), "omniq-counted-"));
  readonly #root = openRoot(this.#path);
  readonly #settings: StorageSettings;
  readonly #all: Readonly<Record<keyof Tables, Work>>;
  readonly tables: Tables;
  store: Store;

  constructor(settings: Partial<StorageSettings> = {}) {
    this.#settings = { ...someSettings, events: "off", ...settings };
    const tables = Object.entries(openTables(this.#root, this.#path)).map(([name, table]: [string, Table]) => {
      const work: Work = { reads: 0, writes: 0, bytes: 0 };
      return [name, work, counted(table, work)] as const;
    });
    this.#all = Object.fromEntries(tables.map(([name, work]) => [name, work])) as unknown as Record<keyof Tables, Work>;
    this.tables = Object.fromEntries(tables.map(([name, , table]) => [name, table])) as unknown as Tables;
    this.store = this.#open();
  }

  #open(settings: Partial<StorageSettings> = {}): Store {
    return new Store({
      tables: this.tables,
      settings: { ...this.#settings, ...settings },
      path: this.#path,
    });
  }

  /** As after a crash; gives the work. */
  reopen(settings: Partial<StorageSettings> = {}): Work {
    return this.work(() => {
      this.store = this.#open(settings);
      this.commit({ apply: () => recoverClaims(this.store, birth) });
    });
  }

  commit<A>(step: Step<A>): A {
    return this.#root.transactionSync(() => {
      step.check?.();
      const answer = step.apply();
      this.store.finish();
      return answer;
    });
  }

  enqueue(...tasks: NewTask[]): void {
    this.commit(enqueue(this.store, { type: "enqueue", tasks }));
  }

  claim(given: Partial<Claim> = {}): Claimed {
    return this.commit(claim(this.store, { type: "claim", limit: 1, now: birth, owner: "test", ...given }));
  }

  /** What `act` does with a table, or with all of them. */
  work(act: () => void, table?: keyof Tables): Work {
    const before = this.#sum(table);
    act();
    const after = this.#sum(table);
    return {
      reads: after.reads - before.reads,
      writes: after.writes - before.writes,
      bytes: after.bytes - before.bytes,
    };
  }

  #sum(table?: keyof Tables): Work {
    const works = table === undefined ? Object.values(this.#all) : [this.#all[table]];
    return works.reduce(
      (sum, { reads, writes, bytes }) => ({
        reads: sum.reads + reads,
        writes: sum.writes + writes,
        bytes: sum.bytes + bytes,
      }),
      { reads: 0, writes: 0, bytes: 0 },
    );
  }

  async dispose(): Promise<void> {
    await this.#root.close();
    rmSync(this.#path, { recursive: true, force: true });
  }
}

/** How many entries a table has. */
export const sizeOf = (table: Table): number => Array.from(table.getKeys()).length;
