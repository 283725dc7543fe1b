import { expect, test } from "vitest";
import { Rates } from "../../src/storage/rates.ts";

const generous = { max: 6, perMs: 60 };
const mean = { max: 2, perMs: 60 };

/** What is left at 20, after three starts at 0 and two changes of the limit. */
function leftAfterChanges(look: (rates: Rates, limit: typeof mean) => void): number[] {
  const rates = new Rates();
  rates.started("queue:q", generous, 3, 0);
  for (let count = 0; count < 3; count++) rates.keys.started("queue\0q\0k", generous, 0);
  for (const limit of [mean, generous]) {
    look(rates, limit);
    rates.convert("queue", "q", limit);
    rates.convert("queue", "q", { ...limit, perKey: true });
  }
  return [rates.left("queue:q", generous, 20), rates.keys.left("queue\0q\0k", generous, 20)];
}

test("what is left of a limit follows from starts and changes, whoever looks at it meanwhile", () => {
  const unseen = leftAfterChanges(() => undefined);
  const seen = leftAfterChanges((rates, limit) => {
    rates.left("queue:q", limit, 10);
    rates.keys.left("queue\0q\0k", limit, 10);
  });
  expect(seen).toEqual(unseen);
});

test("a limit that becomes smaller, and larger again, has lost what there was no room for", () => {
  // Three of six were left, two had room, and two have flowed in since.
  expect(leftAfterChanges(() => undefined)).toEqual([4, 4]);
});

test("of a limit of which nothing was used, all is left after any change", () => {
  const rates = new Rates();
  rates.left("queue:q", mean, 0);
  rates.convert("queue", "q", generous);
  expect(rates.left("queue:q", generous, 0)).toBe(6);
});
