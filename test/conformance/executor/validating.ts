import { expect, test } from "vitest";
import { decode, encode } from "../../../src/task/codec.ts";
import { endsOf, type Bench } from "./bench.ts";

const payload = (...args: unknown[]): Uint8Array => encode(args, "args", { maxBytes: 1_000_000 });

export function validating(bench: Bench): void {
  const validate = async (name: string, ...lists: unknown[][]): Promise<unknown[]> =>
    (
      await bench.executor.validate(
        name,
        lists.map((list) => payload(...list)),
      )
    ).map(decode);

  test("arguments that the schema accepts come back, in order", async () => {
    expect(await validate("even", [2], [4], [6])).toEqual([[2], [4], [6]]);
  });

  test("a schema may take its time and change the arguments", async () => {
    expect(await validate("trimmed", [" a "], ["b  "])).toEqual([["a"], ["b"]]);
  });

  test("a task without a schema accepts everything", async () => {
    expect(await validate("free", [1, new Map([[1, 2]])])).toEqual([[1, new Map([[1, 2]])]]);
  });

  test("the first that is refused rejects, with issues and their paths as text", async () => {
    await expect(validate("even", [2], [3], [5])).rejects.toMatchObject({
      code: "INVALID_INPUT",
      issues: [
        { message: "is odd", path: "[0].size.width" },
        { message: "is refused", path: "" },
      ],
    });
  });

  test.each([
    ["brokenSchema", { message: "schema is broken" }],
    ["scalarSchema", { code: "INVALID_ARGUMENT" }],
    ["functionSchema", { code: "NOT_SERIALIZABLE" }],
    ["nobody", { code: "UNKNOWN_TASK" }],
    ["__proto__", { code: "UNKNOWN_TASK" }],
  ])("%s rejects", async (name, error) => {
    await expect(validate(name, [1])).rejects.toMatchObject(error);
  });

  test("what the schema gives must be small enough as well", async () => {
    await expect(validate("trimmed", ["x".repeat(200_000)])).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  });

  test("nothing to check is nothing to refuse", async () => {
    expect(await validate("even")).toEqual([]);
  });

  test.runIf(bench.traits.isolates)("a schema that ends its worker rejects, and others go on", async () => {
    await expect(validate("exitingSchema", [1])).rejects.toMatchObject({ code: "WORKER_CRASH" });

    expect(await validate("even", [2])).toEqual([[2]]);
  });

  test("checking does not wait for a handler that waits", async () => {
    const flights = Array.from({ length: bench.atOnce }, () => bench.fly([["untilAborted"]]));
    await Promise.all(flights.map((flight) => flight.reaches(0)));

    expect(await validate("even", [2])).toEqual([[2]]);
    for (const flight of flights) flight.run.stop(flight.id(0), "end of test", 60_000);
    const reports = await Promise.all(flights.map(({ landed }) => landed));

    expect(endsOf(reports.flat())).toEqual(flights.map(() => "stopped"));
  });
}
