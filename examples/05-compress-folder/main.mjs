/**
 * Finds out what compression would save in a folder, file by file, on all cores. Nothing is changed.
 * Stop it at any moment, even with kill -9: the same command goes on where it was.
 */
import { appendFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import progress from "cli-progress";
import { ClosedError, Omniq, OmniqError } from "omniq";
import { findFiles } from "./files.mjs";
import { printReport } from "./report.mjs";

const usage = `node main.mjs [folder] [--all] [--fresh] [--data <folder>]

  folder    what to look at; the packages of this project if left out
  --all     every file, instead of 2,000 files of up to 1 MB
  --fresh   forget what earlier runs did
  --data    where tasks and results are kept; .omniq/compress-folder in this project if left out`;

const inProject = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

const options = readArguments();
const begunAt = Date.now();
let isStopping = false;

try {
  const files = await filesToDo();
  const omniq = await Omniq.open({
    tasks: new URL("./tasks.ts", import.meta.url),
    storage: options.data,
    queues: { default: { paused: options.fresh } },
    retention: { completed: "365d", failed: "365d" },
  });
  stopOnSignals(omniq);
  if (options.fresh) {
    await omniq.queues.get("default").purge();
    await omniq.queues.get("default").resume();
  }
  const outcomes = await compressAll(omniq, files);
  await omniq.close();
  printReport(outcomes, { folder: options.folder, ms: Date.now() - begunAt });
} catch (error) {
  if (!(isStopping && error instanceof ClosedError)) fail(error);
}

/** Every file is a task of its own. Resolves when all have ended, in this run or an earlier one. */
async function compressAll(omniq, files) {
  const bar = progressBar();
  bar.start(files.length, 0);
  try {
    return await Promise.all(
      files.map(async (file) => {
        const isEarlier = await store(omniq, file);
        const { value, error } = await omniq.wait(file.id);
        if (!isEarlier) log("OMNIQ_DEMO_DONE_LOG", file.id);
        bar.increment();
        return { path: file.path, isEarlier, value, why: error?.cause?.code ?? error?.message };
      }),
    );
  } finally {
    bar.stop();
  }
}

/** Stores the task of a file, unless an earlier run did. Whether that one finished it, too. */
async function store(omniq, { id, path }) {
  const task = await omniq.get(id);
  if (task === undefined) {
    await omniq.enqueue("compress", [path], { id });
    log("OMNIQ_DEMO_ACK_LOG", id);
  } else if (task.state === "failed") {
    await omniq.requeue(id);
  }
  return task?.state === "completed" && task.finishedAt.getTime() < begunAt;
}

async function filesToDo() {
  const { files, count, unreadable } = await findFiles(options.folder, { all: options.all, except: options.data });
  for (const { path, why } of unreadable) console.error(`Skipped ${path}: ${why}`);
  if (files.length === 0) throw new Error(`There are no files to compress in ${options.folder}.`);
  const rest = files.length === count ? "" : ` of ${count.toLocaleString("en")}; --all takes them all`;
  console.log(`${options.folder}: ${files.length.toLocaleString("en")} files${rest}`);
  return files;
}

/** The first signal stops in order, a second one at once. */
function stopOnSignals(omniq) {
  const stop = async (signal) => {
    isStopping = true;
    await omniq.close({ drain: "10s" });
    console.log("\nStopped. Run the same command again to go on.");
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void stop(signal));
}

function progressBar() {
  const format = process.stderr.isTTY
    ? "{bar} {percentage} % | {value} of {total} files | {eta_formatted} left"
    : "{value} of {total} files";
  // The terminal's own settings stay as they are: after kill -9 nobody would set them back.
  const settings = { format, etaBuffer: 200, linewrap: true, noTTYOutput: true, notTTYSchedule: 3_000 };
  return new progress.SingleBar(settings, progress.Presets.shades_classic);
}

/** For tests that end this process at any moment, and look at what it had promised by then. */
function log(variable, id) {
  const file = process.env[variable];
  if (file !== undefined) appendFileSync(file, `${id}\n`);
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        all: { type: "boolean", default: false },
        fresh: { type: "boolean", default: false },
        data: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
    if (values.help) {
      console.log(usage);
      process.exit(0);
    }
    if (positionals.length > 1) throw new Error("Give one folder.");
    const { all, fresh, data } = values;
    const folder = resolve(positionals[0] ?? inProject("node_modules"));
    return { folder, all, fresh, data: resolve(data ?? inProject(".omniq/compress-folder")) };
  } catch (error) {
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}

function fail(error) {
  const isOurs = error instanceof OmniqError || error.code === undefined;
  const messages = { ENOENT: "There is no such folder", ENOTDIR: "That is not a folder", EACCES: "May not be read" };
  console.error(isOurs ? error.message : `${messages[error.code] ?? error.message}: ${options.folder}`);
  process.exit(1);
}
