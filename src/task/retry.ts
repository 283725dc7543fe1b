import type { EpochMs } from "../base/clock.ts";
import type { FailureReason, TaskLife, TaskRequest } from "./task.ts";

/** How long to wait before a failed attempt is repeated. Stored values; lengths are milliseconds. */
export interface Backoff {
  readonly type: "fixed" | "exponential";
  readonly delayMs: number;
  /** What each further delay is multiplied by; exponential only. */
  readonly factor: number;
  /** The longest delay. */
  readonly maxMs: number;
  /** The share by which a delay is varied at random, 0 to 1: 0.25 gives 75 % to 125 %. */
  readonly jitter: number;
}

/** One second, doubled each time, at most a minute, varied by a quarter. */
export const defaultBackoff: Backoff = Object.freeze({
  type: "exponential",
  delayMs: 1_000,
  factor: 2,
  maxMs: 60_000,
  jitter: 0.25,
});

/** A task whose own worker died this often is not tried again. */
export const poisonLimit = 3;

/**
 * The delay before the attempt that follows failure number `failures` (1 for the first).
 *
 * @param random from 0 to 1, exclusive.
 */
export function backoffDelay(backoff: Backoff, failures: number, random: number): number {
  const steps = backoff.type === "fixed" ? 0 : failures - 1;
  // 0 times infinity is not a number.
  const factor = Math.min(backoff.factor ** steps, Number.MAX_VALUE);
  const delay = Math.min(backoff.delayMs * factor, backoff.maxMs);
  return Math.round(delay * (1 + backoff.jitter * (2 * random - 1)));
}

/** What the worker says of an attempt that gave no value. */
export interface AttemptFault {
  readonly reason: "error" | "timeout" | "stalled" | "memory" | "crash" | "interrupted";
  /** `false`: thrown as `NonRetryable`, or refused by `retryIf`. */
  readonly isRetryable: boolean;
  /** Thrown as `RetryLater`: the exact delay. */
  readonly retryDelayMs?: number;
}

/** What becomes of a task after a fault, with its counters as they are then. */
export type Verdict = Pick<TaskLife, "failures" | "crashes" | "interruptions"> &
  (
    | { readonly to: "retrying"; readonly runAt: EpochMs }
    | { readonly to: "ready" }
    | { readonly to: "failed"; readonly reason: FailureReason }
  );

/**
 * Judges a fault. Errors and timeouts use up retries; the death of the task's own worker counts against
 * `poisonLimit`; an interruption is nobody's fault and counts only against `maxInterruptions`, where there is one.
 */
export function judge(
  request: TaskRequest,
  life: TaskLife,
  fault: AttemptFault,
  now: EpochMs,
  random: number,
): Verdict {
  const { failures, crashes, interruptions } = life;
  switch (fault.reason) {
    case "interrupted": {
      const counts = { failures, crashes, interruptions: interruptions + 1 };
      const isOver = counts.interruptions > (request.maxInterruptions ?? Number.POSITIVE_INFINITY);
      return isOver ? { ...counts, to: "failed", reason: "interrupted" } : { ...counts, to: "ready" };
    }
    case "crash": {
      const counts = { failures, crashes: crashes + 1, interruptions };
      if (counts.crashes >= poisonLimit) return { ...counts, to: "failed", reason: "poison" };
      // Worker deaths back off by the default rule, so a crash loop cannot keep a pool busy restarting.
      return { ...counts, to: "retrying", runAt: now + backoffDelay(crashBackoff, counts.crashes, random) };
    }
    case "error":
    case "timeout":
    case "stalled":
    case "memory": {
      const counts = { failures: failures + 1, crashes, interruptions };
      if (!fault.isRetryable || counts.failures > request.maxRetries)
        return { ...counts, to: "failed", reason: fault.reason };
      const delay = fault.retryDelayMs ?? backoffDelay(request.backoff, counts.failures, random);
      return { ...counts, to: "retrying", runAt: now + delay };
    }
  }
}

const crashBackoff: Backoff = { type: "exponential", delayMs: 100, factor: 4, maxMs: 1_600, jitter: 0.25 };
