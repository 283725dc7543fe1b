import { expect, onTestFinished, test } from "vitest";
import { PublishedSlot, SlotFile } from "../../src/executor/slot-file.ts";
import { slotBytes } from "../../src/executor/slots.ts";

function aFile(slots: number): { file: SlotFile; memory: SharedArrayBuffer } {
  const file = new SlotFile(slots);
  onTestFinished(() => file.close());
  return { file, memory: new SharedArrayBuffer(slotBytes(slots)) };
}

test("what a child begins is seen from outside, before it has ended", () => {
  const { file, memory } = aFile(2);
  const slot = new PublishedSlot(memory, 1, file.fd);

  slot.take(5);
  slot.begin(slot.take(5), 1_795_000_000_000.5);

  const seen = file.read(1);
  expect([seen.taken, seen.running?.index, seen.startedAt]).toEqual([2, 1, 1_795_000_000_000.5]);
  expect(file.read(0).running).toBeUndefined();
});

test("what a child says of its death is seen from outside", () => {
  const { file, memory } = aFile(1);

  new PublishedSlot(memory, 0, file.fd).blame(false);

  expect(file.read(0).blamed).toBe("innocent");
});

test("a slot that was cleared shows nothing of the batch before", () => {
  const { file, memory } = aFile(1);
  const slot = new PublishedSlot(memory, 0, file.fd);
  slot.begin(slot.take(1), 5);

  file.clear(0);

  const seen = file.read(0);
  expect([seen.taken, seen.running, seen.startedAt, seen.blamed]).toEqual([0, undefined, 0, "unknown"]);
});
