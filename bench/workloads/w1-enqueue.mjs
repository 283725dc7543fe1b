/** W1: small tasks are stored while no worker takes any, in bulk or one by one. */
import { enqueueInBulk, openRuntime, paused, secondsOf, smallTask, underWay, workload } from "../workload.mjs";

await workload({ tasks: 100_000, batch: 1_000, call: "bulk" }, async (settings) => {
  const { call, tasks } = settings;
  const omniq = await openRuntime(settings, paused(true));
  const one = (i) => omniq.enqueue("noop", smallTask(i));
  const ways = {
    bulk: () => enqueueInBulk(omniq, settings, 1),
    x100: () => underWay(100, tasks, one),
    x1: () => underWay(1, tasks, one),
  };
  const seconds = await secondsOf(ways[call]);
  await omniq.close();
  return [{ name: `W1 ${call}`, unit: "tasks/s", value: tasks / seconds, batch: call === "bulk" ? settings.batch : 1 }];
});
