import { expect, test } from "vitest";
import { endsOf, eventually, faultOf, fixture, Flight, aCall, valueOf, type Bench } from "./bench.ts";

/** What happens outside of the promise that a handler returns. */
export function straying(bench: Bench): void {
  test.each(["throwsInTimer", "throwsInImmediate", "throwsInEmitter", "forgetsRejection"])(
    "an error outside of the handler's promise (%s) fails the task that runs",
    async (name) => {
      const [first, report, next] = await bench.run(["add", 1, 2], [name, `astray in ${name}`], ["add", 1, 1]);

      expect(valueOf(first)).toBe(3);
      expect(faultOf(report)).toMatchObject({
        fault: { reason: "error", isRetryable: true },
        error: { message: `astray in ${name}` },
      });
      // The outcome tells of it: it need not be told twice.
      expect(bench.logged.map(({ error }) => error.message)).not.toContain(`astray in ${name}`);
      // The worker is replaced: it takes nothing more.
      expect(endsOf([next])).toEqual(["unstarted"]);
    },
  );

  test.each(["leavesThrowingTimer", "leavesRejection"])(
    "an error that a task left behind (%s) is logged with its id, and fails nobody",
    async (name) => {
      const file = bench.path();
      const flight = bench.fly([
        [name, `left by ${name}`],
        ["waitForFile", file, "unharmed"],
      ]);

      await eventually(() => bench.logged.some(({ error }) => error.message === `left by ${name}`));
      await bench.run(["makeFile", file]);

      expect((await flight.landed).map(valueOf)).toEqual(["done", "unharmed"]);
      expect(bench.logged.find(({ error }) => error.message === `left by ${name}`)?.taskId).toBe(flight.id(0));
    },
  );

  test("a worker with an error astray is replaced", async () => {
    const before = valueOf((await bench.run(["countCalls"]))[0]);
    await bench.run(["throwsInTimer", "astray"]);
    const flights = Array.from({ length: bench.executor.slots * 4 }, () => ["countCalls"] as const);

    const counts = (await bench.run(...flights)).map(valueOf);

    expect(before).toBeGreaterThan(0);
    expect(counts).toEqual(counts.map((_, index) => Number(counts[0]) + index));
  });

  test.each(["throwsInMicrotask", "hangsAtExit"])(
    "an error that cannot be told whose it is (%s) ends the worker, and is the crash of what ran there",
    async (name) => {
      const [report] = await bench.run([name, "whose?"]);

      expect(faultOf(report)).toMatchObject({ fault: { reason: "crash" }, error: { cause: { message: "whose?" } } });
      expect(endsOf(await bench.run(["add", 1, 1]))).toEqual(["value"]);
    },
  );

  test("an exit that a task left behind interrupts who runs then, and blames nobody", async () => {
    const flight = bench.fly([["leavesExit"], ["neverSettles"], ["noop"]]);

    const reports = await flight.landed;

    expect(endsOf(reports)).toEqual(["value", "interrupted", "unstarted"]);
  });

  test.each(["leavesInterval", "leavesServer", "setsExitCode"])("what does no harm (%s) is let be", async (name) => {
    const reports = await bench.run([name], ["add", 1, 1]);

    expect(endsOf(reports)).toEqual(["value", "value"]);
  });

  test("an error that a module left behind is logged, and its tasks run", async () => {
    const executor = bench.create({ modules: [fixture("leaks-at-load.mjs")] });
    await executor.start();
    await eventually(() => bench.logged.some(({ error }) => error.message === "left by a module"));

    const [report] = await new Flight(executor, [aCall(["fine"])]).landed;

    expect(["value", "crash", "unstarted"]).toContain(endsOf([report])[0]);
  });

  test.each(["breaksJson", "breaksClocks", "breaksProcess"])("a handler that %s harms no report", async (name) => {
    const executor = bench.create();
    await executor.start();
    const flight = new Flight(executor, [aCall([name]), aCall(["fails", "x"]), aCall(["add", 1, 1])]);

    expect(endsOf(await flight.landed)).toEqual(["value", "error", "value"]);
    for (let round = 0; round < 8; round += 1) {
      const calls = [aCall(["fails", "x"]), aCall(["addAtOnce", 1, 1]), aCall(["add", 1, 1])];
      expect(endsOf(await new Flight(executor, calls).landed)).toEqual(["error", "value", "value"]);
    }
  });

  test("a handler that closes its worker's port, or sends messages there, harms nothing and learns nothing", async () => {
    const reports = await bench.run(["spoofs"], ["closesParentPort"], ["spoofs"], ["add", 1, 1]);

    expect(reports.map(valueOf)).toEqual([[], undefined, [], 2]);
  });
}
