import fc from "fast-check";
import { expect, test } from "vitest";
import { RingBuffer } from "../../src/actor/ring-buffer.ts";

test("a ring buffer gives back what it was given in the same order, however pushes and shifts are mixed", () => {
  const steps = fc.array(fc.tuple(fc.nat({ max: 3_000 }), fc.nat({ max: 3_000 })), { maxLength: 8 });
  fc.assert(
    fc.property(steps, (rounds) => {
      const ring = new RingBuffer<number>();
      let pushed = 0;
      let shifted = 0;
      for (const [pushes, shifts] of rounds) {
        for (let i = 0; i < pushes; i++) ring.push(pushed++);
        for (let i = 0; i < shifts; i++) {
          const expected = shifted < pushed ? shifted++ : undefined;
          // Plain comparison: expect() is too slow for millions of calls.
          if (ring.shift() !== expected) throw new Error(`item ${expected} is out of order`);
        }
        expect(ring.size).toBe(pushed - shifted);
      }
    }),
    { numRuns: 50 },
  );
});
