import { expect, test } from "vitest";
import { aCall, endsOf, eventually, faultOf, Flight, valueOf, type Bench, type Call } from "./bench.ts";

export function running(bench: Bench): void {
  test("the values of a batch are reported, in any mix of handlers", async () => {
    const reports = await bench.run(
      ["add", 1, 2],
      ["addLater", 3, 4],
      ["addAtOnce", 5, 6],
      ["noop"],
      ["add", "a", "b"],
    );

    expect(reports.map(valueOf)).toEqual([3, 7, 11, undefined, "ab"]);
  });

  test("a batch of a thousand is reported, each task once", async () => {
    const calls = Array.from({ length: 1_000 }, (_, index): Call => [index % 7 === 0 ? "addAtOnce" : "add", index, 1]);

    const reports = await bench.run(...calls);

    expect(reports.map(valueOf)).toEqual(calls.map((_, index) => index + 1));
  });

  test("tasks of a batch run one after the other", async () => {
    const [first, ...others] = (
      await bench.run(["countCalls"], ["addLater", 1, 1], ["countCalls"], ["countCalls"])
    ).filter((_, index) => index !== 1);

    const start = Number(valueOf(first));
    expect(others.map(valueOf)).toEqual([start + 1, start + 2]);
  });

  test("a report says when, how long and where", async () => {
    const before = Date.now();

    const [report] = await bench.run(["spinFor", 5]);

    expect(report).toMatchObject({ workerId: expect.stringMatching(/^\w+-\d+$/) });
    expect(report?.startedAt).toBeGreaterThanOrEqual(before);
    expect(report?.startedAt).toBeLessThanOrEqual(Date.now());
    expect(report?.durationMs).toBeGreaterThanOrEqual(5);
  });

  test("undefined is a value", async () => {
    const [report] = await bench.run(["noop"]);

    expect(report?.end.type).toBe("value");
    expect(valueOf(report)).toBeUndefined();
  });

  test("every attempt gets the arguments anew", async () => {
    const task = aCall(["changeArgs", ["a"]]);

    const first = await new Flight(bench.executor, [task]).landed;
    const second = await new Flight(bench.executor, [task]).landed;

    expect([...first, ...second].map(valueOf)).toEqual([2, 2]);
  });

  test("arguments and results keep dates, maps, sets, bigints and bytes", async () => {
    const args = [new Date(5), new Map([[1, new Set([2n])]]), new Uint8Array([1, 2]), [undefined, null], { a: -0 }];

    const [report] = await bench.run(["echo", ...args]);

    expect(valueOf(report)).toEqual(args);
  });

  test("what a handler returns is awaited when it can be", async () => {
    const reports = await bench.run(["thenable"], ["thenTwice"]);

    expect(reports.map(valueOf)).toEqual(["thenable", "first"]);
  });

  test("the current task is there before and after an await, and in what is lazy", async () => {
    const request = { queue: "mail", tags: ["a"], metadata: { by: "me" }, timeoutMs: 60_000 };
    const tasks = [aCall(["whoAmI", 1, "x"], request), aCall(["lazy"]), aCall(["outside"])];

    const [report, ...others] = await new Flight(bench.executor, tasks).landed;

    expect(valueOf(report)).toEqual({
      isSame: true,
      id: tasks[0]?.id,
      name: "whoAmI",
      attempt: 1,
      args: [1, "x"],
      queue: "mail",
      tags: ["a"],
      metadata: { by: "me" },
      cancelled: false,
      deadline: (report?.startedAt ?? 0) + 60_000,
    });
    expect(others.map(valueOf)).toEqual([tasks[1]?.id, tasks[2]?.id]);
  });

  test("a handler cannot change the metadata that the next one sees", async () => {
    const { request } = aCall(["metadata"], { metadata: { by: "me" } });
    const tasks = [aCall(["changeMetadata"], request), aCall(["metadata"], request)].map((task, index) => ({
      ...task,
      request: { ...request, name: index === 0 ? "changeMetadata" : "metadata" },
    }));

    const [, report] = await new Flight(bench.executor, tasks).landed;

    expect(valueOf(report)).toEqual({ by: "me" });
  });

  test("the task that runs can be asked for while it runs, and no more when it has ended", async () => {
    const file = bench.path();
    const flight = bench.fly([["noop"], ["waitForFile", file]]);

    await flight.reaches(1);
    expect(flight.run.current()?.startedAt).toBeLessThanOrEqual(Date.now());
    await bench.run(["makeFile", file]);
    await flight.landed;

    expect(flight.run.current()).toBeUndefined();
  });

  test("what has ended is reported while a handler waits, to somebody who waits for it", async () => {
    const file = bench.path();
    const flight = bench.fly([["add", 1, 2], ["waitForFile", file], ["noop"]]);
    flight.run.hurry?.();

    await flight.reaches(1);
    await expect.poll(() => valueOf(flight.reports.get(flight.id(0)) ?? undefined)).toBe(3);
    await bench.run(["makeFile", file]);

    expect(endsOf(await flight.landed)).toEqual(["value", "value", "value"]);
  });

  test.runIf(bench.traits.isolates)(
    "what has ended is reported while a handler that took long is followed by one that hangs, to somebody who waits",
    async () => {
      const flight = bench.fly([["add", 1, 2], ["spinFor", 5], ["hangs"]]);
      flight.run.hurry?.();

      await flight.reaches(2);
      await expect.poll(() => flight.reports.size).toBe(2);
      flight.run.stop(flight.id(2), "enough", 0);

      expect(endsOf(await flight.landed)).toEqual(["value", "value", "stopped"]);
    },
  );

  test("what has ended is reported when somebody begins to wait for it", async () => {
    const file = bench.path();
    const flight = bench.fly([
      ["add", 1, 2],
      ["waitForFile", file],
    ]);

    await flight.reaches(1);
    flight.run.hurry?.();
    await eventually(() => flight.reports.size === 1);
    await bench.run(["makeFile", file]);

    expect(endsOf(await flight.landed)).toEqual(["value", "value"]);
  });

  test.runIf(bench.traits.isolates)(
    "what has ended is reported though nobody waits, in a batch that takes long",
    async () => {
      const flight = bench.fly([["spinFor", 40], ["spinFor", 40], ["spinFor", 40], ["hangs"]]);

      await flight.reaches(3);
      await eventually(() => flight.reports.size >= 2);
      flight.run.stop(flight.id(3), "enough", 0);

      expect(endsOf(await flight.landed)).toEqual(["value", "value", "value", "stopped"]);
    },
  );

  test("what has ended is reported when the rest is taken back", async () => {
    const file = bench.path();
    const flight = bench.fly([["add", 1, 2], ["waitForFile", file], ["noop"]]);

    await flight.reaches(1);
    flight.run.revoke();
    await eventually(() => flight.reports.size === 2);
    await bench.run(["makeFile", file]);

    expect(endsOf(await flight.landed)).toEqual(["value", "value", "unstarted"]);
  });

  test("as many batches run at the same time as it says", async () => {
    const files = Array.from({ length: bench.atOnce }, () => bench.path());
    const flights = files.map((file) => bench.fly([["waitForFile", file, file]]));

    await Promise.all(flights.map((flight) => flight.reaches(0)));
    const { writeFileSync } = await import("node:fs");
    for (const file of files) writeFileSync(file, "");

    const reports = await Promise.all(flights.map(({ landed }) => landed));
    expect(reports.flat().map(valueOf)).toEqual(files);
  });

  test.each([
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "default",
    "node:child_process",
    "node:child_process/execSync",
    "../x",
    "./no-tasks.mjs",
    "file:///etc/hostname",
    "/etc/hostname",
    "data:text/javascript,export default () => 1",
    "noop\u0000",
    "nоop",
    "",
  ])("the name %j runs nothing", async (name) => {
    const [report, next] = await bench.run([name, "id"], ["add", 1, 1]);

    expect(faultOf(report)).toMatchObject({
      fault: { reason: "error", isRetryable: false },
      error: { code: "UNKNOWN_TASK" },
    });
    expect(valueOf(next)).toBe(2);
  });

  test.each([
    ["nothing", []],
    ["an unknown format", [9, 1, 2]],
    ["half of a payload", [1, 0x9a, 1]],
    ["noise", [1, 255, 254, 253, 0, 1]],
  ])("arguments of %s are a final fault", async (_, bytes) => {
    const task = { ...aCall(["noop"]), args: Uint8Array.from(bytes) };

    const [report] = await new Flight(bench.executor, [task]).landed;

    expect(faultOf(report)).toMatchObject({
      fault: { reason: "error", isRetryable: false },
      error: { code: "UNREADABLE_PAYLOAD" },
    });
  });
}
