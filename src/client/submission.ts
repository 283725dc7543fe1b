import { systemClock } from "../base/clock.ts";
import { ClosedError, InvalidArgumentError, NotATaskError, UnknownTaskError } from "../base/errors.ts";
import { newId, newIds } from "../base/id.ts";
import { nearest } from "../base/names.ts";
import { batchOf, type Connection } from "../bridge/connect.ts";
import type { ResolvedOptions } from "../config/resolve.ts";
import {
  prepareTaskDefaults,
  resolveTaskOptions,
  type ResolvedTaskOptions,
  type TaskDefaults,
} from "../config/resolve.ts";
import type { CatalogueEntry } from "../executor/executor.ts";
import { newestVersions, versioned } from "../executor/versions.ts";
import { declaredKey } from "../schedule/draft.ts";
import { readTrigger } from "../schedule/trigger.ts";
import { encode, encodePooled } from "../task/codec.ts";
import { definitionOf } from "../task/definition.ts";
import { handlerKey, type Payload, type TaskId } from "../task/task.ts";

/** More tasks than this are stored in parts, which appear together. */
const largestTransaction = 5_000;
const stagedPart = 2_000;
/** Parts on their way at a time: the next is encoded while the last is written. */
const partsUnderWay = 3;

/** What became of a call. */
export interface Submitted {
  /** The id of each task: its own, that of the task that has its dedupe key, or `undefined` for one that was skipped. */
  readonly ids: readonly (TaskId | undefined)[];
  /** Resolves when they are on disk; with durability `"relaxed"`, that may be later, and may be refused then. */
  readonly flushed: Promise<void>;
}

const flushed = Promise.resolve();

const tooManyForOneKey = `has more than ${largestTransaction.toLocaleString("en")} entries for one dedupe key, which one task has at a time. Enqueue them without it, or in several calls.`;

/** Turns calls into tasks on their way to the supervisor. Everything is checked before anything is sent. */
export class Submission {
  readonly #connection: Connection;
  readonly #limits: { readonly maxBytes: number };
  readonly #queues: ResolvedOptions["queues"];
  #catalogue: readonly CatalogueEntry[] = [];
  #executors: ResolvedOptions["executors"];
  #defaults: ReadonlyMap<string, TaskDefaults> = new Map();
  /** Of all versions, by `handlerKey`. */
  #versions: ReadonlyMap<string, TaskDefaults> = new Map();
  readonly #durability: "sync" | "relaxed";

  constructor(connection: Connection, catalogue: readonly CatalogueEntry[], options: ResolvedOptions) {
    this.#connection = connection;
    this.#limits = { maxBytes: options.maxPayloadBytes };
    this.#durability = options.durability;
    this.#queues = options.queues;
    this.#executors = options.executors;
    this.update({ catalogue });
  }

  /** The executors that may be named. */
  get executors(): ResolvedOptions["executors"] {
    return this.#executors;
  }

  /** From now on, these are the tasks that may be enqueued, and the executors that may be named. */
  update({
    catalogue = this.#catalogue,
    executors = this.#executors,
  }: {
    readonly catalogue?: readonly CatalogueEntry[];
    readonly executors?: ResolvedOptions["executors"];
  }): void {
    const defaultsOf = ({ name, options: definition }: CatalogueEntry): TaskDefaults =>
      prepareTaskDefaults(name, definition, { queues: this.#queues, executors });
    this.#defaults = new Map(newestVersions(catalogue).map((entry) => [entry.name, defaultsOf(entry)]));
    this.#versions = new Map(catalogue.map((entry) => [handlerKey(versioned(entry)), defaultsOf(entry)]));
    this.#catalogue = catalogue;
    this.#executors = executors;
  }

  /** The names that may be enqueued. */
  get names(): readonly string[] {
    return [...this.#defaults.keys()];
  }

  /** @throws NotATaskError, UnknownTaskError. */
  nameOf(task: unknown): string {
    return this.#defaultsOf(task).name;
  }

  /** What applies to tasks before a call says something. @throws NotATaskError, UnknownTaskError. */
  defaultsOf(task: unknown): TaskDefaults {
    return this.#defaultsOf(task);
  }

  /** Likewise for a name that may not be defined any more. */
  defaultsFor(name: string): TaskDefaults {
    const parts = { queues: this.#queues, executors: this.#executors };
    return this.#defaults.get(name) ?? prepareTaskDefaults(name, undefined, parts);
  }

  /** Whether a handler is defined: of this version, or of any. */
  isRegistered(name: string, version: string | undefined): boolean {
    return version === undefined ? this.#defaults.has(name) : this.#versions.has(handlerKey({ name, version }));
  }

  /** Whether a task module declares the schedule with this key. */
  isDeclared(key: string): boolean {
    return newestVersions(this.#catalogue).some(({ name, schedules = [] }) =>
      schedules.some(({ trigger }) => declaredKey(name, readTrigger(trigger)) === key),
    );
  }

  /** Stores one task. `watch` is told the id before the task is sent. */
  async one(task: unknown, args: unknown, options: unknown, watch?: (id: TaskId) => void): Promise<Submitted> {
    const { resolved, payload } = this.#prepare(task, args, options);
    const id = resolved.id ?? newId();
    watch?.(id);
    return this.#send(resolved, [id], [payload], watch !== undefined);
  }

  /**
   * Stores tasks of one name, all or none.
   *
   * @throws InvalidArgumentError for more than 5,000 with a dedupe key.
   */
  async many(
    task: unknown,
    argsList: unknown,
    options: unknown,
    watch?: (ids: readonly TaskId[]) => void,
  ): Promise<Submitted> {
    const defaults = this.#defaultsOf(task);
    const resolved = resolveTaskOptions(options, defaults, systemClock.now());
    if (resolved.id !== undefined)
      throw new InvalidArgumentError("options.id", "is one id for many tasks. Enqueue them one by one.");
    if (!Array.isArray(argsList)) throw new InvalidArgumentError("argsList", "is not an array of argument lists.");
    const isStaged = argsList.length > largestTransaction;
    // Whether its key is free is seen when a task is stored, so it is not prepared out of sight.
    if (isStaged && resolved.request.dedupeKey !== undefined)
      throw new InvalidArgumentError("argsList", tooManyForOneKey);
    if (isStaged) return { ids: await this.#staged(argsList, resolved), flushed };
    const payloads = argsList.map((args: unknown, index) => this.#encode(args, `args[${index}]`));
    const ids = newIds(payloads.length);
    if (ids.length === 0) return { ids, flushed };
    watch?.(ids);
    return this.#send(resolved, ids, payloads, watch !== undefined);
  }

  #prepare(task: unknown, args: unknown, options: unknown): { resolved: ResolvedTaskOptions; payload: Payload } {
    const resolved = resolveTaskOptions(options, this.#defaultsOf(task), systemClock.now());
    return { resolved, payload: this.#encode(args, "args") };
  }

  #defaultsOf(task: unknown): TaskDefaults {
    const definition = typeof task === "string" ? undefined : definitionOf(task);
    const name = typeof task === "string" ? task : definition?.name;
    if (name === undefined)
      throw new NotATaskError(
        typeof task === "function" ? `The function "${task.name}"` : `A value of type ${typeof task}`,
      );
    const defaults =
      definition === undefined ? this.#defaults.get(name) : this.#versions.get(handlerKey(versioned(definition)));
    if (defaults === undefined)
      throw new UnknownTaskError(name.slice(0, 200), nearest(name.slice(0, 200), this.#defaults.keys()));
    return defaults;
  }

  #encode(args: unknown, what: string): Payload {
    if (!Array.isArray(args))
      throw new InvalidArgumentError(what, "is not an array. Give the arguments as a list: [first, second].");
    return encodePooled(args, what, this.#limits);
  }

  async #send(
    resolved: ResolvedTaskOptions,
    ids: readonly TaskId[],
    payloads: readonly Payload[],
    isWatched: boolean,
  ): Promise<Submitted> {
    const { request, onConflict, onFull = "error" } = resolved;
    const batch = batchOf(request, ids, payloads);
    const stored = this.#connection.store({
      type: "enqueue",
      batch: onConflict === undefined ? batch : { ...batch, onConflict },
      onFull,
      isWatched,
    });
    if (!this.#isAnsweredEarly(resolved)) return { ids: (await stored) ?? ids, flushed };
    const onDisk = stored.then(() => undefined);
    onDisk.catch(() => undefined);
    return { ids, flushed: onDisk };
  }

  /** Only where the answer is known beforehand: not while an id or key may turn out to be taken. */
  #isAnsweredEarly({ durability = this.#durability, id, onFull, request }: ResolvedTaskOptions): boolean {
    return durability === "relaxed" && id === undefined && request.dedupeKey === undefined && onFull !== "wait";
  }

  /** Hidden parts in bounded transactions; the last step makes them appear. What fails half way is forgotten. */
  async #staged(
    argsList: readonly unknown[],
    { request, onFull = "error" }: ResolvedTaskOptions,
  ): Promise<readonly TaskId[]> {
    const stage = newId();
    const ids = newIds(argsList.length);
    const underWay: Promise<unknown>[] = [];
    try {
      for (let from = 0; from < argsList.length; from += stagedPart) {
        const payloads = argsList
          .slice(from, from + stagedPart)
          .map((args, index) => this.#encode(args, `args[${from + index}]`));
        const batch = batchOf(request, ids.slice(from, from + stagedPart), payloads);
        const sent = this.#connection.store({ type: "stage", stage, batch });
        sent.catch(() => undefined);
        underWay.push(sent);
        if (underWay.length >= partsUnderWay) await underWay.shift();
      }
      await Promise.all(underWay);
      await this.#connection.store({ type: "publish", stage, how: "appear", onFull });
    } catch (error) {
      await Promise.allSettled(underWay);
      if (!(error instanceof ClosedError)) {
        await this.#connection.store({ type: "publish", stage, how: "drop", onFull: "error" }).catch(() => undefined);
      }
      throw error;
    }
    return ids;
  }

  /** The encoded result of a task that gives none. */
  readonly noResult: Payload = encode(undefined, "result", { maxBytes: 1_000 });
}
