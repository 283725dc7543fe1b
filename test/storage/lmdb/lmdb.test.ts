import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lmdbStorage } from "../../../src/storage/lmdb/lmdb.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { expect, test } from "vitest";
import { describeStorage, describeStorageModel } from "../../conformance/storage.ts";
import { someSettings } from "../../conformance/storage/bench.ts";
import { aTask, birth } from "../../support/tasks.ts";

const create = async () => {
  const path = await mkdtemp(join(tmpdir(), "omniq-storage-"));
  const make = (): Storage => lmdbStorage({ path, reserveBytes: 1_000_000, preflight: "off" });
  let storage = make();
  return {
    storage,
    reopen: async () => {
      await storage.close();
      storage = make();
      return storage;
    },
    dispose: async () => {
      await storage.close();
      await rm(path, { recursive: true, force: true });
    },
  };
};

describeStorage("lmdb", create);
describeStorageModel("lmdb", create);

test("a backlog that has expired is passed over in steps, and says that there is more", async () => {
  const { storage, dispose } = await create();
  await storage.open(someSettings);
  const tasks = Array.from({ length: 5_000 }, () => aTask({ expiresAt: birth + 1 }));
  await storage.commit([{ type: "enqueue", tasks }]);

  const steps: number[] = [];
  for (let isMore = true; isMore;) {
    const [claimed] = await storage.commit([{ type: "claim", limit: 1, now: birth + 2, owner: "test" }]);
    steps.push(claimed.expired.length);
    isMore = claimed.heldUntil !== undefined;
  }

  expect(steps).toEqual([2_000, 2_000, 1_000]);
  await dispose();
});
