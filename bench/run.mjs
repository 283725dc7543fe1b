/** Measures the whole engine: see README.md beside this file. */
import { execFile } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { chosen, ratios } from "./measurements.mjs";
import { jsonLines, markdownTable, summaryOf, textTable, withFigures } from "./report.mjs";
import { ensureDisk, surroundings } from "./surroundings.mjs";

const usage = `node bench/run.mjs [options]

  --only <ids>      measure these: ceiling, w1 (w1-bulk, w1-x100, w1-x1), w2, w3, w4, w5 (w5-1ms, w5-100us), w8, idle
  --all             also what is optional: w5-1ms, w5-100us
  --runs <n>        rounds, each in fresh processes; medians are given. Default 5
  --tasks <n>       tasks of w1, w2, w3 and the ceiling. Default 100,000; 10,000 of w1-x1
  --events <level>  off, errors or all. Default errors
  --dir <folder>    where stores lie meanwhile; on a disk. Default: the system's temporary folder
  --json <file>     append figures as JSON lines. Default: bench/results/<date>.jsonl
  --markdown        put the figures into docs/benchmarks.md
  --quick           one round of a few tasks each, to see that everything works; the figures mean nothing`;

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    all: { type: "boolean", default: false },
    runs: { type: "string" },
    tasks: { type: "string" },
    events: { type: "string", default: "errors" },
    dir: { type: "string", default: tmpdir() },
    json: { type: "string" },
    markdown: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const execute = promisify(execFile);
/** A program that has not ended by then hangs. */
const longestMs = 600_000;
const stopping = new AbortController();

/** The figures of one measurement, from as many fresh processes as it has steps. */
async function measure({ id, program, settings, quick, steps = [{}], hasTasks }) {
  const folder = mkdtempSync(join(resolve(options.dir), "omniq-bench-"));
  try {
    const figures = [];
    for (const step of steps) {
      const given = {
        ...settings,
        ...(hasTasks && options.tasks !== undefined ? { tasks: options.tasks } : {}),
        ...(options.quick ? quick : {}),
        ...step,
        folder,
        events: options.events,
      };
      const args = Object.entries(given).map(([name, value]) => `--${name}=${value}`);
      const { stdout } = await execute(process.execPath, [fileURLToPath(program), ...args], {
        signal: stopping.signal,
        timeout: longestMs,
      });
      figures.push(...JSON.parse(stdout).map((figure) => ({ ...figure, id })));
    }
    return figures;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function main() {
  ensureDisk(options.dir);
  const selected = chosen(options.only, options.all);
  const runs = options.quick ? 1 : Number(options.runs ?? 5);
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs: ${options.runs} is not a whole number from 1.`);
  if (options.markdown && options.quick) throw new Error("--markdown: figures of --quick mean nothing.");
  const place = { ...surroundings(options.dir), events: options.events };
  const load = loadavg()[0];
  if (load > 0.5)
    console.error(`The machine is busy (load ${load.toFixed(1)}): compare figures of this run only with each other.`);

  const rounds = [];
  for (let run = 1; run <= runs; run++) {
    const round = [];
    for (const one of selected) {
      process.stderr.write(`round ${run} of ${runs}: ${one.id}\n`);
      round.push(...(await measure(one)));
    }
    rounds.push(round);
  }

  const summary = summaryOf(rounds, ratios);
  console.log(
    `${place.cpu}, ${place.cores} cores, ${place.machine}; Node ${place.node}; ${place.fs}; commit ${place.commit}\n`,
  );
  console.log(textTable(summary));
  for (const { name, least } of ratios) {
    const value = summary.find((figure) => figure.name === name)?.value;
    if (value < least && !options.quick)
      console.log(`\n${name} is below ${least}: this ceiling is none, do not compare with it.`);
  }
  write(summary, place, runs);
}

function write(summary, place, runs) {
  const {
    json = options.quick ? undefined : join(import.meta.dirname, "results", `${place.date.slice(0, 10)}.jsonl`),
  } = options;
  if (json !== undefined) {
    mkdirSync(dirname(resolve(json)), { recursive: true });
    appendFileSync(json, jsonLines(summary, place));
  }
  if (options.markdown) {
    const page = resolve(import.meta.dirname, "../docs/benchmarks.md");
    writeFileSync(page, withFigures(readFileSync(page, "utf8"), markdownTable(summary, { ...place, runs })));
  }
}

// The program that is running is ended, and its folder removed.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stopping.abort());

if (options.help) console.log(usage);
else {
  await main().catch((error) => {
    console.error(error.stderr || error.message);
    process.exitCode = 1;
  });
}
