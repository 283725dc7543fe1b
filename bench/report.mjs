/** Figures of all rounds become one: the median, with the lowest and the highest. */
export function summaryOf(rounds, ratios) {
  const byName = new Map();
  for (const round of rounds) {
    for (const figure of [...round, ...ratiosOf(round, ratios)]) {
      const all = byName.get(figure.name) ?? { ...figure, values: [] };
      all.values.push(figure.value);
      byName.set(figure.name, all);
    }
  }
  return Array.from(byName.values(), ({ values, ...figure }) => ({
    ...figure,
    value: medianOf(values),
    min: Math.min(...values),
    max: Math.max(...values),
    runs: values.length,
  }));
}

function ratiosOf(round, ratios) {
  const valueOf = (name) => round.find((figure) => figure.name === name)?.value;
  return ratios.flatMap(({ id, name, of, by }) => {
    const [above, below] = [valueOf(of), valueOf(by)];
    return above === undefined || below === undefined ? [] : [{ id, name, unit: "ratio", value: above / below }];
  });
}

function medianOf(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** For people. */
export function textTable(summary) {
  const rows = [["", "median", "lowest", "highest", "unit"]];
  for (const { name, value, min, max, unit } of summary) rows.push([name, ...[value, min, max].map(show), unit]);
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) =>
      row.map((cell, i) => (i === 0 || i === 4 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  "),
    )
    .map((line) => line.trimEnd())
    .join("\n");
}

/** For machines: a line for each figure, with where it was made. */
export const jsonLines = (summary, surroundings) =>
  summary
    .map(({ id: _id, batch, ...figure }) => ({
      ...figure,
      ...surroundings,
      ...(batch === undefined ? {} : { batchSize: batch }),
    }))
    .map((line) => `${JSON.stringify(line)}\n`)
    .join("");

/** For docs/benchmarks.md: a row for each figure, with the command that makes it again. */
export function markdownTable(summary, { machine, cpu, cores, node, fs, durability, events, date, commit, runs }) {
  const rows = summary.map(({ id, name, value, min, max, unit }) => {
    const figure = unit === "ratio" ? show(value) : `${show(value)} ${unit}`;
    return `| ${name} | ${figure} | ${show(min)} – ${show(max)} | \`npm run bench -- --only ${id}\` |`;
  });
  return [
    `${cpu}, ${cores} cores, ${machine}; Node ${node}; ${fs}; durability \`${durability}\`, events \`${events}\`;`,
    `${runs} ${runs === 1 ? "run" : "runs"}; commit ${commit}, ${date.slice(0, 10)}.`,
    "",
    "| Workload | Median | Lowest – highest | Command |",
    "|---|---|---|---|",
    ...rows,
  ].join("\n");
}

const [start, end] = ["<!-- figures: node bench/run.mjs --markdown -->", "<!-- end of figures -->"];

/** `page` with `figures` between its two markers. */
export function withFigures(page, figures) {
  const [from, to] = [page.indexOf(start), page.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`The page has no place for figures: ${start} … ${end}.`);
  return `${page.slice(0, from + start.length)}\n\n${figures}\n\n${page.slice(to)}`;
}

/** Three digits that count; more only before the point. */
function show(value) {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en-US", {
    minimumFractionDigits: Math.min(digits, 4),
    maximumFractionDigits: Math.min(digits, 4),
  });
}
