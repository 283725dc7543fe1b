import fc from "fast-check";
import {
  DuplicateNameError,
  DuplicateTaskError,
  QueueFullError,
  TaskBusyError,
  VersionConflictError,
} from "../../../src/base/errors.ts";
import type {
  Advanced,
  AttemptEnd,
  Change,
  Claimed,
  Limits,
  NewTask,
  OnConflict,
  Pruned,
  QueueSettings,
  Storage,
  StorageSettings,
} from "../../../src/storage/storage.ts";
import type { Routing } from "../../../src/storage/routing.ts";
import { handlerKey, type StoredTask, type TaskId } from "../../../src/task/task.ts";
import { aTask, birth, someBytes } from "../../support/tasks.ts";
import { aFailure } from "./bench.ts";
import { aScheduleCommand, isScheduleCommand, type ScheduleCommand, ScheduleWorld } from "./schedule-commands.ts";

/** A new task, with lengths of time from the moment it is made. */
interface Draft {
  readonly queue: string;
  readonly priority: number;
  readonly name: string;
  readonly version: string | undefined;
  readonly delay: number | undefined;
  readonly ttl: number | undefined;
  readonly resultTtlMs: number | undefined;
  readonly dedupeKey: string | undefined;
  readonly onConflict: OnConflict;
  readonly orderingKey: string | undefined;
  readonly concurrencyKey: string | undefined;
  readonly executor: string | undefined;
  /** It is of this schedule. */
  readonly schedule: number | undefined;
  /** Takes an id that is known, instead of a new one. */
  readonly knownId: number | undefined;
  /** A rising UUID, as our own ids are; else a text. */
  readonly hasUuid: boolean;
  /** So many tasks share the request. */
  readonly copies: number;
}

type EndKind = "completed" | "failed" | "retrying" | "cancelled" | "interrupted" | "unstarted" | "parked";

interface Ending {
  readonly pick: number;
  /** So many claims, one after the other, end like this. */
  readonly length: number;
  readonly kind: EndKind;
  readonly isStarted: boolean;
  /** Ends a claim that is over already. */
  readonly isLate: boolean;
}

/** A change in which tasks are meant by number, so that it makes sense whatever happened before. */
export type Command =
  | { readonly type: "enqueue" | "stage"; readonly drafts: readonly Draft[] }
  | {
      readonly type: "claim";
      readonly limit: number;
      readonly lease: number | undefined;
      readonly queues: string[] | undefined;
      readonly room: number | undefined;
      readonly perName: readonly [string, number] | undefined;
    }
  | { readonly type: "settle"; readonly endings: readonly Ending[] }
  | { readonly type: "extend"; readonly pick: number; readonly isLate: boolean; readonly lease: number }
  | { readonly type: "advance" | "prune"; readonly limit: number }
  | { readonly type: "cancel" | "requeue"; readonly picks: readonly number[] }
  | { readonly type: "delete"; readonly picks: readonly number[]; readonly force: boolean }
  | { readonly type: "move"; readonly picks: readonly number[]; readonly queue: string }
  | { readonly type: "unpark"; readonly handler: string; readonly limit: number }
  | { readonly type: "publish"; readonly how: "appear" | "drop" }
  | { readonly type: "configureQueue"; readonly queue: string; readonly patch: QueueSettings }
  | ScheduleCommand<Draft>;

export type Step =
  | { readonly type: "commit"; readonly commands: readonly Command[] }
  /** Does about schedules that are due what a scheduler would. */
  | { readonly type: "fireDue"; readonly draft: Draft; readonly limit: number }
  | { readonly type: "wait"; readonly ms: number }
  | { readonly type: "reopen" };

const oneIn = <T>(n: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: n - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
const aQueue = fc.constantFrom("x", "y", "z");
const aName = fc.constantFrom("mail", "sum");
const aVersion = fc.constantFrom(undefined, "1");
const aHandler = fc
  .record({ name: aName, version: aVersion })
  .map(({ name, version }) => handlerKey(version === undefined ? { name } : { name, version }));
const aPick = fc.nat(1_000);
const somePicks = fc.array(aPick, { minLength: 1, maxLength: 5 });

const aDraft: fc.Arbitrary<Draft> = fc.record({
  queue: aQueue,
  priority: fc.integer({ min: -1, max: 1 }),
  name: aName,
  version: aVersion,
  delay: oneIn(4, fc.integer({ min: 0, max: 40 })),
  ttl: oneIn(4, fc.integer({ min: 1, max: 60 })),
  resultTtlMs: oneIn(4, fc.constantFrom(5, 2_000)),
  dedupeKey: oneIn(3, fc.constantFrom("k", "l")),
  onConflict: fc.constantFrom("error", "skip", "skip", "return", "return", "replace", "replace", "replace"),
  orderingKey: oneIn(4, fc.constantFrom("m", "n")),
  concurrencyKey: oneIn(3, fc.constantFrom("p", "q")),
  executor: oneIn(4, fc.constantFrom("thread", "process")),
  schedule: oneIn(4, aPick),
  knownId: oneIn(30, aPick),
  hasUuid: fc.nat(3).map((n) => n > 0),
  copies: fc.constantFrom(1, 1, 2, 6),
});

const anEnding: fc.Arbitrary<Ending> = fc.record({
  pick: aPick,
  length: fc.constantFrom(1, 1, 2, 5),
  kind: fc.constantFrom("completed", "failed", "retrying", "cancelled", "interrupted", "unstarted", "parked", "parked"),
  isStarted: fc.boolean(),
  isLate: fc.nat(9).map((n) => n === 0),
});

const aRateLimit = fc.record(
  { max: fc.integer({ min: 1, max: 5 }), perMs: fc.constantFrom(7, 60), perKey: fc.boolean() },
  { requiredKeys: ["max", "perMs"] },
);

/** Limits by name. */
const someNames: fc.Arbitrary<ReadonlyMap<string, Limits>> = fc
  .tuple(
    oneIn(2, fc.integer({ min: 1, max: 4 })),
    oneIn(2, fc.integer({ min: 1, max: 2 })),
    oneIn(3, aRateLimit),
    fc.boolean(),
  )
  .map(([concurrency, concurrencyPerKey, rateLimit, isSecond]) => {
    const limits: Limits = {
      ...(concurrency === undefined ? {} : { concurrency }),
      ...(concurrencyPerKey === undefined ? {} : { concurrencyPerKey }),
      ...(rateLimit === undefined ? {} : { rateLimit }),
    };
    return new Map([[isSecond ? "sum" : "mail", limits]]);
  });

/** What an opening may say. */
export const someLimits: fc.Arbitrary<Pick<StorageSettings, "names" | "routing">> = fc.record({
  names: someNames,
  routing: fc.constantFrom<Routing>(
    { type: "priority" },
    { type: "priority" },
    { type: "strict", queues: ["z", "x"] },
    { type: "round-robin" },
    { type: "weighted" },
  ),
});

const limitOrNone = (min: number, max: number) => fc.option(fc.integer({ min, max }), { nil: null, freq: 3 });

/** A task of a firing, which a lone one may have to share its id with one that runs. */
const aScheduledDraft: fc.Arbitrary<Draft> = aDraft.map((draft) => ({ ...draft, copies: 1 }));

const aCommand = (limit: fc.Arbitrary<number>): fc.Arbitrary<Command> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ type: fc.constant("enqueue"), drafts: fc.array(aDraft, { maxLength: 5 }) }) },
    {
      weight: 5,
      arbitrary: fc.record({
        type: fc.constant("claim"),
        limit: fc.nat(8),
        lease: oneIn(2, fc.integer({ min: 1, max: 30 })),
        queues: oneIn(5, fc.subarray(["x", "y", "z"])),
        room: oneIn(4, fc.nat(4)),
        perName: oneIn(6, fc.tuple(fc.constantFrom("mail", "sum"), fc.nat(2))),
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        type: fc.constant("settle"),
        endings: fc.array(anEnding, { minLength: 1, maxLength: 5 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant("extend"), pick: aPick, isLate: fc.boolean(), lease: fc.nat(40) }),
    },
    { weight: 3, arbitrary: fc.record({ type: fc.constant("advance"), limit }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("prune"), limit }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constantFrom("cancel", "requeue"), picks: somePicks }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("delete"), picks: somePicks, force: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("move"), picks: somePicks, queue: aQueue }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("unpark"), handler: aHandler, limit }) },
    { weight: 6, arbitrary: aScheduleCommand(aScheduledDraft) },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant("stage"), drafts: fc.array(aDraft, { minLength: 1, maxLength: 3 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant("publish"), how: fc.constantFrom("appear", "appear", "drop") }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant("configureQueue"),
        queue: aQueue,
        patch: fc.record(
          {
            isPaused: fc.nat(3).map((n) => n === 0),
            maxSize: limitOrNone(3, 12),
            concurrency: limitOrNone(1, 4),
            concurrencyPerKey: limitOrNone(1, 3),
            rateLimit: fc.option(aRateLimit, { nil: null, freq: 2 }),
            weight: limitOrNone(1, 3),
            agingStepMs: fc.constantFrom(null, null, 5, 30),
          },
          { requiredKeys: [] },
        ),
      }),
    },
  ) as fc.Arbitrary<Command>;

/** What may be refused comes first in a list; one of it, since it is judged by what was there before the list. */
function inOrder(commands: readonly Command[]): Command[] {
  const mayBeRefused = ({ type }: Command): boolean =>
    ["enqueue", "publish", "requeue", "move", "delete"].includes(type);
  const others = commands.filter((command) => !mayBeRefused(command));
  const first = others.filter(({ type }) => type === "putSchedule" || type === "deleteSchedules");
  const rest = others.filter((command) => !first.includes(command)).map(withNewIds);
  return [...commands.filter(mayBeRefused).slice(0, 1), ...first, ...rest];
}

/** Whether an id is still there in the middle of a list, nobody knows from outside. */
const withNewIds = (command: Command): Command =>
  command.type === "fire"
    ? {
        ...command,
        shots: command.shots.map((shot) => ({
          ...shot,
          drafts: shot.drafts.map((draft) => ({ ...draft, knownId: undefined })),
        })),
      }
    : command;

/** Steps of a life of a storage. @param limit of `advance`, `prune` and `unpark`. */
export const someSteps = (limit: fc.Arbitrary<number>): fc.Arbitrary<Step[]> => {
  const command = aCommand(limit);
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 12, arbitrary: command.map((only): Step => ({ type: "commit", commands: [only] })) },
    {
      weight: 3,
      arbitrary: fc
        .array(command, { minLength: 2, maxLength: 4 })
        .map((commands): Step => ({ type: "commit", commands: inOrder(commands) })),
    },
    { weight: 4, arbitrary: fc.record({ type: fc.constant("wait"), ms: fc.constantFrom(1, 5, 5, 20, 20, 60, 1_000) }) },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant("fireDue"), draft: aScheduledDraft, limit: fc.constantFrom(1, 10) }),
    },
    { weight: 1, arbitrary: fc.constant<Step>({ type: "reopen" }) },
  );
  return fc.array(step, { minLength: 1, maxLength: 100, size: "max" });
};

interface Claim {
  readonly task: StoredTask;
  /** In which opening, counted from 0. */
  readonly opening: number;
}

/** What is known from outside of a storage: enough to make the next changes, and to judge the answers. */
export class World {
  now = birth;
  opening = 0;
  /** Tasks that were deleted or pruned. */
  removed = 0;
  readonly claims = new Map<TaskId, Claim>();
  /** When tasks were accepted, as far as claims are concerned. */
  readonly order = new Map<TaskId, number>();
  /** Attempts whose lease ran out, as `id/opening/attempt`. */
  readonly lapsed = new Set<string>();
  readonly schedules = new ScheduleWorld();
  readonly #ids: TaskId[] = [];
  readonly #over: Claim[] = [];
  readonly #isDecided: boolean;
  #made = 0;
  #stage = 0;
  #staged: TaskId[] = [];

  /** @param isDecided leaves out what may be done in one way or another: tasks with keys where tasks age. */
  constructor(isDecided = false) {
    this.#isDecided = isDecided;
  }

  /** The changes of a step, made for what `storage` holds. @param epochs of its openings. */
  async changesOf(
    step: Extract<Step, { type: "commit" | "fireDue" }>,
    storage: Storage,
    epochs: readonly number[],
  ): Promise<Change[]> {
    if (step.type === "commit") return step.commands.map((command) => this.#changeOf(command, epochs));
    const due = await storage.dueSchedules(this.now, step.limit);
    return [this.schedules.fire(due, { ...step.draft, knownId: undefined }, this.now, this.#scheduled)];
  }

  #changeOf(command: Command, epochs: readonly number[]): Change {
    const { now } = this;
    if (isScheduleCommand(command)) return this.schedules.changeOf(command, now, this.#scheduled);
    switch (command.type) {
      case "enqueue":
        return { type: "enqueue", tasks: command.drafts.flatMap((draft) => this.#tasksOf(draft)) };
      case "stage": {
        // Where staged tasks stand among others is left open, so they have a priority and ordering keys of their own.
        const own = { priority: 100 + this.#stage, dedupeKey: undefined, knownId: undefined, schedule: undefined };
        const tasks = command.drafts.flatMap((draft) => {
          const orderingKey = draft.orderingKey === undefined ? undefined : `${draft.orderingKey}-${this.#stage}`;
          return this.#tasksOf({ ...draft, ...own, orderingKey });
        });
        return { type: "stage", stage: `stage-${this.#stage}`, tasks };
      }
      case "publish":
        return { ...command, stage: `stage-${this.#stage}` };
      case "claim": {
        const { limit, lease, queues, room, perName } = command;
        return {
          type: "claim",
          limit,
          now,
          owner: "world",
          ...(lease === undefined ? {} : { until: now + lease }),
          ...(queues === undefined ? {} : { queues }),
          ...(room === undefined ? {} : { room: new Map([["thread", room]]) }),
          ...(perName === undefined ? {} : { perName: new Map([perName]) }),
        };
      }
      case "settle":
        return {
          type: "settle",
          now,
          settlements: command.endings.flatMap(({ pick, length, kind, isStarted, isLate }) =>
            Array.from({ length }, (_, at) => {
              const { id, fence, task } = this.#claimAt(pick + at, isLate, epochs);
              const workerId = `thread-${(pick + at) % 3}`;
              const measures = isStarted ? { startedAt: now, durationMs: 0.5, workerId } : {};
              return { id, fence, end: endOf(kind, task, now), ...measures };
            }),
          ),
        };
      case "extend": {
        const { id, fence } = this.#claimAt(command.pick, command.isLate, epochs);
        return { type: "extend", leases: [{ id, fence }], until: now + command.lease };
      }
      case "cancel":
        return { type: "cancel", ids: command.picks.map((pick) => this.#idAt(pick)), now, reason: "not wanted" };
      case "requeue":
        return { type: "requeue", ids: [...new Set(command.picks.map((pick) => this.#idAt(pick)))], now };
      case "delete":
        return { type: "delete", ids: command.picks.map((pick) => this.#idAt(pick)), now, force: command.force };
      case "move":
        return { type: "move", ids: command.picks.map((pick) => this.#idAt(pick)), queue: this.#targetOf(command) };
      case "advance":
      case "prune":
        return { ...command, now };
      case "configureQueue":
        return { ...command, patch: this.#patchOf(command) };
      case "unpark":
        return command;
    }
  }

  #targetOf({ queue }: { readonly queue: string }): string {
    return this.#isDecided && queue === agingQueue ? "x" : queue;
  }

  #patchOf({ queue, patch }: Extract<Command, { type: "configureQueue" }>): QueueSettings {
    if (!this.#isDecided || queue === agingQueue) return patch;
    const { agingStepMs: _, ...rest } = patch;
    return rest;
  }

  /** Takes in what a storage did. */
  learn(changes: readonly Change[], answers: readonly unknown[]): void {
    changes.forEach((change, index) => this.#learnOne(change, answers[index]));
  }

  reopened(): void {
    for (const id of this.claims.keys()) this.#end(id);
    this.opening += 1;
    this.#staged = [];
  }

  #learnOne(change: Change, answer: unknown): void {
    this.schedules.learn(change);
    switch (change.type) {
      case "claim":
        for (const task of (answer as Claimed).tasks) this.claims.set(task.id, { task, opening: this.opening });
        return;
      case "settle":
        change.settlements.forEach(({ id }, at) => (answer as boolean[])[at] === true && this.#end(id));
        return;
      case "advance":
        for (const id of (answer as Advanced).interrupted) {
          this.lapsed.add(`${id}/${this.opening}/${this.claims.get(id)?.task.life.attempt}`);
          this.#end(id);
        }
        return;
      case "delete":
        this.removed += (answer as boolean[]).filter(Boolean).length;
        change.ids.forEach((id, at) => (answer as boolean[])[at] === true && this.#end(id));
        return;
      case "prune":
        this.removed += (answer as Pruned).tasks;
        return;
      case "enqueue":
        change.tasks.forEach(({ id, onConflict }, at) => {
          const stored = (answer as (TaskId | undefined)[])[at];
          if (stored !== undefined && (stored === id || onConflict === "replace")) this.#accepted(stored);
        });
        return;
      case "fire":
        change.firings.forEach(({ tasks }, index) => {
          const answers = (answer as ((TaskId | undefined)[] | undefined)[])[index] ?? [];
          tasks.forEach(({ id, onConflict }, at) => {
            const stored = answers[at];
            const isNew = stored === id ? !this.#ids.includes(id) : onConflict === "replace";
            if (stored !== undefined && isNew) this.#accepted(stored);
          });
        });
        return;
      case "publish":
        if (change.how === "appear") for (const id of this.#staged) this.#accepted(id);
        this.#staged = [];
        this.#stage += 1;
        return;
      case "stage":
        this.#staged.push(...change.tasks.map(({ id }) => id));
        return;
    }
  }

  #accepted(id: TaskId): void {
    this.order.set(id, this.order.size === 0 ? 1 : Math.max(...this.order.values()) + 1);
    for (const lapsed of this.lapsed) if (lapsed.startsWith(`${id}/`)) this.lapsed.delete(lapsed);
    if (!this.#ids.includes(id)) this.#ids.push(id);
  }

  #end(id: TaskId): void {
    const claim = this.claims.get(id);
    if (claim !== undefined) this.#over.push(claim);
    this.claims.delete(id);
  }

  #idAt = (pick: number): TaskId => this.#ids[pick % this.#ids.length] ?? "nobody";

  #claimAt(pick: number, isLate: boolean, epochs: readonly number[]) {
    const claims = isLate ? this.#over : [...this.claims.values()];
    const { task, opening } = claims[pick % claims.length] ?? { task: nobody, opening: this.opening };
    return { id: task.id, task, fence: { epoch: epochs[opening] ?? 0, attempt: task.life.attempt } };
  }

  /** A task of a schedule; one that is to have a known id, has that of a running one. */
  readonly #scheduled = ({ knownId, ...draft }: Draft, schedule: string): readonly NewTask[] => {
    const running = [...this.claims.keys()];
    const known = knownId === undefined ? undefined : running[knownId % running.length];
    const tasks = this.#tasksOf({ ...draft, knownId: undefined, schedule: undefined });
    return tasks.map((task) => ({
      ...task,
      id: known ?? task.id,
      request: { ...task.request, schedule: { id: schedule, name: "its name", slot: this.now } },
    }));
  };

  #tasksOf({ copies, hasUuid, knownId, onConflict, delay, ttl, resultTtlMs, ...given }: Draft): NewTask[] {
    const { queue, priority, name, version, dedupeKey, orderingKey, concurrencyKey, executor, schedule } = given;
    const scheduleId = schedule === undefined ? undefined : this.schedules.idFor(schedule);
    const { request } = aTask({
      createdAt: this.now,
      queue,
      priority,
      name,
      ...(delay === undefined ? {} : { runAt: this.now + delay }),
      ...(ttl === undefined ? {} : { expiresAt: this.now + ttl }),
      ...(resultTtlMs === undefined ? {} : { resultTtlMs }),
      ...(dedupeKey === undefined ? {} : { dedupeKey }),
      ...(orderingKey === undefined ? {} : { orderingKey }),
      ...(version === undefined ? {} : { version }),
      ...(concurrencyKey === undefined || (this.#isDecided && queue === agingQueue) ? {} : { concurrencyKey }),
      ...(executor === undefined ? {} : { executor }),
      ...(scheduleId === undefined ? {} : { schedule: { id: scheduleId, name: "its name", slot: this.now } }),
    });
    return Array.from({ length: copies }, (_, copy) => {
      this.#made += 1;
      const known = copy > 0 || knownId === undefined || this.#ids.length === 0 ? undefined : this.#idAt(knownId);
      const id = known ?? (hasUuid ? uuidOf(this.#made) : textOf(this.#made));
      return { id, request, args: someBytes(this.#made % 256), onConflict };
    });
  }
}

/** The only one in which tasks age, where that and keys are kept apart. */
const agingQueue = "z";

const uuidOf = (n: number): TaskId => `01900000-0000-7000-8000-${n.toString(16).padStart(12, "0")}`;
/** Neither rising nor falling, so that order of id and order of enqueueing are told apart. */
const textOf = (n: number): TaskId => `task-${(n * 7) % 10}-${String(n).padStart(4, "0")}`;

const nobody: StoredTask = {
  ...aTask({ id: "nobody" }),
  life: { state: "running", attempt: 1, failures: 0, crashes: 0, interruptions: 0, failed: [] },
};

function endOf(kind: EndKind, { life }: StoredTask, now: number): AttemptEnd {
  const { attempt, failures, crashes, interruptions } = life;
  const failed = { failure: aFailure(attempt, now), failures: failures + 1, crashes, interruptions };
  switch (kind) {
    case "completed":
      return { to: "completed", result: someBytes(attempt) };
    case "failed":
      return { to: "failed", reason: "error", ...failed };
    case "retrying":
      return { to: "retrying", runAt: now + 10, ...failed };
    case "cancelled":
      return { to: "cancelled", reason: "stopped" };
    case "interrupted":
      return { to: "ready", cause: "interrupted", failures, crashes, interruptions: interruptions + 1 };
    case "unstarted":
    case "parked":
      return { to: "ready", cause: kind };
  }
}

/** The answers to `changes`, or "refused". */
export async function ask(storage: Storage, changes: readonly Change[]): Promise<readonly unknown[] | "refused"> {
  try {
    return await storage.commit(changes);
  } catch (error) {
    const refusals = [DuplicateTaskError, QueueFullError, TaskBusyError, DuplicateNameError, VersionConflictError];
    const isRefusal = refusals.some((kind) => error instanceof kind);
    if (isRefusal) return "refused";
    throw error;
  }
}
