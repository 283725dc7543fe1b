/**
 * W7: schedules by the thousand, a tenth of which is due at every full second: how many are registered a second, how long
 * a store with them takes to open, what they cost in memory, and how late tasks are stored.
 */
import { every } from "omniq";
import { memory, openRuntime, percentile, secondsOf, workload } from "../workload.mjs";

await workload({ schedules: 10_000, seconds: 12 }, async (settings) => {
  const { schedules, seconds } = settings;
  const options = { executors: { threads: 1 }, events: "off" };
  const first = await openRuntime(settings, { ...options, scheduler: { enabled: false } });
  const start = Math.ceil(Date.now() / 1_000) * 1_000 + 3_600_000;
  const all = Array.from({ length: schedules }, (_, index) => ({
    task: "noop",
    trigger: every("10s", { anchor: start + (index % 10) * 1_000 - 7_200_000 }),
    name: `schedule ${index}`,
    args: [index],
  }));
  const registering = await secondsOf(() => first.scheduleMany(all));
  await first.close();

  const before = memory().private;
  let omniq;
  const opening = await secondsOf(async () => (omniq = await openRuntime(settings, options)));
  // What was due while it was closed has been made up for by then.
  const from = Date.now() + 2_000;
  await new Promise((resolve) => setTimeout(resolve, (seconds + 2) * 1_000));
  await omniq.scheduler.shutdown();
  const megabytes = memory().private - before;
  const lateness = [];
  for (let cursor, isMore = true; isMore; isMore = cursor !== undefined) {
    const page = await omniq.list({ limit: 1_000, cursor });
    for (const { createdAt, schedule } of page.tasks) {
      if (schedule.scheduledFor >= from) lateness.push(createdAt - schedule.scheduledFor);
    }
    cursor = page.cursor;
  }
  await omniq.close({ drain: 0 });
  return [
    { name: "W7 registered", unit: "schedules/s", value: schedules / registering, batch: schedules },
    { name: "W7 open", unit: "ms", value: opening * 1_000 },
    { name: "W7 fired", unit: "tasks/s", value: lateness.length / seconds },
    { name: "W7 lateness p50", unit: "ms", value: percentile(lateness, 0.5) },
    { name: "W7 lateness p99", unit: "ms", value: percentile(lateness, 0.99) },
    { name: "W7 private memory, opened and fired", unit: "MB", value: megabytes },
  ];
});
