import fc from "fast-check";
import { expect, test } from "vitest";
import { RestartBudget, restartedWith } from "../../src/actor/supervision.ts";

test("a budget allows a restart exactly when fewer than maxRestarts were allowed in the perMs before it", () => {
  const runs = fc.record({
    maxRestarts: fc.nat({ max: 5 }),
    perMs: fc.integer({ min: 1, max: 50 }),
    gaps: fc.array(fc.nat({ max: 30 }), { maxLength: 40 }),
  });
  fc.assert(
    fc.property(runs, ({ maxRestarts, perMs, gaps }) => {
      const budget = new RestartBudget(maxRestarts, perMs);
      const allowed: number[] = [];
      let now = 0;
      for (const gap of gaps) {
        now += gap;
        const isAllowed = allowed.filter((at) => at > now - perMs).length < maxRestarts;
        expect(budget.spend(now)).toBe(isAllowed);
        if (isAllowed) allowed.push(now);
      }
    }),
  );
});

test("restarts from before a clock was set back are forgotten", () => {
  const budget = new RestartBudget(1, 1_000);
  budget.spend(1_000_000);

  expect(budget.spend(500)).toBe(true);
  expect(budget.spend(501)).toBe(false);
});

test.each([
  ["oneForOne", []],
  ["oneForAll", ["a", "b", "d"]],
  ["restForOne", ["d"]],
] as const)("%s restarts the right siblings", (strategy, siblings) => {
  expect(restartedWith(strategy, ["a", "b", "c", "d"], "c")).toEqual(siblings);
});
