import { concurrencyOptions, rateLimitOptions } from "../../src/config/limits.ts";
import { executorOptions, openOptions, retentionOptions } from "../../src/config/open-options.ts";
import { queueOptions } from "../../src/config/queue-options.ts";
import type { Option, Options } from "../../src/config/read.ts";
import { missedOptions, ownOptions, tasksOptions, updateOptions } from "../../src/config/schedule-options.ts";
import { schedulerOptions } from "../../src/config/scheduler-options.ts";
import {
  backoffOptions,
  commonOptions,
  definitionOptions,
  queueDefaultOptions,
  taskOptions,
} from "../../src/config/task-options.ts";

/** The text of docs/reference/options.md, made from the tables that options are checked with. */
export const optionsPage = (): string => `# Options

<!-- Made from src/config by test/config/reference.test.ts; after a change there: npx vitest run test/config -u -->

A \`Duration\` is a number of milliseconds, or text: \`"250ms"\`, \`"30s"\`, \`"5m"\`, \`"2h"\`, \`"1d"\`; at most 100 years.
An option that is \`undefined\` counts as left out. An unknown option is refused with the nearest known name
(\`UNKNOWN_OPTION\`), a value that does not fit with its path (\`INVALID_ARGUMENT\`); nothing is opened or stored then.

## \`Omniq.open(options)\`

${table(openOptions)}

### \`executors\`

${table(executorOptions)}

### \`queues.<name>\`

${table(queueOptions)}

Names have 1 to 200 bytes and no control characters. \`defaults\` may hold ${list(queueDefaultOptions)}.

### \`scheduler\`

${table(schedulerOptions)}

### \`missed\` of the scheduler and of schedules

${table(missedOptions)}

### \`retention\`

${table(retentionOptions)}

## Options of a task

What a call says stands over what the definition says, that over the \`defaults\` of the queue, that over the defaults below.
An option replaces the other as a whole: nothing is merged. A definition may give all of these but
${list(without(taskOptions, commonOptions))}.

${table(taskOptions)}

### Of a definition only

${table(without(definitionOptions, commonOptions))}

### \`concurrency\` of queues and definitions

A number is the same as \`max\` alone.

${table(concurrencyOptions)}

### \`rateLimit\` of queues and definitions

${table(rateLimitOptions)}

### \`backoff\`

${table(backoffOptions)}

## Options of a schedule

Beside those of a task that its tasks are to have (${list(tasksOptions)}), a schedule has these. What a call says stands
over what its template says, that over the definition of the task and the defaults of its queue, that over \`scheduler\`.

${table(ownOptions)}

\`update\` takes the same, but for ${list(without(ownOptions, updateOptions))}, and \`trigger\`; \`null\` takes away what may be left out.
`;

const without = (options: Options, others: Options): Options =>
  Object.fromEntries(Object.entries(options).filter(([name]) => !Object.hasOwn(others, name)));

function table(options: Options): string {
  const rows = Object.entries(options).map(
    ([name, option]) => `| \`${name}\` | ${typeOf(option)} | ${defaultOf(option)} | ${escape(option.description)} |`,
  );
  return ["| Option | Type | Default | |", "|---|---|---|---|", ...rows].join("\n");
}

const typeOf = ({ type, unit }: Option): string => `\`${escape(type)}\`${unit === undefined ? "" : ` (${unit})`}`;

function defaultOf({ default: value, defaultText }: Option): string {
  if (defaultText !== undefined) return defaultText;
  if (value === undefined) return "none";
  return `\`${typeof value === "number" ? value.toLocaleString("en") : JSON.stringify(value)}\``;
}

const list = (options: object): string =>
  Object.keys(options)
    .map((name) => `\`${name}\``)
    .join(", ");

// A bar would end the cell, in code as well.
const escape = (text: string): string => text.replaceAll("|", String.raw`\|`);
