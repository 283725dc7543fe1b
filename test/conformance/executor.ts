import { afterAll, beforeAll, describe } from "vitest";
import { Bench, type CreateExecutor, type ExecutorTraits } from "./executor/bench.ts";
import { closing } from "./executor/closing.ts";
import { dying } from "./executor/dying.ts";
import { equipping } from "./executor/equipping.ts";
import { failing } from "./executor/failing.ts";
import { noting } from "./executor/noting.ts";
import { running } from "./executor/running.ts";
import { starting } from "./executor/starting.ts";
import { stopping } from "./executor/stopping.ts";
import { straying } from "./executor/straying.ts";
import { validating } from "./executor/validating.ts";

/** What every executor does; see src/executor/executor.ts for the contract in words. */
export function describeExecutor(name: string, traits: ExecutorTraits, create: CreateExecutor): void {
  describe(`${name} as an executor`, () => {
    const bench = new Bench(create, traits);
    beforeAll(() => bench.start());
    afterAll(() => bench.dispose());

    describe("start", () => starting(bench));
    describe("run", () => running(bench));
    describe("faults", () => failing(bench));
    describe("stop and revoke", () => stopping(bench));
    describe.runIf(traits.isolates)("deaths", () => dying(bench));
    describe.runIf(traits.isolates)("what strays", () => straying(bench));
    describe.runIf(traits.isolates)("equipment", () => equipping(bench));
    describe.runIf(traits.isolates)("what attempts say", () => noting(bench));
    describe("validate", () => validating(bench));
    describe("close", () => closing(bench));
  });
}
