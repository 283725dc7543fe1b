import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Outbox, outboxBytes } from "../../src/executor/outbox.ts";

/** Both sides of the last of three. */
function anOutbox(): { worker: Outbox; supervisor: Outbox } {
  const memory = new SharedArrayBuffer(outboxBytes(3));
  return { worker: new Outbox(memory, 2), supervisor: new Outbox(memory, 2) };
}

const aReport = fc.uint8Array({ minLength: 1, maxLength: 600 });

describe("an outbox", () => {
  test("gives everything that found room once, in order, whenever it is collected", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(aReport, fc.constant("collect" as const)), { maxLength: 60 }), (steps) => {
        const { worker, supervisor } = anOutbox();
        const left: number[] = [];
        const collected: number[] = [];
        for (const step of steps) {
          if (step === "collect") collected.push(...supervisor.collect());
          else if (worker.offer(step)) left.push(...step);
        }
        collected.push(...supervisor.collect());

        expect(collected).toEqual(left);
      }),
    );
  });

  test("refuses what it has no room for, and takes what is smaller", () => {
    const { worker, supervisor } = anOutbox();
    const size = outboxBytes(1) - 64;

    expect(worker.offer(new Uint8Array(size - 1))).toBe(true);
    expect(worker.offer(new Uint8Array(2))).toBe(false);
    expect(worker.offer(new Uint8Array(1))).toBe(true);
    expect(supervisor.collect()).toHaveLength(size);
  });

  test("is empty for the next batch", () => {
    const { worker, supervisor } = anOutbox();
    worker.offer(new Uint8Array(10));
    supervisor.hurry();
    supervisor.clear();
    worker.clear();

    expect(supervisor.collect()).toHaveLength(0);
    expect(worker.isUrgent).toBe(false);
  });

  test("lies apart from its neighbours", () => {
    const memory = new SharedArrayBuffer(outboxBytes(3));
    const [first, second, third] = [0, 1, 2].map((number) => new Outbox(memory, number)) as [Outbox, Outbox, Outbox];
    second.offer(new Uint8Array(outboxBytes(1) - 64).fill(7));
    second.hurry();

    expect([first.isUrgent, third.isUrgent]).toEqual([false, false]);
    expect([first.collect().length, third.collect().length]).toEqual([0, 0]);
  });

  test("what is collected stays as it was when the memory is used again", () => {
    const { worker, supervisor } = anOutbox();
    worker.offer(new Uint8Array([1, 2, 3]));
    const collected = supervisor.collect();
    supervisor.clear();
    worker.clear();
    worker.offer(new Uint8Array([9, 9, 9]));

    expect([...collected]).toEqual([1, 2, 3]);
  });

  test("tells the worker that the supervisor is in a hurry", () => {
    const { worker, supervisor } = anOutbox();
    expect(worker.isUrgent).toBe(false);
    supervisor.hurry();
    expect(worker.isUrgent).toBe(true);
  });
});
