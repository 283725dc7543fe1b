import type { processExecutor as ProcessExecutor } from "../../src/executor/processes.ts";
import { describeExecutor } from "../conformance/executor.ts";

// Processes start from files that Node can run: the built ones.
const built = new URL("../../dist/executor/processes.js", import.meta.url).href;
const { processExecutor } = (await import(built)) as { processExecutor: typeof ProcessExecutor };

describeExecutor("processes", { isolates: true, sharesWorkers: false, atOnce: (slots) => slots / 2 }, (options) =>
  processExecutor({ processes: 2, heapMb: 48, ...options }),
);
