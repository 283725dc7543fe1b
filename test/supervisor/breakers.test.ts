import { describe, expect, test } from "vitest";
import type { NewTask } from "../../src/storage/storage.ts";
import { Breakers } from "../../src/supervisor/breakers.ts";
import type { DrainReport } from "../../src/supervisor/protocol.ts";
import { aTask } from "../support/tasks.ts";
import { birth, TestSupervisor } from "./test-supervisor.ts";

const aFailure = { attempt: 1, at: 0, reason: "error", error: { name: "Error", message: "no" } } as const;

const names = ["flaky", "sound"];
const breakers = { flaky: { threshold: 5, cooldownMs: 1_000, probes: 3 } };
const some = (name: string, count: number): NewTask[] =>
  Array.from({ length: count }, (_, number) => aTask({ name, id: `${name}-${number}` }));

/** Tasks that fail until they are told to succeed, and a hundred of them. */
async function failing(threads = 2) {
  const world = { isMended: false };
  const supervisor = await TestSupervisor.start({
    threads,
    names,
    breakers,
    behave: ({ request }) => ({
      durationMs: 10,
      ...(request.name === "flaky" && !world.isMended ? { end: "error" as const } : {}),
    }),
  });
  await supervisor.enqueue(...some("flaky", 100));
  const starts = (name: string): number => supervisor.executor.starts.filter(({ id }) => id.startsWith(name)).length;
  return { supervisor, world, starts };
}

describe("R08: a breaker", () => {
  test("keeps tasks in their queue after failures in a row, and fails none of them", async () => {
    const { supervisor, starts } = await failing();
    await supervisor.advance(900);

    // Those that the workers had by then were run.
    expect(starts("flaky")).toBeGreaterThanOrEqual(5);
    expect(starts("flaky")).toBeLessThanOrEqual(9);
    expect(await supervisor.counts()).toMatchObject({ ready: 100 - starts("flaky"), failed: starts("flaky") });
  });

  test("lets others run", async () => {
    const { supervisor, starts } = await failing();
    await supervisor.enqueue(...some("sound", 50));
    await supervisor.advance(900);

    expect(starts("sound")).toBe(50);
  });

  test("lets as many run after the cooldown as are to probe, and closes when they have succeeded", async () => {
    const { supervisor, world, starts } = await failing(8);
    await supervisor.advance(900);
    const before = starts("flaky");
    world.isMended = true;

    await supervisor.advance(112);
    expect(starts("flaky") - before).toBe(3);
    await supervisor.advance(1_000);
    expect((await supervisor.counts()).completed).toBe(100 - before);
  });

  test("opens again with the first probe that fails", async () => {
    const { supervisor, starts } = await failing(1);
    await supervisor.advance(900);
    const before = starts("flaky");

    await supervisor.advance(600);
    const probes = starts("flaky") - before;
    expect(probes).toBeGreaterThanOrEqual(1);
    expect(probes).toBeLessThanOrEqual(3);
    await supervisor.advance(400);
    expect(starts("flaky") - before).toBe(probes);
  });

  test("counts what claims may bring that are being stored", async () => {
    const { supervisor, world, starts } = await failing(8);
    await supervisor.advance(900);
    const before = starts("flaky");
    world.isMended = true;
    supervisor.storage.latencyMs = 5;
    for (let call = 0; call < 40; call++) {
      await supervisor.advance(5);
      void supervisor.enqueue(aTask({ name: "sound" }));
      // Three of them have to end before more may start.
      if (supervisor.clock.now() - birth < 1_015) expect(starts("flaky") - before).toBeLessThanOrEqual(3);
    }

    expect(starts("flaky") - before).toBeGreaterThan(3);
  });

  test("closes when the task is defined anew without one", async () => {
    const settings = new Map([["flaky", { threshold: 1, cooldownMs: 1_000, probes: 1 }]]);
    const breakers = new Breakers(settings);
    breakers.ended(
      "flaky",
      { to: "failed", reason: "error", failure: aFailure, failures: 1, crashes: 0, interruptions: 0 },
      0,
    );
    expect(breakers.openAt(1)).toEqual(new Set(["flaky"]));
    settings.clear();

    expect(breakers.openAt(1)).toEqual(new Set());
    expect(breakers.roomAt(2_000, [], () => 0)).toBeUndefined();
  });

  test("stays open when an actor is restarted, and lets tasks run in time", async () => {
    const { supervisor, world, starts } = await failing();
    await supervisor.advance(900);
    const before = starts("flaky");
    supervisor.crash("queue");
    await supervisor.advance(50);
    expect(starts("flaky")).toBe(before);

    world.isMended = true;
    await supervisor.advance(2_000);
    expect((await supervisor.counts()).completed).toBe(100 - before);
  });

  test("is not waited for by a drain, which tells how many it holds", async () => {
    const { supervisor, starts } = await failing();
    await supervisor.advance(200);
    const report = supervisor.ask<DrainReport | undefined>((reply) => ({ type: "drain", reply }));
    await supervisor.settle();

    expect(await report).toMatchObject({ held: 100 - starts("flaky") });
  });

  test("does not mind interruptions and cancellations", async () => {
    const supervisor = await TestSupervisor.start({
      names,
      breakers,
      behave: () => ({ durationMs: 10_000, onStop: "obey" }),
    });
    const tasks = some("flaky", 8);
    await supervisor.enqueue(...tasks);
    for (const { id } of tasks) {
      await supervisor.advance(1);
      void supervisor.ask((reply) => ({
        type: "cancel",
        ids: [id],
        reason: "enough",
        running: "terminate",
        graceMs: 0,
        reply,
      }));
      await supervisor.advance(1);
    }

    expect((await supervisor.counts()).cancelled).toBe(8);
  });
});
