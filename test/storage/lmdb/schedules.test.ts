import { cpSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lmdbStorage } from "../../../src/storage/lmdb/lmdb.ts";
import { findSchedules, nextScheduleDue, totalsOf } from "../../../src/storage/lmdb/schedule-reading.ts";
import { deleteSchedules, fire, putSchedule, ScheduleChecks } from "../../../src/storage/lmdb/scheduling.ts";
import { settle } from "../../../src/storage/lmdb/settle.ts";
import type { Tables } from "../../../src/storage/lmdb/tables.ts";
import { prune } from "../../../src/storage/lmdb/time.ts";
import type { Firing } from "../../../src/storage/schedule-storage.ts";
import type { Settlement } from "../../../src/storage/storage.ts";
import { aFolder } from "../../support/lmdb-folders.ts";
import { aFiring, aPlan, aSchedule } from "../../support/stored-schedules.ts";
import { birth, someBytes } from "../../support/tasks.ts";
import { someSettings } from "../../conformance/storage/bench.ts";
import { CountedStore, sizeOf } from "./counted-store.ts";

let counted: CountedStore;
beforeEach(() => void (counted = new CountedStore()));
afterEach(() => counted.dispose());

const ofSchedules = [
  "schedules",
  "scheduleStates",
  "scheduleHistory",
  "scheduleNames",
  "scheduleDue",
  "scheduleEvents",
  "scheduleTasks",
] as const satisfies (keyof Tables)[];

const idsFrom = (first: number, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `01900000-0000-7000-8000-${String(first + at).padStart(12, "0")}`);

const put = (ids: readonly string[], given: Parameters<typeof aSchedule>[0] = {}): void => {
  const checks = new ScheduleChecks(counted.store.schedules);
  const steps = ids.map((id) => {
    const schedule = aSchedule({ id, ...given });
    return putSchedule(counted.store, { type: "putSchedule", schedule, ifVersion: 0 }, checks);
  });
  counted.commit({ apply: () => steps.forEach((step) => step.apply()) });
};

const fireAll = (firings: readonly Firing[]) =>
  counted.commit(fire(counted.store, { type: "fire", now: birth, firings, isCounted: true }));

const completeAll = (): void => {
  const settlements = counted.claim({ limit: 1_000 }).tasks.map(({ id, life }): Settlement => {
    return { id, fence: { epoch: 1, attempt: life.attempt }, end: { to: "completed", result: someBytes(1) } };
  });
  counted.commit(settle(counted.store, { type: "settle", now: birth, settlements }, 1));
};

test("an opening reads nothing of schedules", () => {
  put(idsFrom(1, 300));
  const work = ofSchedules.map((table) => counted.work(() => counted.reopen(), table).reads);
  expect(work).toEqual(ofSchedules.map(() => 0));
});

test("the next due and the totals are told without a look at the schedules", () => {
  put(idsFrom(1, 300));
  const { reads } = counted.work(() => {
    nextScheduleDue(counted.store);
    totalsOf(counted.store, birth);
  });
  expect(reads).toBeLessThan(4);
});

test("an event looks at the schedules that want it", async () => {
  put(idsFrom(1, 300));
  put(idsFrom(301, 2), { trigger: { type: "onEvent", event: "sold" } });
  let found = 0;
  const pages: Promise<unknown>[] = [];
  const { reads } = counted.work(() => {
    pages.push(
      findSchedules(counted.store, { event: "sold", limit: 1 }).then(({ schedules }) => (found = schedules.length)),
    );
  });
  await Promise.all(pages);
  expect([found, reads < 12]).toEqual([1, true]);
});

test("ends that come together write what becomes of their schedule once, and nothing of its definition", () => {
  put(["schedule"]);
  fireAll([aFiring("schedule", aPlan([birth]), ["a", "b", "c"])]);
  const claimed = counted.claim({ limit: 10 }).tasks;
  const settlements = claimed.map(({ id, life }): Settlement => {
    return { id, fence: { epoch: 1, attempt: life.attempt }, end: { to: "completed", result: someBytes(1) } };
  });
  const end = (): unknown => counted.commit(settle(counted.store, { type: "settle", now: birth, settlements }, 1));
  let writes = 0;
  const ofDefinitions = counted.work(() => (writes = counted.work(end, "scheduleStates").writes), "schedules");
  expect([writes, ofDefinitions.writes]).toEqual([1, 0]);
  expect(counted.store.schedules.get("schedule")?.results).toMatchObject({ unfinished: 0, successCount: 3 });
});

test("more schedules than stay at hand fire as one does", () => {
  const ids = idsFrom(1, 2_500);
  put(ids);
  for (let round = 0; round < 2; round++) {
    const firings = ids.map((id, at) => aFiring(id, aPlan([birth + round]), [`${round}-${at}`]));
    expect(fireAll(firings).flat().filter(Boolean)).toHaveLength(2_500);
  }
  counted.reopen();
  expect(ids.every((id) => counted.store.schedules.get(id)?.state.runCount === 2)).toBe(true);
});

test("schedules that are deleted leave nothing behind, but for the tasks that there are", () => {
  const ids = idsFrom(1, 3);
  put(ids, { trigger: { type: "onEvent", event: "sold" }, state: { retryAt: birth } });
  fireAll(ids.map((id) => aFiring(id, aPlan([birth]), [`task of ${id}`])));
  const change = { type: "deleteSchedules", ids, now: birth } as const;
  counted.commit(deleteSchedules(counted.store, change, new ScheduleChecks(counted.store.schedules)));
  expect(ofSchedules.map((table) => sizeOf(counted.tables[table]))).toEqual([0, 0, 0, 0, 0, 0, 3]);
  completeAll();
  counted.commit(prune(counted.store, { type: "prune", now: birth + 1e9, limit: 100 }));
  expect(sizeOf(counted.tables.scheduleTasks)).toBe(0);
});

test("a crash after the end of a task leaves the schedule that waits for it due", async () => {
  const path = aFolder();
  const storage = lmdbStorage({ path, reserveBytes: 1_000_000, preflight: "off" });
  const { epoch } = await storage.open(someSettings);
  const schedule = aSchedule({ overlap: "coalesce" });
  const firing = aFiring("schedule", aPlan([birth, birth + 100]), ["a", "b"]);
  await storage.commit([
    { type: "putSchedule", schedule, ifVersion: 0 },
    { type: "fire", now: birth + 100, firings: [firing], isCounted: true },
    { type: "claim", limit: 1, now: birth + 100, owner: "test" },
  ]);
  const end = { to: "completed", result: someBytes() } as const;
  await storage.commit([
    { type: "settle", now: birth + 150, settlements: [{ id: "a", fence: { epoch, attempt: 1 }, end }] },
  ]);
  // What is on disk at this moment is what a crash leaves.
  const copy = aFolder();
  for (const name of ["data.mdb", "store.json"]) cpSync(join(path, name), join(copy, name));
  const after = lmdbStorage({ path: copy, reserveBytes: 1_000_000, preflight: "off" });
  await after.open(someSettings);

  expect(await after.nextDue()).toMatchObject({ schedule: birth + 150 });
  expect(await after.dueSchedules(birth + 150, 10)).toMatchObject([
    { id: "schedule", state: { pendingSlot: birth + 100 }, results: { unfinished: 0, successCount: 1 } },
  ]);
  await after.close();
  await storage.close();
});
