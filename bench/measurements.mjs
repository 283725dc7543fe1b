/**
 * What is measured. Each is a program under workloads/, started in a process of its own, with a folder of its own; `quick`
 * replaces settings by small ones. `steps` are started one after the other over one folder. `isOptional` ones are measured
 * when they are named, or with `--all`.
 */
export const measurements = [
  { id: "layout", program: new URL("./workloads/layout-a.mjs", import.meta.url), quick: { tasks: 1_000 } },
  {
    id: "ceiling",
    program: new URL("./workloads/ceiling.mjs", import.meta.url),
    hasTasks: true,
    quick: { tasks: 1_000 },
  },
  ...[
    { id: "w1-bulk", settings: { call: "bulk" }, quick: { tasks: 1_000 } },
    { id: "w1-x100", settings: { call: "x100" }, quick: { tasks: 200 } },
    // Ten times fewer: each waits for the disk alone.
    { id: "w1-x1", settings: { call: "x1", tasks: 10_000 }, quick: { tasks: 20 } },
  ].map((one) => ({ ...one, program: new URL("./workloads/w1-enqueue.mjs", import.meta.url), hasTasks: true })),
  { id: "w2", program: new URL("./workloads/w2-drain.mjs", import.meta.url), hasTasks: true, quick: { tasks: 1_000 } },
  {
    id: "w3",
    program: new URL("./workloads/w3-end-to-end.mjs", import.meta.url),
    hasTasks: true,
    quick: { tasks: 1_000 },
  },
  { id: "w4", program: new URL("./workloads/w4-latency.mjs", import.meta.url), quick: { tasks: 20 } },
  ...[
    { id: "w5", settings: { ms: 5, tasks: 2_000 }, quick: { tasks: 8 } },
    { id: "w5-1ms", settings: { ms: 1, tasks: 10_000 }, quick: { tasks: 16 }, isOptional: true },
    { id: "w5-100us", settings: { ms: 0.1, tasks: 50_000 }, quick: { tasks: 64 }, isOptional: true },
    { id: "w5-10us", settings: { ms: 0.01, tasks: 100_000 }, quick: { tasks: 64 }, isOptional: true },
    { id: "w5-100ms", settings: { ms: 100, tasks: 100 }, quick: { tasks: 4 }, isOptional: true },
    { id: "w5-process", settings: { ms: 5, tasks: 2_000, executor: "process" }, quick: { tasks: 8 }, isOptional: true },
  ].map((one) => ({ ...one, program: new URL("./workloads/w5-cpu.mjs", import.meta.url) })),
  { id: "urgent", program: new URL("./workloads/urgent.mjs", import.meta.url), quick: { tasks: 5 }, isOptional: true },
  {
    id: "w7",
    program: new URL("./workloads/w7-schedules.mjs", import.meta.url),
    quick: { schedules: 20, seconds: 2 },
    isOptional: true,
  },
  {
    id: "w8",
    program: new URL("./workloads/w8-backlog.mjs", import.meta.url),
    steps: [{ step: "store" }, { step: "reopen" }],
    quick: { tasks: 1_000 },
  },
  { id: "idle", program: new URL("./workloads/idle.mjs", import.meta.url), quick: { seconds: 0.1, settle: 0.1 } },
];

/** Ratios of figures of one round; a round measures everything once. */
export const ratios = [
  { id: "w3,ceiling", name: "W3 / raw ceiling", of: "W3", by: "Raw ceiling" },
  { id: "ceiling,layout", name: "Raw ceiling / layout alone", of: "Raw ceiling", by: "Layout alone", least: 0.5 },
];

/** Those that are meant by `only`: ids, or what ids start with ("w1" for "w1-bulk"). With `isAll`, optional ones too. */
export function chosen(only, isAll) {
  if (only === undefined) return measurements.filter(({ isOptional }) => isAll || isOptional !== true);
  const names = only.split(",").map((name) => name.trim().toLowerCase());
  const isMeant = ({ id, isOptional }, name) =>
    id === name || (id.startsWith(`${name}-`) && (isAll || isOptional !== true));
  const stranger = names.find((name) => !measurements.some((one) => isMeant(one, name)));
  if (stranger !== undefined) {
    throw new Error(
      `There is no measurement "${stranger}". There are: ${measurements.map(({ id }) => id).join(", ")}.`,
    );
  }
  return measurements.filter((one) => names.some((name) => isMeant(one, name)));
}
