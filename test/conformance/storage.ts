import { afterEach, beforeEach, describe } from "vitest";
import { type CreateFixture, Bench } from "./storage/bench.ts";
import { bulk } from "./storage/bulk.ts";
import { claiming } from "./storage/claiming.ts";
import { counting } from "./storage/counting.ts";
import { deduplicating } from "./storage/deduplicating.ts";
import { ending } from "./storage/ending.ts";
import { enqueueing } from "./storage/enqueueing.ts";
import { events } from "./storage/events.ts";
import { interrupting } from "./storage/interrupting.ts";
import { intervening } from "./storage/intervening.ts";
import { leasing } from "./storage/leasing.ts";
import { limiting } from "./storage/limiting.ts";
import { obeying } from "./storage/laws.ts";
import { comparing } from "./storage/model.ts";
import { noting } from "./storage/noting.ts";
import { ordering } from "./storage/ordering.ts";
import { pacing } from "./storage/pacing.ts";
import { parking } from "./storage/parking.ts";
import { pruning } from "./storage/pruning.ts";
import { queueing } from "./storage/queueing.ts";
import { reading } from "./storage/reading.ts";
import { reopening } from "./storage/reopening.ts";
import { aging, moving, routing } from "./storage/routing.ts";
import { scheduling } from "./storage/scheduling.ts";
import { staging } from "./storage/staging.ts";
import { waiting } from "./storage/waiting.ts";

/** What every storage does; see src/storage/storage.ts for the contract in words. */
export function describeStorage(name: string, create: CreateFixture): void {
  describe(`${name} as a storage`, () => {
    const bench = new Bench(create);
    beforeEach(() => bench.start());
    afterEach(() => bench.dispose());

    describe("enqueue", () => enqueueing(bench));
    describe("dedupe keys", () => deduplicating(bench));
    describe("claim", () => claiming(bench));
    describe("limits", () => limiting(bench));
    describe("rate limits per key", () => pacing(bench));
    describe("ordering keys", () => ordering(bench));
    describe("routing", () => routing(bench));
    describe("aging", () => aging(bench));
    describe("move", () => moving(bench));
    describe("tasks of one call", () => bulk(bench));
    describe("settle", () => ending(bench));
    describe("notes", () => noting(bench));
    describe("park and unpark", () => parking(bench));
    describe("advance", () => waiting(bench));
    describe("leases", () => leasing(bench));
    describe("interruptions", () => interrupting(bench));
    describe("cancel, requeue, delete", () => intervening(bench));
    describe("stage and publish", () => staging(bench));
    describe("schedules", () => scheduling(bench));
    describe("queues", () => queueing(bench));
    describe("get, list, result", () => reading(bench));
    describe("counts", () => counting(bench));
    describe("events", () => events(bench));
    describe("prune", () => pruning(bench));
    describe("open and close", () => reopening(bench));
    describe("any sequence of changes", () => obeying(create));
  });
}

/** The storage answers whatever is asked as the memory storage does. */
export function describeStorageModel(name: string, create: CreateFixture): void {
  describe(`${name} beside the memory storage`, () => comparing(create));
}
