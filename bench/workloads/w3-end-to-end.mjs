/** W3: workers run while no-ops are enqueued in bulk: from the first call until the last completion is stored. */
import { enqueueInBulk, openRuntime, secondsOf, warmUp, workload } from "../workload.mjs";

await workload({ tasks: 100_000, batch: 500 }, async (settings) => {
  const { tasks, batch } = settings;
  const omniq = await openRuntime(settings);
  await warmUp(omniq);
  const seconds = await secondsOf(async () => {
    await enqueueInBulk(omniq, settings, 8);
    await omniq.drain();
  });
  await omniq.close();
  return [{ name: "W3", unit: "tasks/s", value: tasks / seconds, batch }];
});
