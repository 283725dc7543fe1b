import { writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import type { Executor } from "../../../src/executor/executor.ts";
import { decode, encode } from "../../../src/task/codec.ts";
import { aCall, endsOf, eventually, faultOf, fixture, Flight, valueOf, type Bench, type Call } from "./bench.ts";

/** Progress, logs, heartbeats and checkpoints. */
export function noting(bench: Bench): void {
  let executor: Executor;
  beforeAll(async () => {
    executor = bench.create({ modules: [fixture("talking.mjs")] });
    await executor.start();
  });
  const fly = (...call: Call): Flight => new Flight(executor, [aCall(call)]);
  const flown = async (...call: Call): Promise<Flight> => {
    const flight = fly(...call);
    await flight.landed;
    return flight;
  };
  const progressOf = ({ notes }: Flight): unknown[] =>
    notes.flatMap(({ progress }) => (progress === undefined ? [] : [decode(progress)]));
  const linesOf = ({ notes }: Flight) => notes.flatMap(({ lines = [] }) => lines);
  const reportOf = async (flight: Flight) => (await flight.landed)[0];

  describe("progress", () => {
    test("comes from inside a loop, seldom enough, the last before the report", async () => {
      const flight = await flown("counts", 1_000, 200);

      const seen = progressOf(flight) as { done: number }[];
      expect(seen.length).toBeGreaterThan(1);
      expect(seen.length).toBeLessThan(20);
      expect(seen.at(-1)).toEqual({ done: 1_000, total: 1_000 });
      expect(seen.map(({ done }) => done)).toEqual(seen.map(({ done }) => done).toSorted((a, b) => a - b));
      expect(flight.notes.every(({ isLate }) => !isLate)).toBe(true);
    });

    test("comes while the handler waits, of several at once the last", async () => {
      const path = bench.path();
      const flight = fly("tellsAndWaits", path);

      await eventually(() => progressOf(flight).includes("second"));
      writeFileSync(path, "");

      await flight.landed;
      expect(progressOf(flight)).toEqual(["first", "second"]);
    });

    test("is any value that could be an argument, and says whose it is", async () => {
      const flight = await flown("tells", { step: "upload", at: new Date(5) });

      expect(progressOf(flight)).toEqual([{ step: "upload", at: new Date(5) }]);
      expect(flight.notes[0]).toMatchObject({ id: flight.id(0), attempt: 1 });
    });

    test("that cannot be sent is refused where it is told", async () => {
      expect(faultOf(await reportOf(fly("tellsUnfit"))).error.code).toBe("NOT_SERIALIZABLE");
      expect(faultOf(await reportOf(fly("tellsHalf"))).error.code).toBe("INVALID_ARGUMENT");
    });
  });

  describe("logs", () => {
    test("keep their order, level and fields", async () => {
      const flight = await flown("logs", ["info", "one"], ["error", "two", { file: "a.png", size: [1, 2] }]);

      const common = { attempt: 1, at: expect.any(Number) };
      expect(linesOf(flight)).toEqual([
        { ...common, level: "info", message: "one" },
        { ...common, level: "error", message: "two", fields: { file: "a.png", size: [1, 2] } },
      ]);
    });

    test.each([
      ["lines", 5_000, 1, 1_000],
      ["bytes", 200, 1_000, 65],
    ])("end with a line that says so when there are too many %s", async (_, count, size, kept) => {
      const lines = linesOf(await flown("logsMany", count, size));

      expect(lines).toHaveLength(kept + 1);
      expect(lines.at(-1)).toMatchObject({ level: "warn", message: expect.stringContaining("full") });
    });

    test("of an unknown level, or with fields that are no data, are refused", async () => {
      expect(faultOf(await reportOf(fly("logs", ["loud", "one"]))).error.code).toBe("INVALID_ARGUMENT");
      expect(faultOf(await reportOf(fly("logs", ["info", "one", [1]]))).error.code).toBe("NOT_SERIALIZABLE");
    });
  });

  test("a note comes before the report, whenever somebody begins to wait", async () => {
    const late: unknown[] = [];
    for (let number = 0; number < 200; number++) {
      const flight = fly("logs", ["info", "one"]);
      for (let turn = 0; turn < number % 8; turn++) await new Promise((resolve) => setImmediate(resolve));
      flight.run.hurry?.();
      await flight.landed;
      late.push(...flight.notes.filter(({ isLate }) => isLate));
    }

    expect(late).toEqual([]);
  });

  test("a heartbeat is a note with nothing in it", async () => {
    const path = bench.path();
    const flight = fly("beats", path);

    await eventually(() => flight.notes.length > 0);
    writeFileSync(path, "");

    await flight.landed;
    expect(flight.notes).toEqual([{ id: flight.id(0), attempt: 1, isLate: false }]);
  });

  describe("checkpoints", () => {
    test("are made once, and stored before they are given", async () => {
      const flight = fly("remembers", "a", "b", "a");
      const values = valueOf(await reportOf(flight)) as string[];

      expect(values[2]).toBe(values[0]);
      expect([...flight.checkpoints].map(([key, value]) => [key, decode(value)])).toEqual([
        [`${flight.id(0)} a`, values[0]],
        [`${flight.id(0)} b`, values[1]],
      ]);
    });

    test("are found where an earlier attempt has stored them", async () => {
      const flight = fly("remembers", "a", "b");
      flight.checkpoints.set(`${flight.id(0)} a`, encode("of old", "value", { maxBytes: 100 }));

      expect(valueOf(await reportOf(flight))).toEqual(["of old", expect.stringMatching(/^b \d+$/)]);
    });

    test("that are made at the same time are one", async () => {
      expect(valueOf(await reportOf(fly("remembersAtOnce", "key")))).toEqual([1, 1]);
    });

    test("that failed are made again when they are asked for again", async () => {
      expect(valueOf(await reportOf(fly("remembersAfterFailing")))).toBe("now");
    });

    test("of an attempt that is over are refused", async () => {
      const flight = fly("remembers", "a");
      flight.isKeeping = false;

      expect(faultOf(await reportOf(flight)).error.message).toMatch(/This attempt is over/);
    });

    test("are refused in a sync handler, with advice", async () => {
      expect(faultOf(await reportOf(fly("forgetsToWait")))).toMatchObject({
        fault: { isRetryable: false },
        error: { code: "INVALID_ARGUMENT", message: expect.stringContaining("async") },
      });
      expect(endsOf([await reportOf(fly("remembers", "a"))])).toEqual(["value"]);
    });

    test("that cannot be stored, or have no name, are refused", async () => {
      expect(faultOf(await reportOf(fly("remembersUnfit"))).error.code).toBe("NOT_SERIALIZABLE");
      expect(faultOf(await reportOf(fly("remembersWithoutName"))).error.code).toBe("INVALID_ARGUMENT");
    });
  });
}
