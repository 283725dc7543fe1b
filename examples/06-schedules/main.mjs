import { at, cron, daily, every, monthly, Omniq, onEvent, template, weekly } from "omniq";

const omniq = await Omniq.open({ tasks: new URL("./tasks.ts", import.meta.url), storage: "./.omniq/schedules" });

// Options that several schedules share. What a call says stands over them; tags are added.
const reports = template({ timezone: "Europe/Berlin", maxRetries: 2, tags: ["report"], upsert: true });

// One of each kind of trigger. With `upsert`, a second run of this program finds them and makes no others.
const day = (text) => new Date(`${text}T00:00:00Z`);
const plan = {
  cron: cron("30 9 * * MON-FRI"),
  interval: every("6h", { anchor: day("2026-01-01") }),
  once: at("2099-12-31T23:59:00", { timezone: "Europe/Berlin" }),
  daily: daily(["09:00", "17:30"]),
  weekly: weekly({ days: ["monday", "thursday"], time: "10:00" }),
  monthly: monthly({ days: [1, 15, "last"], time: "12:00" }),
  afterEach: every("10m", { mode: "fixed-delay" }),
};
for (const [name, trigger] of Object.entries(plan)) {
  await omniq.schedule("report", trigger, { template: reports, name, args: [`the ${name} report`] });
}
const { schedules } = await omniq.schedules.list({ tags: ["report"] });
console.log(`${schedules.length} reports are planned; each zone has its own clock:`);
const { id } = await omniq.schedules.byName("daily");
const clock = new Intl.DateTimeFormat("en-GB", { timeZone: "Europe/Berlin", timeStyle: "short" });
for (const next of await omniq.schedules.nextRuns(id, 4)) console.log(`  daily at ${clock.format(next)} in Berlin`);

// A new version; nobody who still has the old one in mind can overwrite it.
const { version } = await omniq.schedules.update(id, { args: ["the new daily report"] }, { changelog: "reworded" });
const conflict = await omniq.schedules.update(id, { args: [""] }, { ifVersion: version - 1 }).catch(({ code }) => code);
const [{ changelog, before, after }] = await omniq.schedules.history(id);
console.log(`${changelog}:`, before.args, "->", after.args, `then ${conflict}`);

// By hand, whatever the plan says.
const byHand = await omniq.schedules.trigger(id);
console.log(await byHand.result());

// Events fire all schedules that wait for them.
for (const shelf of [3, 7]) {
  const name = `shelf ${shelf}`;
  await omniq.schedule("restock", onEvent("stock.low"), { name, args: [{ shelf }], upsert: true });
}
for (const handle of await omniq.emit("stock.low", { item: "tea" })) console.log(await handle.result());

// Three times in a row, then it is completed.
const quick = await omniq.schedule("report", every("50ms", { immediate: true }), { args: ["a quick one"], maxRuns: 3 });
while ((await omniq.schedules.status(quick.id)).status === "active") {
  await new Promise((resolve) => setTimeout(resolve, 20));
}
await omniq.drain();
const { status, runCount, successCount } = await omniq.schedules.status(quick.id);
console.log(`${status} after ${runCount} runs, ${successCount} of them well`);

const { declared, unique } = await omniq.schedules.byName("tidyUp");
console.log(`tidyUp is declared: ${declared}; one at a time: ${unique}`);

await omniq.close();
