import { expect, test } from "vitest";
import { endsOf, faultOf, valueOf, type Bench } from "./bench.ts";

const throwables = [
  "null",
  "undefined",
  "an empty text",
  "zero",
  "a symbol",
  "a function",
  "a bigint",
  "a frozen error",
  "a getter that throws",
  "a code that throws",
  "a proxy that throws",
  "a revoked proxy",
  "an error that causes itself",
  "an object without a prototype",
  "a message of 10 MB",
  "a promise",
  "a thenable",
  "an error of another realm's making",
];

export function failing(bench: Bench): void {
  test.each(throwables)("throwing %s is a fault, and harms nothing else", async (what) => {
    const reports = await bench.run(["throws", what], ["rejects", what], ["add", 1, 1]);

    for (const report of reports.slice(0, 2)) {
      const { fault, error } = faultOf(report);
      expect(fault).toEqual({ reason: "error", isRetryable: true });
      expect(error.message.length).toBeLessThan(100_000);
    }
    expect(valueOf(reports[2])).toBe(2);
  });

  test("the error of a fault has name, message, stack and cause", async () => {
    const [plain, nested] = await bench.run(["fails", "on purpose"], ["throws", "an error that causes itself"]);

    expect(faultOf(plain).error).toMatchObject({ name: "Error", message: "on purpose" });
    expect(faultOf(plain).error.stack).toContain("handlers.mjs");
    expect(faultOf(nested).error).toMatchObject({ message: "outer", cause: { message: "inner" } });
  });

  test("a stack overflow is a fault", async () => {
    const [report, next] = await bench.run(["overflow"], ["add", 1, 1]);

    expect(faultOf(report).error.name).toBe("RangeError");
    expect(valueOf(next)).toBe(2);
  });

  test.each(["tooLongText", "tooLongList"])("asking for more than there can be (%s) is a fault", async (name) => {
    const [report, next] = await bench.run([name], ["add", 1, 1]);

    expect(faultOf(report).error.name).toBe("RangeError");
    expect(valueOf(next)).toBe(2);
  });

  test.each(["thenThrows", "thenCallsThrow"])("a broken thenable (%s) is a fault", async (name) => {
    const [report] = await bench.run([name]);

    expect(faultOf(report).error.message).toMatch(/^then /);
  });

  test.each(["failsFatally", "failsFatallyFromElsewhere"])("%s is not to be retried", async (name) => {
    const [report] = await bench.run([name]);

    expect(faultOf(report)).toMatchObject({
      fault: { reason: "error", isRetryable: false },
      error: { code: "NON_RETRYABLE", message: "never again" },
    });
  });

  test.each([
    ["1.5s", 1_500],
    [250, 250],
    [0, 0],
  ])("RetryLater with a delay of %j is to be retried after %i ms", async (delay, retryDelayMs) => {
    const [report] = await bench.run(["failsForNow", delay]);

    expect(faultOf(report)).toMatchObject({
      fault: { reason: "error", isRetryable: true, retryDelayMs },
      error: { message: "busy" },
    });
  });

  test.each(["soon", -1, Number.NaN, {}])("RetryLater with a delay of %j is retried as usual", async (delay) => {
    const [report] = await bench.run(["failsForNow", delay]);

    expect(faultOf(report).fault).toEqual({ reason: "error", isRetryable: true });
  });

  test("retryIf decides", async () => {
    const reports = await bench.run(["choosy", "for now"], ["choosy", "final"]);

    expect(reports.map((report) => faultOf(report).fault.isRetryable)).toEqual([true, false]);
  });

  test("a retryIf that throws counts as no, and the error stays", async () => {
    const [report] = await bench.run(["confused", "the real error"]);

    expect(faultOf(report)).toMatchObject({ fault: { isRetryable: false }, error: { message: "the real error" } });
  });

  test.each([
    ["a function", "result"],
    ["a symbol", "result"],
    ["a WeakMap", "result"],
    ["an instance of a class", "result"],
    ["a function deep inside", "result.a[0].b"],
    ["a promise inside", "result.later"],
    ["a getter that throws", "result.broken"],
    ["a proxy that throws", "result"],
    ["shared memory", "result"],
    ["a detached buffer", "result"],
  ])("%s as a result is a final fault that names %s", async (what, path) => {
    const reports = await bench.run(["gives", what], ["givesLater", what], ["add", 1, 1]);

    for (const report of reports.slice(0, 2)) {
      const { fault, error } = faultOf(report);
      expect(fault).toEqual({ reason: "error", isRetryable: false });
      expect(error).toMatchObject({ code: "NOT_SERIALIZABLE", message: expect.stringContaining(`${path} `) });
    }
    expect(valueOf(reports[2])).toBe(2);
  });

  test("a result that nests too deep is a final fault", async () => {
    const [report] = await bench.run(["givesDeep", 100_000]);

    expect(faultOf(report)).toMatchObject({ fault: { isRetryable: false }, error: { code: "NOT_SERIALIZABLE" } });
  });

  test("a result that is too large is a final fault, and the limit itself is not", async () => {
    const [large, larger, fitting] = await bench.run(
      ["givesBytes", 100_001],
      ["givesBytes", 50_000_000],
      ["givesBytes", 99_000],
    );

    for (const report of [large, larger]) {
      expect(faultOf(report)).toMatchObject({ fault: { isRetryable: false }, error: { code: "PAYLOAD_TOO_LARGE" } });
    }
    expect(valueOf(fitting)).toHaveLength(99_000);
  });

  test("faults and values keep their places", async () => {
    const reports = await bench.run(["add", 1, 1], ["fails", "x"], ["noop"], ["rejects", "null"], ["add", 2, 2]);

    expect(endsOf(reports)).toEqual(["value", "error", "value", "error", "value"]);
  });
}
