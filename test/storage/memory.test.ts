import { memoryStorage } from "../../src/storage/memory.ts";
import { describeStorage, describeStorageModel } from "../conformance/storage.ts";

const create = async () => {
  const storage = memoryStorage();
  // Opened again without being closed, it finds what a crash leaves.
  return { storage, reopen: async () => storage, dispose: () => storage.close() };
};

describeStorage("memory", create);
describeStorageModel("memory", create);
