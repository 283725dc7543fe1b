/**
 * W8: a million queued tasks. `--step store` stores them and closes; `--step reopen` opens the same folder again, in a
 * process that has done nothing else, and starts to work. Memory is read from Linux's /proc.
 */
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { memory, openRuntime, paused, secondsOf, underWay, workload } from "../workload.mjs";

const steps = { store, reopen };

await workload({ tasks: 1_000_000, batch: 1_000, step: "store" }, (settings) => steps[settings.step](settings));

async function store(settings) {
  const { folder, tasks, batch } = settings;
  const omniq = await openRuntime(settings, paused(true));
  const empty = memory();
  let first;
  await underWay(8, Math.ceil(tasks / batch), async (call) => {
    const from = call * batch;
    const size = Math.min(batch, tasks - from);
    const handles = await omniq.enqueueMany(
      "noop",
      Array.from({ length: size }, (_, i) => hundredBytes(from + i)),
    );
    if (call === 0) first = handles[0].id;
  });
  const full = memory();
  await omniq.close();
  writeFileSync(join(folder, "first"), first);
  return [
    { name: "W8 private memory, nothing stored", unit: "MB", value: empty.private },
    { name: "W8 private memory, stored", unit: "MB", value: full.private, batch },
    { name: "W8 mapped pages, stored", unit: "MB", value: full.mapped, batch },
    { name: "W8 file", unit: "MB", value: sizeOf(join(folder, "store")) },
  ];
}

async function reopen(settings) {
  const first = readFileSync(join(settings.folder, "first"), "utf8");
  let omniq;
  const openSeconds = await secondsOf(async () => (omniq = await openRuntime(settings)));
  const opened = memory();
  const firstSeconds = await secondsOf(async () => {
    await omniq.queues.get("default").resume();
    await omniq.result(first);
  });
  await omniq.close({ drain: 0 });
  return [
    { name: "W8 open", unit: "ms", value: openSeconds * 1_000 },
    { name: "W8 private memory, opened", unit: "MB", value: opened.private },
    { name: "W8 first result after resume", unit: "ms", value: firstSeconds * 1_000 },
  ];
}

/** Arguments that take 100 bytes when they are stored: four say what they are. */
function hundredBytes(i) {
  return [String(i).padStart(96, "0")];
}

/** What the files of a folder take on the disk. */
function sizeOf(folder) {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).blocks * 512, 0) / 1e6;
}
