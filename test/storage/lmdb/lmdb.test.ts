import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lmdbStorage } from "../../../src/storage/lmdb/lmdb.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { describeStorage, describeStorageModel } from "../../conformance/storage.ts";

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
