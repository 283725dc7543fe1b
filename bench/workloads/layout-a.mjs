/** The writes of the raw ceiling alone, in one thread: tasks are stored, then completed. A ceiling far below is broken. */
import { join } from "node:path";
import { openLayout, putOutcome, putTask } from "../ceiling/layout.mjs";
import { secondsOf, workload } from "../workload.mjs";

await workload({ tasks: 200_000, batch: 64 }, async ({ folder, tasks, batch }) => {
  const layout = openLayout(join(folder, "layout"));
  const record = Buffer.alloc(70, 1);
  const outcome = Buffer.alloc(5, 2);
  const writeAll = async (write) => {
    let written;
    for (let key = 1; key <= tasks; key++) {
      written = write(key);
      if (key % batch === 0) await new Promise(setImmediate);
    }
    await written;
  };
  const seconds = await secondsOf(async () => {
    await writeAll((key) => putTask(layout, key, record));
    await writeAll((key) => putOutcome(layout, key, outcome));
  });
  await layout.close();
  return [{ name: "Layout alone", unit: "tasks/s", value: tasks / seconds, batch }];
});
