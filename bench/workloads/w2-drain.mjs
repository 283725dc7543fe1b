/** W2: no-ops are queued; workers start; until the last completion is stored. */
import { enqueueInBulk, openRuntime, paused, secondsOf, warmUp, workload } from "../workload.mjs";

await workload({ tasks: 100_000, batch: 1_000 }, async (settings) => {
  const omniq = await openRuntime(settings, paused(false));
  await warmUp(omniq);
  const queue = omniq.queues.get("default");
  await queue.pause();
  await enqueueInBulk(omniq, settings, 8);
  const seconds = await secondsOf(async () => {
    await queue.resume();
    await omniq.drain();
  });
  await omniq.close();
  return [{ name: "W2", unit: "tasks/s", value: settings.tasks / seconds }];
});
