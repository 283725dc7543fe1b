import { describeExecutor } from "../conformance/executor.ts";
import { InlineExecutor } from "./inline-executor.ts";

describeExecutor(
  "an executor of one's own",
  { isolates: false, sharesWorkers: true, atOnce: (slots) => slots },
  (options) => new InlineExecutor(options),
);
