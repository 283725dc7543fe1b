import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Executor } from "../../src/executor/executor.ts";
import type { processExecutor as ProcessExecutor, ProcessOptions } from "../../src/executor/processes.ts";
import {
  aCall,
  Bench,
  endsOf,
  eventually,
  faultOf,
  fixture,
  Flight,
  valueOf,
  type Call,
} from "../conformance/executor/bench.ts";

// Processes start from files that Node can run: the built ones.
const built = new URL("../../dist/executor/processes.js", import.meta.url).href;
const { processExecutor } = (await import(built)) as { processExecutor: typeof ProcessExecutor };

const bench = new Bench((options) => processExecutor({ processes: 1, ...options }), {
  isolates: true,
  sharesWorkers: false,
  atOnce: (slots) => slots / 2,
});
beforeAll(() => bench.start());
afterAll(() => bench.dispose());

const pidOf = async (): Promise<number> => Number(valueOf((await bench.run(["pid"]))[0]));

/** Whether the process runs; a dead one that nobody has asked about does not. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

async function started(options: Partial<ProcessOptions>): Promise<Executor> {
  const logs = bench.logged;
  const executor = processExecutor({
    processes: 1,
    modules: [fixture("handlers.mjs")],
    maxResultBytes: 100_000_000,
    log: (message, error) => void logs.push({ message, error }),
    ...options,
  });
  await executor.start();
  return executor;
}

const runIn = (executor: Executor, ...calls: readonly Call[]): Flight =>
  new Flight(
    executor,
    calls.map((call) => aCall(call)),
  );

describe("deaths of a child", () => {
  test.each(["SIGKILL", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE"])(
    "%s is the crash of the task that ran, by name, and what was told before it is not lost",
    async (signal) => {
      const reports = await bench.run(["add", 1, 2], ["spinFor", 5], ["kills", signal], ["noop"]);

      expect(endsOf(reports)).toEqual(["value", "value", "crash", "unstarted"]);
      expect(faultOf(reports[2]).error).toMatchObject({
        code: "WORKER_CRASH",
        message: expect.stringContaining(signal),
      });
      expect(reports[2]).toMatchObject({
        workerId: expect.stringMatching(/^process-\d+$/),
        durationMs: expect.any(Number),
      });
    },
  );

  test("process.abort() is the crash of the task that called it", async () => {
    const [report, next] = await bench.run(["aborts"], ["noop"]);

    expect(endsOf([report, next])).toEqual(["crash", "unstarted"]);
    expect(faultOf(report).error.message).toContain("SIGABRT");
  });

  test("what was prefetched comes back unharmed", async () => {
    const guilty = bench.fly([["kills", "SIGKILL"], ["noop"]]);
    const prefetched = bench.fly([["noop"], ["noop"]]);

    expect(endsOf(await guilty.landed)).toEqual(["crash", "unstarted"]);
    expect(endsOf(await prefetched.landed)).toEqual(["unstarted", "unstarted"]);
  });

  test("a child that stands still is ended, as a crash", async () => {
    const pid = await pidOf();
    const flight = bench.fly([["hangs"], ["noop"]]);
    await flight.reaches(0);

    process.kill(pid, "SIGSTOP");

    const reports = await flight.landed;
    expect(endsOf(reports)).toEqual(["crash", "unstarted"]);
    expect(faultOf(reports[0]).error.message).toContain("did not answer");
    expect(isAlive(pid)).toBe(false);
  });

  test("a handler that computes for longer than a child may be silent is left alone", async () => {
    expect(valueOf((await bench.run(["spinFor", 4_500]))[0])).toBeUndefined();
  });

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "%s, which a terminal or an init system sends to all, ends no child",
    async (signal) => {
      const pid = await pidOf();
      const file = bench.path();
      const flight = bench.fly([["waitForFile", file, "unharmed"]]);
      await flight.reaches(0);

      process.kill(pid, signal);
      writeFileSync(file, "");

      expect(valueOf((await flight.landed)[0])).toBe("unharmed");
      expect(await pidOf()).toBe(pid);
    },
  );

  test("a stop ends a child that loops, and not before the grace is over", async () => {
    const pid = await pidOf();
    const flight = bench.fly([["hangs"]]);
    await flight.reaches(0);
    const before = performance.now();

    flight.run.stop(flight.id(0), "no longer wanted", 200);

    const [report] = await flight.landed;
    expect(endsOf([report])).toEqual(["stopped"]);
    expect(performance.now() - before).toBeGreaterThanOrEqual(199);
    expect(isAlive(pid)).toBe(false);
  });

  const count = Number(process.env["STORM_SIGNALS"] ?? 100);
  test(`${count} signals at random lose nothing`, { timeout: 60_000 + 1_000 * count }, async () => {
    const executor = await started({ processes: 3 });
    const signals = Array.from({ length: count }, (_, index) =>
      index % 40 === 20 ? "SIGSTOP" : (["SIGKILL", "SIGSEGV", "SIGABRT"] as const)[index % 3],
    );
    const calls: readonly Call[] = [
      ["add", 1, 1],
      ["addLater", 1, 1],
      ["spinFor", 1],
    ];
    const [again, ends]: [Call[], string[]] = [[], []];
    let [given, done] = [0, 0];

    async function keepBusy(): Promise<void> {
      for (;;) {
        const batch = again.splice(0, 4);
        while (signals.length > 0 && batch.length < 4) batch.push(calls[given++ % 3] as Call);
        if (batch.length === 0) return;
        for (const [index, report] of (await runIn(executor, ...batch).landed).entries()) {
          const [end = ""] = endsOf([report]);
          ends.push(end);
          if (end === "value") done += 1;
          else again.push(batch[index] as Call);
          if (report.workerId !== undefined && Math.random() < 0.2) hit(report.workerId);
        }
      }
    }
    function hit(workerId: string): void {
      const pid = Number(workerId.slice("process-".length));
      const signal = isAlive(pid) ? signals.pop() : undefined;
      if (signal !== undefined) process.kill(pid, signal);
    }
    await Promise.all(Array.from({ length: executor.slots }, keepBusy));
    await executor.close();

    expect(done).toBe(given);
    expect(ends).toContain("crash");
    expect(ends.filter((end) => !["value", "crash", "interrupted", "unstarted"].includes(end))).toEqual([]);
  });
});

describe("the life of a child", () => {
  test("children of a supervisor that is killed end, even inside a loop", async () => {
    const script = `
      const { processExecutor } = await import("${built}");
      const { encode } = await import("${new URL("../../dist/task/codec.js", import.meta.url).href}");
      const executor = processExecutor({
        processes: 2, modules: ["${fixture("handlers.mjs")}"], maxResultBytes: 1e6, log: () => {},
      });
      await executor.start();
      const run = (name, idle = () => {}) => executor.run([{
        id: name, life: { attempt: 1 }, args: encode([], "args", { maxBytes: 1e6 }),
        request: { name, queue: "default", tags: [], metadata: {} },
      }], { ended: ([{ workerId }]) => console.log(workerId), idle });
      await Promise.all([1, 2].map(() => new Promise((resolve) => run("noop", resolve))));
      const runs = [run("hangs"), run("hangs")];
      const look = setInterval(() => {
        if (runs.every((one) => one.current() !== undefined)) console.log("hanging"), clearInterval(look);
      }, 1);`;
    const supervisor = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const pids = new Set<number>();
    for await (const line of createInterface(supervisor.stdout)) {
      if (line === "hanging") break;
      pids.add(Number(line.slice("process-".length)));
    }
    expect([...pids].filter(isAlive)).toHaveLength(2);

    supervisor.kill("SIGKILL");
    await once(supervisor, "exit");

    await eventually(() => ![...pids].some(isAlive));
  });

  test("close leaves no process behind", async () => {
    const executor = await started({ processes: 2 });
    const flights = [runIn(executor, ["pid"], ["hangs"]), runIn(executor, ["pid"], ["neverSettles"])];
    await Promise.all(flights.map((flight) => flight.reaches(1)));
    await eventually(() => flights.every(({ reports }) => reports.size === 1));

    await executor.close();

    const pids = flights.map((flight) => Number(valueOf(flight.reports.get(flight.id(0)))));
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test("a process that cannot be started fails the start, with the reason of the system", async () => {
    const { execPath } = process;
    process.execPath = "/nowhere/node";
    try {
      await expect(started({})).rejects.toMatchObject({ code: "ENOENT" });
    } finally {
      process.execPath = execPath;
    }
  });

  test("a replacement that cannot be started is tried again until it can, and the reason is logged", async () => {
    const executor = await started({});
    const { execPath } = process;
    process.execPath = "/nowhere/node";
    await runIn(executor, ["exits", 1]).landed;
    const waiting = runIn(executor, ["add", 1, 1]);
    await eventually(() => bench.logged.filter(({ error }) => error.code === "ENOENT").length >= 2);
    process.execPath = execPath;

    expect(valueOf((await waiting.landed)[0])).toBe(2);
    await executor.close();
  });

  test("with no processes there is one that loads the modules and checks arguments", async () => {
    const executor = await started({ processes: 0 });
    const args = aCall(["add", 1, 2]).args;

    expect(executor.slots).toBe(0);
    expect(await executor.validate("add", [args])).toEqual([args]);
    await executor.close();
  });

  test("checking outlives the death of a worker that was not its doing", async () => {
    const executor = await started({});
    const flight = runIn(executor, ["hangs"]);
    await flight.reaches(0);
    const checking = executor.validate("add", []);

    flight.run.stop(flight.id(0), "no longer wanted", 0);

    expect(await checking).toEqual([]);
    expect(endsOf(await flight.landed)).toEqual(["stopped"]);
    await executor.close();
  });

  test("arguments and results of many megabytes pass", async () => {
    const executor = await started({});
    const flight = runIn(executor, ["size", new Uint8Array(20_000_000)], ["givesBytes", 20_000_000], ["add", 1, 1]);

    const [size, bytes, sum] = (await flight.landed).map(valueOf);

    expect([size, (bytes as Uint8Array).length, sum]).toEqual([20_000_000, 20_000_000, 2]);
    await executor.close();
  });
});

describe("what a child sees", () => {
  test("the environment holds what is usual and what was named, and nothing else", async () => {
    process.env["OMNIQ_TEST_SECRET"] = "secret";
    process.env["OMNIQ_TEST_SETTING"] = "setting";
    process.env["NODE_OPTIONS"] = "--no-warnings";
    const executor = await started({ environment: ["OMNIQ_TEST_SETTING"] });
    delete process.env["NODE_OPTIONS"];

    const environment = valueOf((await runIn(executor, ["environment"]).landed)[0]) as Record<string, string>;

    expect(environment["OMNIQ_TEST_SETTING"]).toBe("setting");
    expect(environment["PATH"]).toBe(process.env["PATH"]);
    expect(Object.keys(environment)).not.toContain("OMNIQ_TEST_SECRET");
    expect(Object.keys(environment)).not.toContain("NODE_OPTIONS");
    await executor.close();
  });

  test("there is no channel that a library might take for its own", async () => {
    const surroundings = valueOf((await bench.run(["surroundings"]))[0]);

    expect(surroundings).toEqual({ canSend: false, args: ["2"], execArgv: [] });
  });
});
