import { InvalidArgumentError } from "../base/errors.ts";
import { breakerOfTask, limitsOfTask, prepareTaskDefaults, type ResolvedOptions } from "../config/resolve.ts";
import type { Catalogue } from "../executor/executor.ts";
import { newestVersions, versioned } from "../executor/versions.ts";
import type { ScheduleDraft } from "../schedule/draft.ts";
import type { Limits } from "../storage/storage.ts";
import type { BreakerSettings } from "../task/breaker.ts";
import { handlerKey } from "../task/task.ts";
import { declaredSchedules } from "./declared-schedules.ts";

type RegistryOptions = Pick<ResolvedOptions, "queues" | "executors" | "scheduler" | "maxPayloadBytes">;

/** What the task modules define, as they were loaded last. */
export class Registry {
  /** By `handlerKey`. One set for as long as the runtime lives: whoever looks into it sees what there is now. */
  readonly handlers = new Set<string>();
  /** Those that check their arguments. */
  readonly withInput = new Set<string>();
  /** Limits by name, as the storage was opened with them. */
  readonly limits = new Map<string, Limits>();
  /** Breakers by name. */
  readonly breakers = new Map<string, BreakerSettings>();
  readonly #options: RegistryOptions;
  #catalogue: Catalogue = [];
  #declared: readonly ScheduleDraft[] = [];
  #versions: ReadonlyMap<string, string | undefined> = new Map();

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** Takes what was loaded first. @throws InvalidArgumentError, UnknownOptionError for limits of a definition. */
  open(catalogue: Catalogue): void {
    for (const [name, limits] of limitsIn(catalogue)) this.limits.set(name, limits);
    this.#set(catalogue);
  }

  get catalogue(): Catalogue {
    return this.#catalogue;
  }

  /** The schedules that they declare. */
  get declared(): readonly ScheduleDraft[] {
    return this.#declared;
  }

  /** The version of a task that new tasks of its name are for. */
  versionOf(name: string): string | undefined {
    return this.#versions.get(name);
  }

  /**
   * Takes what was loaded anew in place of what there was.
   *
   * @throws InvalidArgumentError, UnknownOptionError for options of a definition, and for limits that are not as they were:
   *   the storage counts by those that it was opened with. Nothing has changed then.
   */
  replace(catalogue: Catalogue): void {
    for (const { name, options } of catalogue) prepareTaskDefaults(name, options, this.#options);
    const limits = limitsIn(catalogue);
    for (const { name } of catalogue) {
      if (JSON.stringify(limits.get(name)) === JSON.stringify(this.limits.get(name))) continue;
      throw new InvalidArgumentError(
        `options of task "${name}"`,
        'have another "concurrency" or "rateLimit" than when the runtime was opened. Close it and open it again.',
      );
    }
    this.#set(catalogue);
  }

  #set(catalogue: Catalogue): void {
    this.#declared = declaredSchedules(catalogue, this.#options);
    this.#catalogue = catalogue;
    this.#versions = new Map(newestVersions(catalogue).map((entry) => [entry.name, versioned(entry).version]));
    this.breakers.clear();
    for (const { name, options } of newestVersions(catalogue)) {
      const breaker = breakerOfTask(name, options);
      if (breaker !== undefined) this.breakers.set(name, breaker);
    }
    this.handlers.clear();
    this.withInput.clear();
    for (const entry of catalogue) {
      const handler = handlerKey(versioned(entry));
      this.handlers.add(handler);
      if (entry.hasInput) this.withInput.add(handler);
    }
  }
}

function limitsIn(catalogue: Catalogue): Map<string, Limits> {
  const found = new Map<string, Limits>();
  for (const { name, options } of newestVersions(catalogue)) {
    const limits = limitsOfTask(name, options);
    if (limits !== undefined) found.set(name, limits);
  }
  return found;
}
