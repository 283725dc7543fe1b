import { describe, expect, test } from "vitest";
import { combinedStorage } from "../../src/storage/combined.ts";
import { memoryResults } from "../../src/storage/memory-components.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { aScheduledTask, aSchedule } from "../support/stored-schedules.ts";
import { birth, someBytes } from "../support/tasks.ts";

const settings = {
  owner: "test",
  now: birth,
  events: "all",
  retention: { completedMs: 1e9, failedMs: 1e9, eventsMs: 2e9 },
} as const;

/** A storage whose results are written when `write` is called. */
async function withSlowResults(): Promise<{ storage: Storage; write: () => void }> {
  const results = memoryResults();
  let write = (): void => undefined;
  const held = new Promise<void>((resolve) => (write = resolve));
  const slow = { ...results, put: (kept: Parameters<typeof results.put>[0]) => held.then(() => results.put(kept)) };
  const storage = combinedStorage(memoryStorage(), { results: slow, onLostEvents: () => undefined });
  await storage.open(settings);
  await storage.commit([{ type: "putSchedule", schedule: aSchedule(), ifVersion: 0 }]);
  await storage.commit([{ type: "enqueue", tasks: [aScheduledTask("schedule", { id: "task" })] }]);
  await storage.commit([{ type: "claim", limit: 1, now: birth, owner: "test" }]);
  return { storage, write };
}

const complete = (storage: Storage): Promise<unknown> => {
  const end = { to: "completed", result: someBytes(7) } as const;
  const settlements = [{ id: "task", fence: { epoch: 1, attempt: 1 }, end }];
  return storage.commit([{ type: "settle", now: birth, settlements }]);
};

describe("a commit that waits for its results to be written", () => {
  test.each<[string, (storage: Storage) => Promise<unknown>, unknown]>([
    ["get", async (storage) => (await storage.get(["task"]))[0]?.life.state, "completed"],
    ["list", async (storage) => (await storage.list({ limit: 10 })).tasks.map(({ life }) => life.state), ["completed"]],
    ["result", (storage) => storage.result("task"), someBytes(7)],
    ["counts", async (storage) => (await storage.counts()).totals.completed, 1],
    ["schedules", async (storage) => (await storage.schedules({ limit: 1 })).schedules[0]?.results.successCount, 1],
    ["events", async (storage) => (await storage.events({ limit: 10 })).at(-1)?.type, "completed"],
    ["nextDue", async (storage) => (await storage.nextDue()).prune, birth + 1e9],
  ])("is seen by %s when that comes after it", async (_, read, seen) => {
    const { storage, write } = await withSlowResults();

    const settled = complete(storage);
    const found = read(storage);
    write();

    expect(await found).toEqual(seen);
    await settled;
  });

  test("is seen by a read that comes after a later commit, too", async () => {
    const { storage, write } = await withSlowResults();

    void complete(storage);
    void storage.commit([{ type: "configureQueue", queue: "new", patch: {} }]);
    const queues = storage.queues();
    write();

    expect((await queues).map(({ name }) => name)).toEqual(["default", "new"]);
  });

  test("holds up no read once it is done", async () => {
    const { storage, write } = await withSlowResults();
    write();

    await complete(storage);

    expect((await storage.get(["task"]))[0]?.life.state).toBe("completed");
  });
});
