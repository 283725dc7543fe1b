import type { threadExecutor as ThreadExecutor } from "../../src/executor/threads.ts";
import { describeExecutor } from "../conformance/executor.ts";

// Threads start from files that Node can run: the built ones.
const built = new URL("../../dist/executor/threads.js", import.meta.url).href;
const { threadExecutor } = (await import(built)) as { threadExecutor: typeof ThreadExecutor };

// A thread runs its second batch while the handler of the first one waits.
describeExecutor("threads", { isolates: true, sharesWorkers: true, atOnce: (slots) => slots }, (options) =>
  threadExecutor({ threads: 2, resourceLimits: { maxOldGenerationSizeMb: 48 }, ...options }),
);
