import { expect, test } from "vitest";
import { endsOf, faultOf, valueOf, type Bench } from "./bench.ts";

export function dying(bench: Bench): void {
  test.each([
    ["exits", 0],
    ["exits", 3],
    ["exitsLater", 0],
    ["exitsLater", 3],
    ["exitsInFinally", 1],
  ])("%s(%i) is the crash of the task that did it, and nothing is lost", async (name, code) => {
    const reports = await bench.run(["add", 1, 2], [name, code], ["noop"], ["noop"]);

    expect(endsOf(reports)).toEqual(["value", "crash", "unstarted", "unstarted"]);
    expect(faultOf(reports[1])).toMatchObject({
      fault: { reason: "crash", isRetryable: true },
      error: { code: "WORKER_CRASH", message: expect.stringContaining(`code ${code}`) },
    });
    expect(reports[1]).toMatchObject({ startedAt: expect.any(Number), durationMs: expect.any(Number) });
    expect(valueOf((await bench.run(["add", 1, 1]))[0])).toBe(2);
  });

  test("running out of memory is the crash of the task that did it", async () => {
    const reports = await bench.run(["spinFor", 2], ["exhausts"], ["noop"]);

    expect(endsOf(reports)).toEqual(["value", "crash", "unstarted"]);
    expect(faultOf(reports[1]).error.message).toContain("out of memory");
  });

  test("who else was waiting on the same worker is interrupted, not blamed", async () => {
    const waiting = Array.from({ length: bench.atOnce - 1 }, () => bench.fly([["neverSettles"], ["noop"]]));
    await Promise.all(waiting.map((flight) => flight.reaches(0)));

    const guilty = await bench.fly([["exitsLater", 7]]).landed;
    const onSameWorker = waiting.filter(({ isIdle }) => isIdle);
    const others = waiting.filter((flight) => !onSameWorker.includes(flight));
    for (const flight of others) flight.run.stop(flight.id(0), "end of test", 0);

    expect(endsOf(guilty)).toEqual(["crash"]);
    expect(onSameWorker.length > 0).toBe(bench.traits.sharesWorkers);
    for (const { landed } of onSameWorker) expect(endsOf(await landed)).toEqual(["interrupted", "unstarted"]);
    for (const { landed } of others) expect(endsOf(await landed)[0]).toBe("stopped");
  });

  test("many deaths in a row do not wear the executor out", async () => {
    for (let round = 0; round < 8; round += 1) {
      const flights = Array.from({ length: bench.executor.slots }, () => bench.fly([["noop"], ["exits", 1], ["noop"]]));
      const reports = await Promise.all(flights.map(({ landed }) => landed));

      for (const [first, second, third] of reports.map(endsOf)) {
        // A batch may lose its worker to its neighbour.
        expect(["value", "unstarted", "interrupted"]).toContain(first);
        expect(["crash", "unstarted"]).toContain(second);
        expect(third).toBe("unstarted");
      }
      expect(reports.flat().filter((report) => endsOf([report])[0] === "crash").length).toBeGreaterThan(0);
    }

    expect(endsOf(await bench.run(["add", 1, 1]))).toEqual(["value"]);
  });
}
