import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Ready } from "../../../src/storage/lmdb/ready.ts";
import { CountedStore } from "./counted-store.ts";

let counted: CountedStore;
beforeEach(() => {
  counted = new CountedStore();
});
afterEach(() => counted.dispose());

const lane = 1;

/** Whether this can still be reached. */
async function isKept(reference: WeakRef<object>): Promise<boolean> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  // What was asked for in a turn stays until its end.
  await new Promise(setImmediate);
  collect();
  return reference.deref() !== undefined;
}

function put(ready: Ready, sequence: number): WeakRef<object> {
  const key = Buffer.alloc(16, sequence % 200);
  ready.put(lane, 0, sequence, key);
  return new WeakRef(key);
}

function take(ready: Ready): void {
  const entry = ready.first(lane);
  expect(entry).toBeDefined();
  if (entry !== undefined) ready.take(lane, entry);
}

test.each([
  ["never backs up", 0],
  ["is never empty", 3],
])("a lane that %s keeps nothing of what was taken out of it", async (_, waiting) => {
  const ready = new Ready(counted.tables.ready);
  expect(ready.first(lane)).toBeUndefined();
  const comeAndGo = (): WeakRef<object> => {
    for (let sequence = 1; sequence <= waiting; sequence++) put(ready, sequence);
    const first = put(ready, waiting + 1);
    for (let sequence = waiting + 2; sequence <= 1_500; sequence++) {
      take(ready);
      put(ready, sequence);
    }
    return first;
  };
  expect(await isKept(counted.commit({ apply: comeAndGo }))).toBe(false);
});

test("what waits in a lane is given in order, however much comes and goes", () => {
  const ready = new Ready(counted.tables.ready);
  const given: number[] = [];
  const takeFirst = (): void => {
    given.push(ready.first(lane)?.sequence ?? 0);
    take(ready);
  };
  const comeAndGo = (): void => {
    for (let sequence = 1; sequence <= 2_000; sequence++) put(ready, sequence);
    for (let sequence = 2_001; sequence <= 3_000; sequence++) {
      takeFirst();
      takeFirst();
      put(ready, sequence);
    }
    while (ready.first(lane) !== undefined) takeFirst();
  };
  counted.commit({ apply: comeAndGo });
  expect(given).toEqual(Array.from({ length: 3_000 }, (_, at) => at + 1));
});
