import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Heap } from "../../src/storage/heap.ts";

interface Entry {
  readonly rank: number;
  isCurrent: boolean;
}

const aHeap = () =>
  new Heap<Entry>(
    (a, b) => a.rank < b.rank,
    ({ isCurrent }) => isCurrent,
  );

describe("a heap", () => {
  it("gives what was pushed in order of rank, without what was forgotten", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(50), fc.boolean()), { maxLength: 400, size: "max" }), (given) => {
        const heap = aHeap();
        const entries = given.map(([rank]): Entry => ({ rank, isCurrent: true }));
        for (const entry of entries) heap.push(entry);
        for (const [index, [, isForgotten]] of given.entries()) {
          const entry = entries[index];
          if (!isForgotten || entry === undefined) continue;
          entry.isCurrent = false;
          heap.forget();
        }
        const ranks: number[] = [];
        for (let entry = heap.pop(); entry !== undefined; entry = heap.pop()) ranks.push(entry.rank);
        const expected = given.filter(([, isForgotten]) => !isForgotten).map(([rank]) => rank);
        expect(ranks).toEqual(expected.sort((a, b) => a - b));
      }),
    );
  });

  it("keeps what it shows", () => {
    const heap = aHeap();
    heap.push({ rank: 2, isCurrent: true });
    heap.push({ rank: 1, isCurrent: true });
    expect([heap.peek()?.rank, heap.peek()?.rank]).toEqual([1, 1]);
  });

  it("shows nothing when all was forgotten", () => {
    const heap = aHeap();
    const entry = { rank: 1, isCurrent: true };
    heap.push(entry);
    entry.isCurrent = false;
    heap.forget();
    expect([heap.peek(), heap.pop()]).toEqual([undefined, undefined]);
  });
});
