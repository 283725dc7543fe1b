import fc from "fast-check";
import { expect, test } from "vitest";
import { endsOf, eventually, faultOf, valueOf, type Bench, type Call } from "./bench.ts";

const hour = 3_600_000;

export function stopping(bench: Bench): void {
  test.each(["untilAborted", "untilDelayAborted", ...(bench.traits.isolates ? ["untilCancelled"] : [])])(
    "a handler that ends because it is stopped (%s) is reported as stopped, and the batch goes on",
    async (name) => {
      const flight = bench.fly([["noop"], [name], ["add", 1, 1]]);

      await flight.reaches(1);
      flight.run.stop(flight.id(1), "no longer wanted", hour);

      expect(endsOf(await flight.landed)).toEqual(["value", "stopped", "value"]);
    },
  );

  test("the reason of the signal is a CancelledError with the reason", async () => {
    const flight = bench.fly([["readsReason"]]);

    await flight.reaches(0);
    flight.run.stop(flight.id(0), "no longer wanted", hour);

    const [report] = await flight.landed;
    expect(valueOf(report)).toEqual({ message: "no longer wanted", code: "CANCELLED" });
  });

  test.each<[name: string, value: string]>([
    ["untilAbortedThenValue", "finished anyway"],
    ...(bench.traits.isolates ? [["untilFlag", "saw it"] satisfies [string, string]] : []),
  ])("a handler that is stopped and gives a value all the same (%s) has its value reported", async (name, value) => {
    const flight = bench.fly([[name]]);

    await flight.reaches(0);
    flight.run.stop(flight.id(0), "no longer wanted", hour);

    const [report] = await flight.landed;
    expect(valueOf(report)).toBe(value);
  });

  test("an error that is not the stop's is reported as a fault", async () => {
    const flight = bench.fly([["untilAbortedThenFails"]]);

    await flight.reaches(0);
    flight.run.stop(flight.id(0), "no longer wanted", hour);

    const [report] = await flight.landed;
    expect(faultOf(report).error.message).toBe("could not clean up");
  });

  test.runIf(bench.traits.isolates)("a listener of the signal that throws is the fault of its task", async () => {
    const flight = bench.fly([["abortListenerThrows"]]);

    await flight.reaches(0);
    flight.run.stop(flight.id(0), "no longer wanted", hour);

    const [report] = await flight.landed;
    expect(faultOf(report).error.message).toBe("listener is broken");
  });

  test("an AbortError that nobody asked for is a fault", async () => {
    const [report] = await bench.run(["throwsAbortUnasked"]);

    expect(faultOf(report).error.name).toBe("AbortError");
  });

  test
    .runIf(bench.traits.isolates)
    .each([
      "hangs",
      "hangsAfterAwait",
      "neverSettles",
      "sleepsInAtomics",
      "ignoresFlag",
      "ignoresSignal",
      "loopsInMicrotasks",
      "loopsInImmediates",
    ])("a handler that does not stop (%s) is ended after the grace, and others run on", async (name) => {
    const flight = bench.fly([[name], ["noop"]]);

    await flight.reaches(0);
    flight.run.stop(flight.id(0), "no longer wanted", 5);

    const [report, next] = endsOf(await flight.landed);
    expect(report).toBe("stopped");
    // A worker that still hears may have given up the promise alone, or have heard before it called the handler.
    expect(["unstarted", "value"]).toContain(next);
    expect(endsOf(await bench.run(["noop"]))).toEqual(["value"]);
  });

  test("a second stop does not make the grace longer", async () => {
    const flight = bench.fly([["neverSettles"]]);

    await flight.reaches(0);
    flight.run.stop(flight.id(0), "no longer wanted", 5);
    flight.run.stop(flight.id(0), "asked twice", hour);

    expect(endsOf(await flight.landed)).toEqual(["stopped"]);
  });

  test("a second stop may lose patience sooner", async () => {
    const flight = bench.fly([["neverSettles"]]);

    await flight.reaches(0);
    flight.run.stop(flight.id(0), "no longer wanted", Number.POSITIVE_INFINITY);
    flight.run.stop(flight.id(0), "its time is up", 5);

    expect(endsOf(await flight.landed)).toEqual(["stopped"]);
  });

  test("stopping what has not started gives it back", async () => {
    const file = bench.path();
    const flight = bench.fly([
      ["waitForFile", file],
      ["add", 1, 1],
    ]);

    await flight.reaches(0);
    flight.run.stop(flight.id(1), "no longer wanted", 0);
    await eventually(() => flight.reports.has(flight.id(1)));
    await bench.run(["makeFile", file]);

    expect(endsOf(await flight.landed)).toEqual(["value", "unstarted"]);
  });

  test("stopping what has ended, or is none of the batch, changes nothing", async () => {
    const flight = bench.fly([["noop"]]);
    await flight.landed;

    flight.run.stop(flight.id(0), "too late", 0);
    flight.run.stop("somebody else", "unknown", 0);
    flight.run.revoke();

    expect(endsOf(await bench.run(["add", 1, 1]))).toEqual(["value"]);
  });

  test("what is revoked while another task runs comes back at once, and only that", async () => {
    const file = bench.path();
    const flight = bench.fly([["add", 1, 1], ["waitForFile", file, "x"], ["noop"], ["noop"]]);

    await flight.reaches(1);
    flight.run.revoke();
    await eventually(() => flight.reports.has(flight.id(3)));
    expect(flight.isIdle).toBe(false);
    await bench.run(["makeFile", file]);

    expect(endsOf(await flight.landed)).toEqual(["value", "value", "unstarted", "unstarted"]);
  });

  test.runIf(bench.traits.isolates)(
    "what is behind a handler that hangs comes back, and the handler hangs on",
    async () => {
      const flight = bench.fly([["hangs"], ["noop"], ["noop"]]);

      await flight.reaches(0);
      flight.run.revoke();
      await eventually(() => flight.reports.has(flight.id(2)));
      expect(flight.run.current()?.id).toBe(flight.id(0));
      flight.run.stop(flight.id(0), "end of test", 0);

      expect(endsOf(await flight.landed)).toEqual(["stopped", "unstarted", "unstarted"]);
    },
  );

  test.runIf(bench.traits.atOnce(2) < 2)("a batch that waits for its worker can be taken back", async () => {
    const running = Array.from({ length: bench.atOnce }, () => bench.fly([["untilAborted"]]));
    await Promise.all(running.map((flight) => flight.reaches(0)));
    const [revoked, stopped] = [bench.fly([["noop"], ["noop"]]), bench.fly([["noop"], ["noop"]])];

    revoked.run.revoke();
    stopped.run.stop(stopped.id(0), "no longer wanted", 0);

    await eventually(() => revoked.reports.size === 2 && stopped.reports.size === 2);
    expect(running.some(({ isIdle }) => isIdle)).toBe(false);
    for (const flight of running) flight.run.stop(flight.id(0), "end of test", hour);

    const reports = [...(await revoked.landed), ...(await stopped.landed)];
    expect(endsOf(reports)).toEqual(reports.map(() => "unstarted"));
    await Promise.all(running.map(({ landed }) => landed));
  });

  test("a report of what was never started has no times", async () => {
    const flight = bench.fly([["untilAborted"], ["noop"]]);
    await flight.reaches(0);
    flight.run.revoke();
    flight.run.stop(flight.id(0), "end of test", hour);

    const [, report] = await flight.landed;

    expect(report).toEqual({ id: flight.id(1), end: { type: "unstarted" } });
  });

  test("revoking at any moment splits a batch in two: started and not", async () => {
    const step = fc.record({ size: fc.integer({ min: 1, max: 200 }), after: fc.integer({ min: 0, max: 400 }) });

    await fc.assert(
      fc.asyncProperty(step, async ({ size, after }) => {
        const calls = Array.from({ length: size }, (): Call => ["countCalls"]);
        const flight = bench.fly(calls);
        for (let spins = 0; spins < after; spins += 1) flight.run.current();
        flight.run.revoke();

        const ends = endsOf(await flight.landed);

        const started = ends.filter((end) => end === "value").length;
        expect(ends).toEqual(ends.map((_, index) => (index < started ? "value" : "unstarted")));
      }),
      { numRuns: 50 },
    );
  });

  test.runIf(bench.traits.isolates)("a storm of stops and revocations leaves no slot behind", async () => {
    const storm = fc.infiniteStream(fc.constantFrom("stop", "stopSoon", "revoke", "nothing", "nothing"));

    await fc.assert(
      fc.asyncProperty(storm, async (actions) => {
        const flights = Array.from({ length: bench.executor.slots }, () =>
          bench.fly([["noop"], ["neverSettles"], ["hangs"], ["untilCancelled"], ["noop"]]),
        );
        while (flights.some(({ isIdle }) => !isIdle)) {
          for (const { run } of flights) {
            const action: string = actions.next().value;
            const id = run.current()?.id;
            if (action === "revoke") run.revoke();
            else if (action !== "nothing" && id !== undefined) run.stop(id, "storm", action === "stop" ? 0 : 2);
          }
          await new Promise(setImmediate);
        }
        await Promise.all(flights.map(({ landed }) => landed));
      }),
      { numRuns: 10 },
    );

    const flights = Array.from({ length: bench.executor.slots }, () => bench.fly([["add", 1, 1]]));
    expect(endsOf((await Promise.all(flights.map(({ landed }) => landed))).flat())).toEqual(flights.map(() => "value"));
  });
}
