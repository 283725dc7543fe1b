import { fileURLToPath } from "node:url";
import { DuplicateNameError, TaskModuleError } from "../base/errors.ts";
import { tasksIn } from "../task/definition.ts";
import { handlerKey, type TaskError } from "../task/task.ts";
import { fromTaskError, toTaskError } from "../task/task-error.ts";
import type { Catalogue, CatalogueEntry } from "./executor.ts";
import { versioned } from "./versions.ts";

/** A task of a module, as it is run. */
export type LoadedTask = ReturnType<typeof tasksIn>[number] & { readonly file: string };

/** Tasks by `handlerKey`. A map, so that names such as `__proto__` are names and nothing else. */
export type TaskTable = ReadonlyMap<string, LoadedTask>;

/** Why modules cannot be used: plain data, to be sent to where it becomes an error. */
export type LoadProblem =
  | { readonly type: "module"; readonly file: string; readonly problem: string; readonly cause?: TaskError }
  | { readonly type: "duplicate"; readonly name: string; readonly first: string; readonly second: string };

export type Loaded = { readonly tasks: TaskTable; readonly catalogue: Catalogue } | { readonly problem: LoadProblem };

/**
 * Imports task modules, one after the other, and lists what they define.
 *
 * @param modules file URLs. Nothing else is ever imported.
 * @param onFile told of every file before it is imported: importing it may end the thread.
 */
export async function loadTasks(modules: readonly string[], onFile: (file: string) => void): Promise<Loaded> {
  const tasks = new Map<string, LoadedTask>();
  const catalogue: CatalogueEntry[] = [];
  for (const url of modules) {
    const file = fileURLToPath(url);
    onFile(file);
    try {
      const found = tasksIn(await importModule(url));
      if (found.length === 0) return { problem: { type: "module", file, problem: noTasks } };
      for (const task of found) {
        const key = handlerKey(versioned(task));
        const first = tasks.get(key);
        // One function that several modules export is one task.
        if (first?.handler === task.handler) continue;
        if (first !== undefined) {
          return { problem: { type: "duplicate", name: task.name, first: first.file, second: file } };
        }
        tasks.set(key, { ...task, file });
        catalogue.push(entryOf({ ...task, file }));
      }
    } catch (error) {
      const cause = toTaskError(error);
      const problem = `cannot be loaded: ${cause.name}: ${cause.message}`;
      return { problem: { type: "module", file, problem, cause } };
    }
  }
  return { tasks, catalogue };
}

/** The error that says what is wrong with the modules. */
export function loadError(problem: LoadProblem): TaskModuleError | DuplicateNameError {
  if (problem.type === "duplicate") return new DuplicateNameError(problem.name, problem.first, problem.second);
  const { file, cause } = problem;
  return new TaskModuleError(file, problem.problem, cause === undefined ? {} : { cause: fromTaskError(cause) });
}

const noTasks = "exports no tasks. Export functions, or what defineTask() returns.";

/** What can be sent to another thread; functions and the schema stay here. */
function entryOf({ name, file, options, schedules = [] }: LoadedTask): CatalogueEntry {
  const given = Object.entries(options).filter(([key, value]) => key !== "input" && typeof value !== "function");
  const plain = structuredClone(Object.fromEntries(given));
  const entry = { name, file, options: plain, hasInput: options.input !== undefined };
  return schedules.length === 0 ? entry : { ...entry, schedules: structuredClone(schedules) };
}

/** What a module exports; TypeScript is translated where Node cannot. */
export async function importModule(url: string): Promise<Record<string, unknown>> {
  if (!/\.[cm]?tsx?$/.test(url)) return import(url);
  if ("typescript" in process.features && process.features.typescript !== false) {
    try {
      return await import(url);
    } catch (error) {
      if (!needsTranslation.has(String((error as NodeJS.ErrnoException | undefined)?.code))) throw error;
    }
  }
  const { createJiti } = await import("jiti");
  return createJiti(import.meta.url).import(fileURLToPath(url));
}

/** What Node says before anything has run when it can only strip types, or finds no file for `./name.js`. */
const needsTranslation: ReadonlySet<string> = new Set([
  "ERR_MODULE_NOT_FOUND",
  "ERR_UNKNOWN_FILE_EXTENSION",
  "ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING",
  "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX",
]);
