import fc from "fast-check";
import { expect, it } from "vitest";
import { memoryStorage } from "../../../src/storage/memory.ts";
import type { Advanced, Change, Claimed, Limits, Pruned } from "../../../src/storage/storage.ts";
import type { StoredEvent } from "../../../src/task/event.ts";
import { type CreateFixture, someSettings } from "./bench.ts";
import { ask, someLimits, someSteps, World } from "./commands.ts";
import { look, type Sight } from "./laws.ts";

export function comparing(create: CreateFixture): void {
  it("answers as the memory storage does", { timeout: 300_000 }, async () => {
    // Without limits: in which order things of one moment are done is left open.
    await fc.assert(
      fc.asyncProperty(someLimits, someSteps(fc.constant(1_000)), async (limits, steps) => {
        const given = { ...someSettings, ...limits };
        const fixture = await create();
        const model = memoryStorage();
        try {
          let { storage } = fixture;
          const world = new World(true);
          const epochs = [(await storage.open(given)).epoch];
          const modelEpochs = [(await model.open(given)).epoch];
          for (const step of steps) {
            if (step.type === "wait") {
              world.now += step.ms;
              continue;
            }
            if (step.type === "reopen") {
              const settings = { ...given, now: world.now };
              storage = await fixture.reopen();
              const [opened, expected] = [await storage.open(settings), await model.open(settings)];
              expect(opened.interrupted).toBe(expected.interrupted);
              epochs.push(opened.epoch);
              modelEpochs.push(expected.epoch);
              world.reopened();
            } else {
              const changes = await world.changesOf(step, model, modelEpochs);
              const expected = await ask(model, changes);
              const answers = await ask(storage, translated(changes, modelEpochs, epochs));
              expect(comparable(changes, answers)).toEqual(comparable(changes, expected));
              if (expected !== "refused") world.learn(changes, expected);
            }
            compareSights(await look(storage, world.now), await look(model, world.now), limits.names);
          }
        } finally {
          await fixture.dispose();
        }
      }),
      { numRuns: 60 },
    );
  });
}

/** The same changes with the epochs of another storage. */
function translated(changes: readonly Change[], from: readonly number[], to: readonly number[]): Change[] {
  const fenceOf = ({ epoch, attempt }: { epoch: number; attempt: number }) => ({
    epoch: to[from.indexOf(epoch)] ?? 0,
    attempt,
  });
  return changes.map((change): Change => {
    if (change.type === "settle") {
      return { ...change, settlements: change.settlements.map((one) => ({ ...one, fence: fenceOf(one.fence) })) };
    }
    if (change.type === "extend") {
      return { ...change, leases: change.leases.map((one) => ({ ...one, fence: fenceOf(one.fence) })) };
    }
    return change;
  });
}

/** Answers without what the contract leaves open: orders within one moment, and how results of whole tasks are counted. */
function comparable(changes: readonly Change[], answers: readonly unknown[] | "refused"): unknown {
  if (answers === "refused") return answers;
  return changes.map(({ type }, index) => {
    const answer = answers[index];
    switch (type) {
      case "claim": {
        const { tasks, expired } = answer as Claimed;
        return {
          tasks: tasks.map((task) => ({ ...task, args: Uint8Array.from(task.args) })),
          expired: [...expired].sort(),
        };
      }
      case "advance": {
        const { ready, expired, interrupted, hasMore } = answer as Advanced;
        return { ready, expired: [...expired].sort(), interrupted: [...interrupted].sort(), hasMore };
      }
      case "prune": {
        const { tasks, events, hasMore } = answer as Pruned;
        return { tasks, events, hasMore };
      }
      default:
        return answer;
    }
  });
}

function compareSights(actual: Sight, expected: Sight, names: ReadonlyMap<string, Limits> = new Map()): void {
  expect({ ...actual, ...unordered(actual) }).toEqual({ ...expected, ...unordered(expected) });
  expect(actual.nextDue.schedule).toBe(expected.nextDue.schedule);
  // Called too early, they have nothing to do; called too late, they would be late.
  const hasRates = names.size > 0 && [...names.values()].some(({ rateLimit }) => rateLimit !== undefined);
  // Which of the tasks left by a claim a rate limit alone held back, is left open.
  const dues =
    hasRates || expected.queues.some(({ rateLimit }) => rateLimit)
      ? (["prune"] as const)
      : (["advance", "prune"] as const);
  for (const due of dues) {
    expect(actual.nextDue[due] ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(
      expected.nextDue[due] ?? Number.POSITIVE_INFINITY,
    );
  }
}

const unordered = ({ events }: Sight) => ({ events: events.map(textOf).sort(), nextDue: undefined });

// An interruption and an expiry tell all by their type; whether they give a reason as well is left open.
const textOf = (event: StoredEvent): string => {
  if (event.scheduleId !== undefined) return JSON.stringify({ ...event, sequence: 0 });
  const { type, at, taskId, name, queue, attempt, reason, error } = event;
  return JSON.stringify(
    type === "interrupted" || type === "expired"
      ? [type, at, taskId, name, queue, attempt]
      : [type, at, taskId, name, queue, attempt, reason, error],
  );
};
