import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Executor } from "../../../src/executor/executor.ts";
import { endsOf, type Bench, type ExecutorOptions } from "./bench.ts";

export function closing(bench: Bench): void {
  const started = async (options: Partial<ExecutorOptions> = {}): Promise<Executor> => {
    const executor = bench.create(options);
    await executor.start();
    return executor;
  };

  test("what runs is interrupted, and what does not comes back, before close resolves", async () => {
    const executor = await started();
    const flights = Array.from({ length: executor.slots }, () => bench.fly([["neverSettles"], ["noop"]], executor));
    const running = flights.slice(0, bench.atOnce);
    await Promise.all(running.map((flight) => flight.reaches(0)));

    await executor.close();

    expect(flights.map(({ isIdle }) => isIdle)).toEqual(flights.map(() => true));
    for (const flight of flights) {
      const isRunning = running.includes(flight);
      expect(endsOf(await flight.landed)).toEqual([isRunning ? "interrupted" : "unstarted", "unstarted"]);
    }
  });

  test("a batch of an executor that was closed may still be asked and told things", async () => {
    const executor = await started();
    const flight = bench.fly([["neverSettles"], ["noop"]], executor);
    await flight.reaches(0);
    await executor.close();

    flight.run.revoke();
    flight.run.stop(flight.id(0), "too late", 0);

    expect(flight.run.current()).toBeUndefined();
  });

  test.runIf(bench.traits.isolates)("a handler that hangs is ended", async () => {
    const executor = await started();
    const flight = bench.fly([["hangs"]], executor);
    await flight.reaches(0);

    await executor.close();

    expect(endsOf(await flight.landed)).toEqual(["interrupted"]);
  });

  test("a batch that was just given is reported before close resolves", async () => {
    const executor = await started();
    const flight = bench.fly([["noop"], ["noop"]], executor);

    await executor.close();

    expect(flight.isIdle).toBe(true);
  });

  test("the grace lets what runs come to its end, and no longer than that", async () => {
    const executor = await started({ graceMs: 3_600_000 });
    const file = bench.path();
    const flight = bench.fly([["waitForFile", file, "in time"], ["noop"]], executor);
    await flight.reaches(0);

    const closed = executor.close();
    writeFileSync(file, "");
    await closed;

    expect(endsOf(await flight.landed)).toEqual(["value", "unstarted"]);
  });

  test("a grace that is over interrupts", async () => {
    const executor = await started({ graceMs: 5 });
    const flight = bench.fly([["neverSettles"]], executor);
    await flight.reaches(0);

    await executor.close();

    expect(endsOf(await flight.landed)).toEqual(["interrupted"]);
  });

  test("an executor that is closed while it starts does not start", async () => {
    const executor = bench.create();
    const start = executor.start();

    await Promise.all([executor.close(), expect(start).rejects.toMatchObject({ code: "CLOSED" })]);
    await expect(executor.start()).rejects.toMatchObject({ code: "CLOSED" });
  });

  test("closing twice, or before the start, does nothing", async () => {
    const executor = bench.create();
    await executor.close();
    const another = await started();

    await Promise.all([another.close(), another.close()]);
    await another.close();
  });
}
