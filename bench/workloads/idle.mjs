/** What an open runtime costs that has nothing to do, once V8 has tidied up after its start. */
import { setTimeout as sleep } from "node:timers/promises";
import { openRuntime, secondsOf, warmUp, workload } from "../workload.mjs";

await workload({ seconds: 10, settle: 30 }, async (settings) => {
  const omniq = await openRuntime(settings);
  await warmUp(omniq);
  await sleep(settings.settle * 1_000);
  const before = process.cpuUsage();
  const seconds = await secondsOf(() => sleep(settings.seconds * 1_000));
  const { user, system } = process.cpuUsage(before);
  await omniq.close();
  return [{ name: "Idle", unit: "% of a core", value: ((user + system) / 1e6 / seconds) * 100 }];
});
