import fc from "fast-check";

/** What `run` throws; `undefined` when it throws nothing. */
export function caught(run: () => unknown): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** `value`, made so that an attempt to change it, however deep, throws. */
export function frozen<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const inner of Object.values(value)) frozen(inner);
  return value;
}

/** Anything at all, and objects with known and unknown options of any value. */
export function optionsOf(options: Readonly<Record<string, unknown>>): fc.Arbitrary<unknown> {
  const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withSparseArray: true });
  const value = fc.oneof(
    anything,
    fc.constantFrom<unknown[]>(
      "5m",
      "",
      "default",
      "fixed",
      0,
      -0,
      1,
      -1,
      1e300,
      Number.NaN,
      true,
      [],
      {},
      Symbol("s"),
    ),
    fc.integer(),
    fc.date({ noInvalidDate: false }),
  );
  const key = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...Object.keys(options)) }, fc.string());
  return fc.oneof({ weight: 9, arbitrary: fc.dictionary(key, value, { maxKeys: 3 }) }, anything);
}
