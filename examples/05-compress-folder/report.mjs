import { availableParallelism } from "node:os";
import { relative } from "node:path";

const shown = 10;

/** Says what would shrink most, what all of it would, what was skipped, and what the cores were good for. */
export function printReport(outcomes, { folder, ms }) {
  const done = outcomes.filter(({ value }) => value !== undefined);
  const skipped = outcomes.filter(({ value }) => value === undefined);
  const results = done.map(({ path, value }) => ({ path: relative(folder, path), ...value, ...best(value) }));

  if (results.length > 0) {
    printTop(results);
    printTotals(results);
  }
  printSkipped(skipped, folder);
  printTimes(done, skipped, ms);
}

/** The way that leaves least; the file as it is, if none makes it smaller. */
function best({ bytes, sizes }) {
  const [way, size] = Object.entries(sizes).reduce(
    (least, other) => (other[1] < least[1] ? other : least),
    ["as it is", bytes],
  );
  return { way, size, saved: bytes - size };
}

function printTop(results) {
  console.log("\nWhat would shrink most");
  const top = results.toSorted((a, b) => b.saved - a.saved).slice(0, shown);
  for (const { path, bytes, way, size, saved } of top) {
    console.log(`  ${kilobytes(saved)} less ${kilobytes(bytes)} → ${kilobytes(size)}  ${way.padEnd(9)}  ${path}`);
  }
}

function printTotals(results) {
  const bytes = sum(results.map((result) => result.bytes));
  const line = (what, size) =>
    console.log(`  ${what.padEnd(22)} ${kilobytes(size)}  ${percent(1 - size / bytes)} less`);
  console.log(`\nAll of it: ${kilobytes(bytes).trim()}`);
  for (const way of ["gzip 6", "gzip 9", "brotli 5"]) line(way, sum(results.map(({ sizes }) => sizes[way])));
  line("the best for each file", sum(results.map(({ size }) => size)));
}

function printSkipped(skipped, folder) {
  if (skipped.length === 0) return;
  console.log(`\nSkipped, and tried again next time:`);
  for (const { path, why } of skipped.slice(0, shown)) console.log(`  ${relative(folder, path)}: ${why}`);
  if (skipped.length > shown) console.log(`  and ${skipped.length - shown} more`);
}

function printTimes(done, skipped, ms) {
  const now = done.filter(({ isEarlier }) => !isEarlier);
  const counts = [`${now.length} files done in this run`, `${done.length - now.length} had been done before`];
  if (skipped.length > 0) counts.push(`${skipped.length} skipped`);
  console.log(`\n${counts.join(", ")}`);
  if (now.length === 0) return;
  const workMs = sum(now.map(({ value }) => value.ms));
  const cores = availableParallelism();
  console.log(
    `${seconds(workMs)} of work in ${seconds(ms)} on ${cores} core${cores === 1 ? "" : "s"}: ` +
      `${(workMs / ms).toFixed(1)} times as fast as one file after another`,
  );
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const kilobytes = (bytes) =>
  `${(bytes / 1_000).toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 })} kB`.padStart(11);
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const seconds = (ms) => `${(ms / 1_000).toFixed(1)} s`;
