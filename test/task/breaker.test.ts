import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Breaker } from "../../src/task/breaker.ts";

const settings = { threshold: 3, cooldownMs: 100, probes: 2 };

/** A breaker that has opened at 0. */
function opened(): Breaker {
  const breaker = new Breaker(settings);
  for (let failure = 0; failure < 3; failure++) breaker.ended(false, 0);
  return breaker;
}

describe("a breaker", () => {
  test("stays closed while failures are not in a row", () => {
    const breaker = new Breaker(settings);
    for (const isSuccess of [false, false, true, false, false, true]) breaker.ended(isSuccess, 0);

    expect(breaker.stateAt(0)).toBe("closed");
    expect(breaker.roomAt(0, 1_000)).toBe(Number.POSITIVE_INFINITY);
  });

  test("opens with the last failure of a row, for the cooldown", () => {
    const breaker = opened();

    expect([0, 99, 100].map((now) => breaker.stateAt(now))).toEqual(["open", "open", "half-open"]);
    expect([0, 99, 100].map((now) => breaker.roomAt(now, 0))).toEqual([0, 0, 2]);
  });

  test("lets only so many run at a time while it is half-open", () => {
    expect([0, 1, 2, 3].map((running) => opened().roomAt(100, running))).toEqual([2, 1, 0, 0]);
  });

  test("takes no notice of what ends while it is open", () => {
    const breaker = opened();
    for (const isSuccess of [true, true, true, false]) breaker.ended(isSuccess, 50);

    expect(breaker.openUntil).toBe(100);
  });

  test("closes when enough have succeeded in a row", () => {
    const breaker = opened();
    breaker.ended(true, 100);
    expect(breaker.stateAt(100)).toBe("half-open");
    breaker.ended(true, 101);
    expect(breaker.stateAt(101)).toBe("closed");
  });

  test("opens again with the first failure while it is half-open", () => {
    const breaker = opened();
    breaker.ended(true, 100);
    breaker.ended(false, 120);

    expect(breaker.openUntil).toBe(220);
    breaker.ended(true, 220);
    expect(breaker.stateAt(220)).toBe("half-open");
  });

  test("never lets anything start between an opening and the end of its cooldown", () => {
    const anEnd = fc.record({ isSuccess: fc.boolean(), afterMs: fc.nat(60) });
    fc.assert(
      fc.property(fc.array(anEnd, { maxLength: 80 }), (ends) => {
        const breaker = new Breaker(settings);
        let now = 0;
        let inARow = 0;
        let openUntil = 0;
        for (const { isSuccess, afterMs } of ends) {
          now += afterMs;
          const before = breaker.stateAt(now);
          breaker.ended(isSuccess, now);
          if (before === "closed") inARow = isSuccess ? 0 : inARow + 1;
          const opens = before === "closed" ? inARow === settings.threshold : before === "half-open" && !isSuccess;
          if (opens) [openUntil, inARow] = [now + settings.cooldownMs, 0];

          expect(breaker.roomAt(now, 0) === 0).toBe(now < openUntil);
        }
      }),
    );
  });
});
