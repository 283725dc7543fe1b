import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { Slot, slotBytes } from "../../src/executor/slots.ts";

const aSlot = (): Slot => new Slot(new SharedArrayBuffer(slotBytes(1)), 0);

test("tasks are taken in order, up to the last", () => {
  const slot = aSlot();

  expect([slot.take(2), slot.take(2), slot.take(2)]).toEqual([0, 1, -1]);
  expect(slot.taken).toBe(2);
});

test("after a revocation nothing is taken, and what was taken stays counted", () => {
  const slot = aSlot();
  slot.take(5);

  expect(slot.revoke()).toBe(1);
  expect([slot.take(5), slot.take(5)]).toEqual([-1, -1]);
  expect(slot.revoke()).toBe(1);
  expect(slot.taken).toBe(1);
});

test("a task is taken back with all behind it, unless it was taken", () => {
  const slot = aSlot();
  slot.take(5);

  expect([slot.revokeFrom(0), slot.take(5)]).toEqual([undefined, 1]);
  expect([slot.revokeFrom(3), slot.take(5)]).toEqual([2, -1]);
});

test("a slot tells what runs in it, since when, and whether its handler waits", () => {
  const slot = aSlot();

  expect(slot.running).toBeUndefined();
  slot.begin(0, 1_795_000_000_000.5);
  expect(slot.running).toEqual({ index: 0, isWaiting: false });
  expect(slot.startedAt).toBe(1_795_000_000_000.5);
  slot.wait();
  expect(slot.running).toEqual({ index: 0, isWaiting: true });
  slot.end();
  expect(slot.running).toBeUndefined();
});

test("a stop is for one task", () => {
  const slot = aSlot();
  slot.askStop(0);

  expect([slot.isStopAsked(0), slot.isStopAsked(1)]).toEqual([true, false]);
});

test("blame is unknown until it is said", () => {
  const slot = aSlot();
  const before = slot.blamed;
  slot.blame(false);
  const innocent = slot.blamed;
  slot.blame(true);

  expect([before, innocent, slot.blamed]).toEqual(["unknown", "innocent", "guilty"]);
});

test("a cleared slot is as new", () => {
  const slot = aSlot();
  slot.take(1);
  slot.begin(0, 5);
  slot.askStop(0);
  slot.blame(true);
  slot.revoke();

  slot.clear();

  expect([slot.taken, slot.running, slot.isStopAsked(0), slot.blamed, slot.take(1)]).toEqual([
    0,
    undefined,
    false,
    "unknown",
    0,
  ]);
});

test("slots do not touch each other", () => {
  const memory = new SharedArrayBuffer(slotBytes(3));
  const [left, middle, right] = [0, 1, 2].map((number) => new Slot(memory, number)) as [Slot, Slot, Slot];

  middle.begin(7, Number.MAX_VALUE);
  middle.take(9);
  middle.askStop(7);
  middle.blame(true);

  for (const slot of [left, right]) {
    expect([slot.taken, slot.running, slot.startedAt, slot.isStopAsked(7), slot.blamed]).toEqual([
      0,
      undefined,
      0,
      false,
      "unknown",
    ]);
  }
});

test("a thread that takes and one that revokes agree, however close they come", async () => {
  const rounds = 5_000;
  const count = 200;
  const memory = new SharedArrayBuffer(slotBytes(rounds));
  const ready = new Int32Array(new SharedArrayBuffer(4));
  const taker = `
    const { parentPort, workerData: { url, memory, ready, rounds, count } } = require("node:worker_threads");
    import(url).then(({ Slot }) => {
      const taken = [];
      for (let round = 0; round < rounds; round += 1) {
        const slot = new Slot(memory, round);
        Atomics.store(ready, 0, round + 1);
        let last = -1;
        for (let index = slot.take(count); index !== -1; index = slot.take(count)) last = index;
        taken.push(last + 1);
      }
      parentPort.postMessage(taken);
    });`;
  const url = new URL("../../dist/executor/slots.js", import.meta.url).href;
  const worker = new Worker(taker, { eval: true, workerData: { url, memory, ready, rounds, count } });
  const answer = once(worker, "message");

  const revoked: number[] = [];
  while (Atomics.load(ready, 0) === 0) await new Promise(setImmediate);
  for (let round = 0; round < rounds; round += 1) {
    while (Atomics.load(ready, 0) <= round);
    revoked.push(new Slot(memory, round).revoke());
  }
  const [taken] = (await answer) as [number[]];

  expect(revoked).toEqual(taken);
  expect(revoked.some((started) => started < count)).toBe(true);
});
