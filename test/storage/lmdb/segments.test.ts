import { beforeEach, afterEach, expect, test } from "vitest";
import { newId, newIds } from "../../../src/base/id.ts";
import { DuplicateTaskError } from "../../../src/base/errors.ts";
import { settle } from "../../../src/storage/lmdb/settle.ts";
import { publish, stage } from "../../../src/storage/lmdb/stages.ts";
import type { NewTask } from "../../../src/storage/storage.ts";
import type { StoredTask } from "../../../src/task/task.ts";
import { aTask, birth } from "../../support/tasks.ts";
import { CountedStore, sizeOf } from "./counted-store.ts";

let counted: CountedStore;
beforeEach(() => {
  counted = new CountedStore();
});
afterEach(() => counted.dispose());

/** Tasks of one call. */
function aCall(ids: readonly string[]): NewTask[] {
  const { request } = aTask();
  return ids.map((id) => ({ ...aTask({ id }), request }));
}

const greatest = "f7a1c3d0-5b1e-4a52-9f6e-0d8f2a7c4b11";

test("a caller's id that is greater than all others keeps no call out of segments", () => {
  counted.enqueue(aTask({ id: greatest }));
  counted.enqueue(...aCall(newIds(1_000)));
  expect([sizeOf(counted.tables.tasks), sizeOf(counted.tables.segments)]).toEqual([1, 2]);
  expect(counted.claim({ limit: 2_000 }).tasks).toHaveLength(1_001);
});

test("ids that were made up front lie in segments, whatever is enqueued before they come", () => {
  const ids = newIds(1_500);
  const parts = [ids.slice(0, 500), ids.slice(500, 1_000), ids.slice(1_000)];
  for (const part of parts) {
    counted.commit(stage(counted.store, { type: "stage", stage: "s", tasks: aCall(part) }));
    counted.enqueue(aTask({ id: newId() }));
  }
  counted.commit(publish(counted.store, { type: "publish", stage: "s", how: "appear" }));
  expect([sizeOf(counted.tables.tasks), sizeOf(counted.tables.segments)]).toEqual([3, 3]);
  expect(counted.claim({ limit: 2_000 }).tasks).toHaveLength(1_503);
});

test("calls whose ids lie within each other share no segment, and every task is found", () => {
  const ids = newIds(400);
  const isEven = (_: string, at: number): boolean => at % 2 === 0;
  counted.enqueue(...aCall(ids.filter(isEven)));
  counted.enqueue(...aCall(ids.filter((id, at) => !isEven(id, at))));
  expect(sizeOf(counted.tables.segments)).toBe(1);
  expect(ids.filter((id) => counted.store.find(keyOf(id)) === undefined)).toEqual([]);
  expect(counted.claim({ limit: 2_000 }).tasks).toHaveLength(400);
});

test("a call between two others, or around one, finds an id that is taken", () => {
  const ids = newIds(300);
  counted.enqueue(...aCall(ids.slice(100, 200)));
  for (const taken of [ids.slice(50, 101), ids.slice(199, 210), ids.slice(120, 130), ids]) {
    expect(() => counted.enqueue(...aCall(taken))).toThrow(DuplicateTaskError);
  }
  counted.enqueue(...aCall(ids.slice(0, 100)));
  counted.enqueue(...aCall(ids.slice(200)));
  expect(sizeOf(counted.tables.segments)).toBe(3);
});

test("to end one of many small segments of a claim writes no more, however many they are", () => {
  const [few, many] = [20, 200].map((size) => {
    for (let at = 0; at < size; at++) counted.enqueue(...aCall(newIds(2)));
    const { tasks } = counted.claim({ limit: 2 * size });
    expect(tasks).toHaveLength(2 * size);
    const work = counted.work(() => tasks.forEach(complete), "claims");
    return work.bytes / size;
  });
  expect(many).toBe(few);
});

function complete({ id, life }: StoredTask): void {
  const end = { to: "completed", result: new Uint8Array(0) } as const;
  const settlements = [{ id, fence: { epoch: 1, attempt: life.attempt }, end }];
  expect(counted.commit(settle(counted.store, { type: "settle", now: birth, settlements }, 1))).toEqual([true]);
}

const keyOf = (id: string): Buffer => Buffer.from(id.replaceAll("-", ""), "hex");
