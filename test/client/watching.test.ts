import { beforeEach, describe, expect, test, vi } from "vitest";
import { StoreFullError } from "../../src/base/errors.ts";
import type { ReceivedOutcome } from "../../src/bridge/connect.ts";
import { Omniq } from "../../src/client/omniq.ts";
import type { CatalogueEntry } from "../../src/executor/executor.ts";
import type { TaskId } from "../../src/task/task.ts";

/** A supervisor that answers as it is told, and keeps account of what it is asked. */
const connection = vi.hoisted(() => ({
  store: (_ids: readonly TaskId[]): Promise<readonly (TaskId | undefined)[] | undefined> => Promise.resolve(undefined),
  onOutcomes: (_outcomes: readonly ReceivedOutcome[]): void => undefined,
  isLifeExpected: false,
  waitedFor: [] as TaskId[],
  forgotten: [] as TaskId[],
}));

vi.mock(import("../../src/bridge/connect.ts"), async (original) => {
  const { batchOf } = await original();
  class FakeConnection {
    readonly calls = {
      ready: async () => ({ epoch: 1, interrupted: 0, catalogue: [entry] }),
      drain: async (waitMs?: number) => (waitMs === undefined ? { paused: 0 } : undefined),
    };
    set onOutcomes(listener: (outcomes: readonly ReceivedOutcome[]) => void) {
      connection.onOutcomes = listener;
    }
    store({ batch }: { batch: { ids: readonly TaskId[] } }): unknown {
      return connection.store(batch.ids);
    }
    wait(ids: readonly TaskId[]): void {
      connection.waitedFor.push(...ids);
    }
    stopWaiting(ids: readonly TaskId[]): void {
      connection.forgotten.push(...ids);
    }
    expectLife(isExpected: boolean): void {
      connection.isLifeExpected = isExpected;
    }
  }
  return { batchOf, Connection: FakeConnection as never };
});

const entry: CatalogueEntry = { name: "greet", file: "tasks.ts", options: {}, hasInput: false };
const full = new StoreFullError("/store", 1, 2);
const open = (durability: "sync" | "relaxed" = "sync") =>
  Omniq.open({ tasks: import.meta.filename, storage: "memory:", durability });

beforeEach(() => {
  connection.store = () => Promise.resolve(undefined);
  connection.isLifeExpected = false;
  connection.waitedFor = [];
  connection.forgotten = [];
});

describe("run", () => {
  test.each(["sync", "relaxed"] as const)("forgets the task that is refused with durability %s", async (durability) => {
    const omniq = await open(durability);
    let sent: readonly TaskId[] = [];
    connection.store = async (ids) => {
      sent = ids;
      throw full;
    };

    await expect(omniq.run("greet", [])).rejects.toBe(full);
    await vi.waitFor(() => expect(connection.isLifeExpected).toBe(false));

    expect(connection.forgotten).toEqual(sent);
  });

  test("waits for the task that has its dedupe key already, and not for its own", async () => {
    const omniq = await open();
    let sent: readonly TaskId[] = [];
    connection.store = async (ids) => {
      sent = ids;
      return ["holder"];
    };

    const result = omniq.run("greet", [], { dedupeKey: "key", onConflict: "return" });
    await vi.waitFor(() => expect(connection.waitedFor).toEqual(["holder"]));
    connection.onOutcomes([{ id: "holder", state: "cancelled", attempt: 0, reason: "by the test" }]);

    await expect(result).rejects.toMatchObject({ taskId: "holder", state: "cancelled" });
    expect(connection.forgotten).toEqual(sent);
    expect(connection.isLifeExpected).toBe(false);
  });
});

test("a map forgets the tasks that are refused after they were acknowledged", async () => {
  const omniq = await open("relaxed");
  let sent: readonly TaskId[] = [];
  connection.store = async (ids) => {
    sent = ids;
    throw full;
  };

  await expect(omniq.map("greet", [[1], [2], [3]]).next()).rejects.toBe(full);
  await vi.waitFor(() => expect(connection.isLifeExpected).toBe(false));

  expect(sent).toHaveLength(3);
  expect(connection.forgotten).toEqual(sent);
});

test("drain gives the report, or says that it took too long when there is none", async () => {
  const omniq = await open();

  expect(await omniq.drain()).toEqual({ paused: 0 });
  await expect(omniq.drain({ timeout: 50 })).rejects.toMatchObject({ code: "WAIT_TIMEOUT" });
});
