import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkBeforeOpening, DataFile, readHeader } from "../../../dist/storage/lmdb/integrity.js";
import { runPreflight } from "../../../dist/storage/lmdb/preflight.js";
import { VirtualClock } from "../../../src/base/clock.ts";
import { lmdbStorage } from "../../../src/storage/lmdb/lmdb.ts";
import { aFolder, aStore, digestsOf } from "../../support/lmdb-folders.ts";
import { aFiring, aPlan, aSchedule } from "../../support/stored-schedules.ts";
import { birth } from "../../support/tasks.ts";
import { someSettings } from "../../conformance/storage/bench.ts";

// Of the built package: the process that reads a store is started from a file that Node can run.

const pageSize = 4_096;
const patience = 300_000;

/** What a store says of damage: the code of the error, or `undefined` when nothing was found. */
async function findingIn(folder: string): Promise<string | undefined> {
  try {
    await checkBeforeOpening(folder);
    await runPreflight(folder);
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

/** A folder with this data and nothing that says how it was left. */
function aFolderWith(data: Uint8Array): string {
  const folder = aFolder();
  writeFileSync(join(folder, "data.mdb"), data);
  return folder;
}

/** Numbers from 0 to `below`, the same in every run. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** The processes that this one has started. */
const children = (): number[] =>
  readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);

/**
 * Damages copies of a healthy store, and expects of each that it is refused by name or reads back as it was written.
 * Gives how many were refused.
 */
async function attack(damages: Iterable<(data: Buffer) => Uint8Array>): Promise<{ refused: number; harmless: number }> {
  const store = aStore();
  const data = readFileSync(join(store, "data.mdb"));
  const [digest] = digestsOf([store]);
  expect(digest).toBeDefined();
  const passed: string[] = [];
  let refused = 0;
  for (const damage of damages) {
    const folder = aFolderWith(damage(Buffer.from(data)));
    const finding = await findingIn(folder);
    if (finding === undefined) passed.push(folder);
    else {
      expect(finding).toMatch(/^STORE_(CORRUPT|FOREIGN|VERSION)$/);
      refused++;
    }
  }
  expect(digestsOf(passed)).toEqual(passed.map(() => digest));
  return { refused, harmless: passed.length };
}

test("a healthy store passes", { timeout: patience }, async () => {
  await expect(runPreflight(aStore())).resolves.toBeUndefined();
});

test("a preflight leaves the data as it is", { timeout: patience }, async () => {
  const folder = aStore();
  const before = readFileSync(join(folder, "data.mdb"));
  await runPreflight(folder);

  expect(readFileSync(join(folder, "data.mdb")).equals(before)).toBe(true);
});

test("a store of schedules passes, and is refused when one has changed", { timeout: patience }, async () => {
  const path = aFolder();
  const storage = lmdbStorage({ path, reserveBytes: 1_000_000, preflight: "off" });
  await storage.open(someSettings);
  await storage.commit([
    { type: "putSchedule", schedule: aSchedule({ metadata: { mark: "here it is" } }), ifVersion: 0 },
    { type: "fire", now: birth, firings: [aFiring("schedule", aPlan([birth]), ["a"])], isCounted: true },
  ]);
  await storage.close();
  expect(await findingIn(path)).toBeUndefined();
  const data = readFileSync(join(path, "data.mdb"));
  data.write("t", data.indexOf("here it is"));

  expect(await findingIn(aFolderWith(data))).toBe("STORE_CORRUPT");
});

test("a store of a later version is refused", { timeout: patience }, async () => {
  expect(await findingIn(aStore(4))).toBe("STORE_VERSION");
});

test("a store of the version before is refused, and not called damaged", { timeout: patience }, async () => {
  expect(await findingIn(aStore(2))).toBe("STORE_VERSION");
});

test("a store of another product is refused", { timeout: patience }, async () => {
  expect(await findingIn(aStore(3, "another"))).toBe("STORE_FOREIGN");
});

test("every store that was cut is refused", { timeout: patience }, async () => {
  const cuts: ((data: Buffer) => Uint8Array)[] = [
    () => Buffer.alloc(0),
    (data) => data.subarray(0, 100),
    (data) => data.subarray(0, pageSize),
    (data) => data.subarray(0, 2 * pageSize),
    (data) => data.subarray(0, data.length / 2),
    (data) => data.subarray(0, data.length / 2 + 1_000),
  ];

  expect(await attack(cuts)).toEqual({ refused: cuts.length, harmless: 0 });
});

test("a store that was cut at its end is refused or whole", { timeout: patience }, async () => {
  await attack([1, 512, pageSize, 3 * pageSize].map((bytes) => (data) => data.subarray(0, data.length - bytes)));
});

test("zeroed pages are refused or were free", { timeout: patience }, async () => {
  const random = seeded(1);
  const damages = Array.from({ length: 24 }, (_, index) => (data: Buffer) => {
    const page = index < 4 ? index : random(data.length / pageSize);
    return data.fill(0, page * pageSize, (page + 1) * pageSize);
  });

  expect((await attack(damages)).refused).toBeGreaterThan(4);
});

test("pages that changed places are refused or were free", { timeout: patience }, async () => {
  const random = seeded(2);
  const damages = Array.from({ length: 12 }, () => (data: Buffer) => {
    const [from, to] = [random(data.length / pageSize), random(data.length / pageSize)];
    data.copy(data, to * pageSize, from * pageSize, (from + 1) * pageSize);
    return data;
  });

  expect((await attack(damages)).refused).toBeGreaterThan(4);
});

test("a flipped bit is refused or changes no record", { timeout: patience }, async () => {
  const random = seeded(3);
  const damages = Array.from({ length: 150 }, (_, index) => (data: Buffer) => {
    // Every fifth hits a meta page, in the part that means something.
    const at =
      index % 5 === 0 ? (index % 2) * pageSize + random(200) : 2 * pageSize + random(data.length - 2 * pageSize);
    data[at] = (data[at] ?? 0) ^ (1 << random(8));
    return data;
  });

  expect((await attack(damages)).refused).toBeGreaterThan(40);
});

test("an entry that covers a part of another is refused", { timeout: patience }, async () => {
  // In the events, the value of an entry whose key grew by 64 bytes is that of the second one after it, checksum and all.
  const at = (data: Buffer): number => data.indexOf("event 288") - 4 - "task-000288".length - 2;
  const grown = (data: Buffer): Buffer => {
    expect(data.readUInt16LE(at(data))).toBe("task-000288".length);
    data[at(data)] = "task-000288".length + 64;
    return data;
  };

  expect(await attack([grown])).toEqual({ refused: 1, harmless: 0 });
});

test("a record whose key has changed is refused", { timeout: patience }, async () => {
  // Task 288 was removed, so the keys stay in order. The byte after the checksum tells the records of tasks from others.
  const key = Buffer.from("task-000287");
  const renamed = (data: Buffer): Buffer => {
    for (let at = data.indexOf(key); at !== -1; at = data.indexOf(key, at + 1)) {
      if (data[at + key.length + 4] === (287 & 0xff)) data.write("8", at + key.length - 1);
    }
    return data;
  };

  expect(await attack([renamed])).toEqual({ refused: 1, harmless: 0 });
});

test("a table whose name has changed is missed", { timeout: patience }, async () => {
  const renamed = (data: Buffer): Buffer => {
    for (let at = data.indexOf("tasks\0"); at !== -1; at = data.indexOf("tasks\0", at)) data.write("tasky", at);
    return data;
  };

  expect(await attack([renamed])).toEqual({ refused: 1, harmless: 0 });
});

test("a list of free pages that names a page in use is refused", async () => {
  const store = aStore();
  const file = new DataFile(store);
  const { free, main } = readHeader(file);
  file.close();
  expect(free.depth).toBe(1);
  const data = readFileSync(join(store, "data.mdb"));
  const page = (free.root ?? 0) * pageSize;
  const entry = page + 24 + data.readUInt16LE(page + 24);
  // Past the entry's head, its key of 8 bytes, and the length of the list: a number of pages, and the first of them.
  const items = entry + 8 + 8 + 8;
  const isRange = data.readBigInt64LE(items) < 0n;
  data.writeBigInt64LE(BigInt(main.root ?? 0), isRange ? items + 8 : items);
  const folder = aFolderWith(data);

  await expect(runPreflight(folder)).rejects.toMatchObject({ code: "STORE_CORRUPT" });
  expect(digestsOf([folder])).toEqual(digestsOf([store]));
});

test.runIf(process.platform === "linux")("a reader that crashes is named, and the store called damaged", async () => {
  const folder = aStore();
  const before = new Set(children());
  const outcome = runPreflight(folder).catch((error: unknown) => error);
  const started = children().filter((pid) => !before.has(pid));
  expect(started).toHaveLength(1);
  for (const pid of started) process.kill(pid, "SIGSEGV");

  expect(await outcome).toMatchObject({ code: "STORE_CORRUPT", message: expect.stringContaining("SIGSEGV") as string });
});

test(
  "a reader that is silent for a minute is killed, and the store called damaged",
  { timeout: patience },
  async () => {
    const clock = new VirtualClock();
    const outcome = runPreflight(aStore(), clock).catch((error: unknown) => error);
    clock.advance(60_000);

    expect(await outcome).toMatchObject({ code: "STORE_CORRUPT", message: expect.stringContaining("60 s") as string });
  },
);
