import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  backoffDelay,
  defaultBackoff,
  judge,
  poisonLimit,
  type AttemptFault,
  type Backoff,
} from "../../src/task/retry.ts";
import { newLife, type TaskLife, type TaskRequest } from "../../src/task/task.ts";

const middle = 0.5;

describe("backoffDelay", () => {
  test.each([
    [1, 1_000],
    [2, 2_000],
    [3, 4_000],
    [6, 32_000],
    [7, 60_000],
    [5_000, 60_000],
  ])("by default, failure %i is followed by %i ms", (failures, ms) => {
    expect(backoffDelay(defaultBackoff, failures, middle)).toBe(ms);
  });

  test.each([1, 2, 50])("a fixed delay is the same after failure %i", (failures) => {
    const fixed: Backoff = { type: "fixed", delayMs: 300, factor: 2, maxMs: 60_000, jitter: 0 };

    expect(backoffDelay(fixed, failures, middle)).toBe(300);
  });

  test.each([
    [0, 750],
    [0.5, 1_000],
    [0.999_999, 1_250],
  ])("jitter of a quarter, at random number %f, makes 1,000 ms %i ms", (random, ms) => {
    expect(backoffDelay(defaultBackoff, 1, random)).toBe(ms);
  });

  test("stays within the longest delay and its jitter, and is a whole number", () => {
    const backoff = fc.record({
      type: fc.constantFrom("fixed" as const, "exponential" as const),
      delayMs: fc.integer({ min: 1, max: 100_000 }),
      factor: fc.double({ min: 1, max: 100, noNaN: true }),
      maxMs: fc.nat(1_000_000),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(
        backoff,
        fc.integer({ min: 1, max: 10_000 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (rule, failures, random) => {
          const delay = backoffDelay(rule, failures, random);

          expect(Number.isSafeInteger(delay)).toBe(true);
          expect(delay).toBeGreaterThanOrEqual(0);
          expect(delay).toBeLessThanOrEqual(Math.ceil(rule.maxMs * (1 + rule.jitter)));
        },
      ),
    );
  });
});

describe("judge", () => {
  const request: TaskRequest = {
    name: "resize",
    queue: "default",
    priority: 0,
    createdAt: 0,
    maxRetries: 2,
    backoff: defaultBackoff,
    tags: [],
    metadata: {},
  };
  const life = (changes: Partial<TaskLife> = {}): TaskLife => ({
    ...newLife(request),
    state: "running",
    attempt: 1,
    ...changes,
  });
  const fault = (reason: AttemptFault["reason"], changes: Partial<AttemptFault> = {}): AttemptFault => ({
    reason,
    isRetryable: true,
    ...changes,
  });
  const now = 10_000;

  test.each(["error", "timeout"] as const)(
    "after the first %s, the task is retried and a failure counted",
    (reason) => {
      expect(judge(request, life(), fault(reason), now, middle)).toEqual({
        to: "retrying",
        runAt: now + 1_000,
        failures: 1,
        crashes: 0,
        interruptions: 0,
      });
    },
  );

  test.each(["error", "timeout"] as const)("when no retries are left, the task fails with reason %s", (reason) => {
    expect(judge(request, life({ failures: 2 }), fault(reason), now, middle)).toEqual({
      to: "failed",
      reason,
      failures: 3,
      crashes: 0,
      interruptions: 0,
    });
  });

  test("without retries, the first error is the last", () => {
    expect(judge({ ...request, maxRetries: 0 }, life(), fault("error"), now, middle)).toMatchObject({ to: "failed" });
  });

  test("what is not to be retried fails at once", () => {
    expect(judge(request, life(), fault("error", { isRetryable: false }), now, middle)).toMatchObject({
      to: "failed",
      reason: "error",
      failures: 1,
    });
  });

  test("a delay asked for by the handler is kept to the millisecond, and uses up a retry", () => {
    expect(judge(request, life(), fault("error", { retryDelayMs: 123_456 }), now, 0)).toMatchObject({
      to: "retrying",
      runAt: now + 123_456,
      failures: 1,
    });
    expect(judge(request, life({ failures: 2 }), fault("error", { retryDelayMs: 1 }), now, 0)).toMatchObject({
      to: "failed",
    });
  });

  test.each([
    [0, 100],
    [1, 400],
  ])("after %i earlier deaths of its worker, the task comes back in %i ms and uses up no retry", (crashes, delay) => {
    expect(judge({ ...request, maxRetries: 0 }, life({ crashes }), fault("crash"), now, middle)).toEqual({
      to: "retrying",
      runAt: now + delay,
      failures: 0,
      crashes: crashes + 1,
      interruptions: 0,
    });
  });

  test("the third death of its worker makes a task poison, whatever retries are left", () => {
    expect(
      judge({ ...request, maxRetries: 100 }, life({ crashes: poisonLimit - 1 }), fault("crash"), now, middle),
    ).toMatchObject({ to: "failed", reason: "poison", crashes: 3 });
  });

  test("an interruption makes the task ready, however often, and uses up nothing else", () => {
    expect(
      judge({ ...request, maxRetries: 0 }, life({ interruptions: 1_000_000 }), fault("interrupted"), now, middle),
    ).toEqual({ to: "ready", failures: 0, crashes: 0, interruptions: 1_000_001 });
  });

  test.each([
    [0, "failed"],
    [1, "ready"],
  ])("with at most %i interruptions, the first one makes it %s", (maxInterruptions, to) => {
    expect(judge({ ...request, maxInterruptions }, life(), fault("interrupted"), now, middle)).toMatchObject({
      to,
      interruptions: 1,
    });
  });

  test("an always failing task is started once more than it has retries", () => {
    fc.assert(
      fc.property(fc.nat(30), (maxRetries) => {
        let starts = 0;
        let failures = 0;
        for (let isOver = false; !isOver; starts++) {
          const verdict = judge({ ...request, maxRetries }, life({ failures }), fault("error"), now, middle);
          failures = verdict.failures;
          isOver = verdict.to === "failed";
        }

        expect(starts).toBe(maxRetries + 1);
      }),
    );
  });
});
