import fc from "fast-check";
import { expect, it } from "vitest";
import type { ScheduleTotals } from "../../../src/storage/schedule-storage.ts";
import type { Advanced, Change, Claimed, Counts, Limits, QueueRecord, Storage } from "../../../src/storage/storage.ts";
import type { ScheduleChange, StoredSchedule } from "../../../src/schedule/schedule.ts";
import { scheduleDue } from "../../../src/storage/schedule-results.ts";
import type { StoredEvent } from "../../../src/task/event.ts";
import { firstStates, isTerminal, moves, type TaskState } from "../../../src/task/state.ts";
import { handlerKey, type StoredTask, type TaskId, type TaskRequest } from "../../../src/task/task.ts";
import { allOf, type CreateFixture, idsOf, someSettings } from "./bench.ts";
import { ask, someLimits, someSteps, World } from "./commands.ts";

/** Everything that can be seen of a storage. */
export interface Sight {
  readonly tasks: readonly StoredTask[];
  readonly counts: Counts;
  readonly parked: ReadonlyMap<string, number>;
  readonly queues: readonly QueueRecord[];
  readonly nextDue: { readonly advance?: number; readonly prune?: number; readonly schedule?: number };
  readonly events: readonly StoredEvent[];
  readonly schedules: readonly StoredSchedule[];
  /** With the tasks of each, its history, and those that fire on an event. */
  readonly ofSchedules: readonly (readonly [string, readonly TaskId[], readonly ScheduleChange[]])[];
  readonly onEvent: readonly string[];
  /** In the order they are due in. */
  readonly dueSchedules: readonly string[];
  readonly scheduleTotals: ScheduleTotals;
  readonly results: readonly (readonly [TaskId, readonly number[]])[];
}

export async function look(storage: Storage, now: number): Promise<Sight> {
  const tasks = await allOf(storage);
  const results: [TaskId, number[]][] = [];
  for (const { id } of tasks) {
    const result = await storage.result(id);
    if (result !== undefined) results.push([id, Array.from(result)]);
  }
  const { schedules } = await storage.schedules({ limit: 1_000 });
  const ofSchedules: Sight["ofSchedules"][number][] = [];
  for (const { id } of schedules) {
    const own = idsOf((await storage.list({ limit: 1_000, scheduleId: id })).tasks);
    ofSchedules.push([id, own, (await storage.scheduleHistory(id, 1_000)).map(plain)]);
  }
  return {
    schedules: schedules.map(plain),
    ofSchedules,
    onEvent: idsOf((await storage.schedules({ event: "sold", limit: 1_000 })).schedules),
    dueSchedules: idsOf(await storage.dueSchedules(Number.MAX_SAFE_INTEGER, 1_000)),
    scheduleTotals: await storage.scheduleTotals(now),
    tasks: tasks.map((task) => ({ ...task, args: Uint8Array.from(task.args) })),
    counts: await storage.counts(),
    parked: await storage.parked(),
    queues: [...(await storage.queues())].sort((a, b) => (a.name < b.name ? -1 : 1)),
    nextDue: await storage.nextDue(),
    events: await storage.events({ limit: 1_000 }),
    results,
  };
}

/** Without the difference between kinds of bytes. */
const plain = <T>(value: T): T =>
  JSON.parse(JSON.stringify(value, (key, part: unknown) => (key === "args" ? undefined : part))) as T;

export function obeying(create: CreateFixture): void {
  it("leaves the storage in order", { timeout: 300_000 }, async () => {
    const limit = fc.constantFrom(1, 3, 1_000);
    await fc.assert(
      fc.asyncProperty(someLimits, someSteps(limit), async (limits, steps) => {
        const settings = { ...someSettings, ...limits };
        const { names = new Map<string, Limits>() } = limits;
        const fixture = await create();
        try {
          let { storage } = fixture;
          const world = new World();
          const epochs = [(await storage.open(settings)).epoch];
          let before = await look(storage, world.now);
          for (const step of steps) {
            if (step.type === "wait") {
              world.now += step.ms;
              continue;
            }
            let changes: readonly Change[] = [];
            let answers: readonly unknown[] | "refused" = [];
            if (step.type === "reopen") {
              storage = await fixture.reopen();
              const { epoch, interrupted } = await storage.open({ ...settings, now: world.now });
              expect(interrupted).toBe(world.claims.size);
              expect(epoch).toBeGreaterThan(epochs.at(-1) ?? 0);
              epochs.push(epoch);
              world.reopened();
            } else {
              changes = await world.changesOf(step, storage, epochs);
              answers = await ask(storage, changes);
            }
            const after = await look(storage, world.now);
            if (answers === "refused") {
              expect(after).toEqual(before);
              const [only] = changes;
              if (changes.length === 1 && only !== undefined) judgeRefusal(only, before);
              continue;
            }
            const [change] = changes;
            if (changes.length === 1 && change?.type === "claim") {
              const isByPriority =
                limits.routing?.type === "priority" &&
                after.queues.every(({ agingStepMs }) => agingStepMs === undefined);
              judgeClaim(isByPriority ? world : undefined, change, answers[0] as Claimed, before, after);
              judgeRest(world, isByPriority, change, answers[0] as Claimed, names, after);
            }
            if (changes.length === 1 && change?.type === "advance" && !(answers[0] as Advanced).hasMore) {
              expect(after.nextDue.advance ?? Number.POSITIVE_INFINITY).toBeGreaterThan(world.now);
            }
            const claimed = claimedIn(changes, answers);
            expect(
              claimed.filter(({ id, life }) => world.lapsed.has(`${id}/${world.opening}/${life.attempt}`)),
            ).toEqual([]);
            world.learn(changes, answers);
            judgeMoves(changes, answers, before, after);
            judgeSizes(changes, before, after);
            judgeSight(world, after);
            judgeSchedules(after);
            before = after;
          }
        } finally {
          await fixture.dispose();
        }
      }),
      { numRuns: 60 },
    );
  });
}

const claimedIn = (changes: readonly Change[], answers: readonly unknown[]): StoredTask[] =>
  changes.flatMap(({ type }, index) => (type === "claim" ? (answers[index] as Claimed).tasks : []));

/** Whatever happened, everything fits together. */
function judgeSight(world: World, { tasks, counts, parked, events, results }: Sight): void {
  const ids = idsOf(tasks);
  expect(ids).toEqual([...new Set(ids)].sort());

  const queues = new Map<string, Partial<Record<TaskState, number>>>();
  const parkedAs = new Map<string, number>();
  const keys: string[] = [];
  for (const { request, life } of tasks) {
    const states = queues.get(request.queue) ?? {};
    queues.set(request.queue, { ...states, [life.state]: (states[life.state] ?? 0) + 1 });
    const handler = handlerKey(request);
    if (life.parked === true) parkedAs.set(handler, (parkedAs.get(handler) ?? 0) + 1);
    if (request.dedupeKey !== undefined && !isTerminal(life.state)) keys.push(`${request.queue}/${request.dedupeKey}`);
    expect(life.runAt !== undefined, "runAt").toBe(life.state === "scheduled" || life.state === "retrying");
    expect(life.finishedAt !== undefined, "finishedAt").toBe(isTerminal(life.state));
    expect(life.parked === undefined || life.state === "ready", "parked").toBe(true);
    expect(life.failed.length).toBeLessThanOrEqual(life.attempt);
  }
  expect(counts.queues).toEqual(queues);
  expect(parked).toEqual(parkedAs);
  expect(counts.parked).toBe([...parkedAs.values()].reduce((sum, count) => sum + count, 0));
  expect(keys).toEqual([...new Set(keys)]);

  expect(counts.totals.enqueued).toBe(tasks.length + world.removed);
  const running = tasks.filter(({ life }) => life.state === "running");
  expect(new Map(running.map(({ id, life }) => [id, life.attempt]))).toEqual(
    new Map([...world.claims].map(([id, { task }]) => [id, task.life.attempt])),
  );
  const completed = new Set(tasks.filter(({ life }) => life.state === "completed").map(({ id }) => id));
  expect(results.filter(([id]) => !completed.has(id))).toEqual([]);
  const sequences = events.map(({ sequence }) => sequence);
  expect(sequences).toEqual(sequences.map((_, index) => (sequences[0] ?? 0) + index));
}

/** What is known of schedules follows from them and their tasks. */
function judgeSchedules({ tasks, schedules, ...sight }: Sight): void {
  const ids = idsOf(schedules);
  expect(ids).toEqual([...new Set(ids)].sort());
  const names = schedules.map(({ definition }) => definition.name);
  expect(new Set(names).size).toBe(names.length);
  const statuses: Partial<Record<string, number>> = {};
  const due: [number, string][] = [];
  for (const schedule of schedules) {
    const { id, state, results } = schedule;
    const own = tasks.filter(({ request }) => request.schedule?.id === id);
    expect(sight.ofSchedules.find(([which]) => which === id)?.[1]).toEqual(idsOf(own));
    expect(results.unfinished, `unfinished of ${id}`).toBe(own.filter(({ life }) => !isTerminal(life.state)).length);
    statuses[state.status] = (statuses[state.status] ?? 0) + 1;
    const at = scheduleDue(schedule);
    if (at !== undefined) due.push([at, id]);
  }
  due.sort(([one, a], [other, b]) => one - other || (a < b ? -1 : 1));
  expect(sight.dueSchedules).toEqual(due.map(([, id]) => id));
  expect(sight.nextDue.schedule).toBe(due[0]?.[0]);
  expect(sight.scheduleTotals.byStatus).toEqual(statuses);
  const listening = schedules.filter(
    ({ definition: { trigger }, state }) =>
      state.status === "active" && trigger.type === "onEvent" && trigger.event === "sold",
  );
  expect(sight.onEvent).toEqual(idsOf(listening));
}

/** Nothing is refused without a reason. */
function judgeRefusal(change: Change, before: Sight): void {
  const known = new Map(before.tasks.map((task) => [task.id, task]));
  const keyOf = ({ queue, dedupeKey }: TaskRequest): string | undefined => dedupeKey && `${queue}/${dedupeKey}`;
  const taken = new Set(
    before.tasks.filter(({ life }) => !isTerminal(life.state)).map(({ request }) => keyOf(request)),
  );
  if (change.type === "enqueue") {
    const isFull = before.queues.some(({ name, maxSize = Number.POSITIVE_INFINITY }) => {
      const added = change.tasks.filter(({ request }) => request.queue === name).length;
      return added > 0 && unfinishedIn(before, name) + added > maxSize;
    });
    const ids = idsOf(change.tasks);
    const isIdTaken = ids.some((id, index) => known.has(id) || ids.indexOf(id) < index);
    const isKeyTaken = change.tasks.some(({ request, onConflict = "error" }, index) => {
      const key = keyOf(request);
      if (key === undefined || onConflict === "skip" || onConflict === "return") return false;
      const isNew = change.tasks.slice(0, index).every((earlier) => keyOf(earlier.request) !== key);
      return taken.has(key) || !isNew;
    });
    expect(isFull || isIdTaken || isKeyTaken, "an enqueue is refused for a reason").toBe(true);
  }
  if (change.type === "putSchedule") {
    const { id, definition } = change.schedule;
    const found = before.schedules.find((one) => one.id === id)?.version ?? 0;
    const owner = before.schedules.find((one) => one.definition.name === definition.name);
    expect(found !== change.ifVersion || (owner !== undefined && owner.id !== id)).toBe(true);
  }
  expect(change.type).not.toBe("fire");
  if (change.type === "delete") {
    expect(change.force).toBe(false);
    expect(change.ids.map((id) => known.get(id)?.life.state)).toContain("running");
  }
  if (change.type === "requeue") {
    const keys = change.ids.map((id) => known.get(id)).map((task) => task && keyOf(task.request));
    expect(keys.some((key, index) => key !== undefined && (taken.has(key) || keys.indexOf(key) < index))).toBe(true);
  }
}

/** Tasks move only as src/task/state.ts permits, and what has ended stays as it is. */
function judgeMoves(changes: readonly Change[], answers: readonly unknown[], before: Sight, after: Sight): void {
  const types = new Set(changes.map(({ type }) => type));
  const stored = new Set(
    changes.flatMap(({ type }, index) => {
      if (type === "enqueue") return answers[index] as (TaskId | undefined)[];
      return type === "fire" ? (answers[index] as ((TaskId | undefined)[] | undefined)[]).flat() : [];
    }),
  );
  // One change moves a task once; only `advance` may end a lease and then the task.
  const steps = changes.reduce((sum, { type }) => sum + (type === "advance" ? 2 : 1), 0);
  const earlier = new Map(before.tasks.map((task) => [task.id, task]));
  for (const task of after.tasks) {
    const was = earlier.get(task.id);
    const { state } = task.life;
    if (was === undefined || stored.has(task.id)) {
      if (changes.length === 1 && was === undefined) expect(firstStates).toContain(state);
      continue;
    }
    expect(reachable(was.life.state, Math.max(steps, 1)), `${task.id} from ${was.life.state}`).toContain(state);
    if (isTerminal(was.life.state) && !types.has("requeue") && !types.has("enqueue")) expect(task).toEqual(was);
    const queue = types.has("move") ? task.request.queue : was.request.queue;
    expect({ ...task.request, expiresAt: 0 }).toEqual({ ...was.request, expiresAt: 0, queue });
    expect(task.args).toEqual(was.args);
  }
  const gone = before.tasks.filter(({ id }) => !after.tasks.some((task) => task.id === id));
  if (!types.has("delete")) expect(gone.filter(({ life }) => !isTerminal(life.state))).toEqual([]);
  if (!types.has("delete") && !types.has("prune")) expect(gone).toEqual([]);
}

function reachable(from: TaskState, steps: number): Set<TaskState> {
  let found = new Set([from]);
  for (let step = 0; step < steps; step += 1) found = new Set([...found].flatMap((state) => [state, ...moves[state]]));
  return found;
}

/** No queue grows beyond its maxSize, unless something is requeued. */
function judgeSizes(changes: readonly Change[], before: Sight, after: Sight): void {
  if (changes.some(({ type }) => type === "requeue" || type === "configureQueue" || type === "fire")) return;
  for (const { name, maxSize = Number.POSITIVE_INFINITY } of after.queues) {
    const size = unfinishedIn(after, name);
    if (size > unfinishedIn(before, name)) expect(size).toBeLessThanOrEqual(maxSize);
  }
}

const unfinishedIn = ({ tasks }: Sight, queue: string): number =>
  tasks.filter(({ request, life }) => request.queue === queue && !isTerminal(life.state)).length;

const isBefore = (world: World, a: StoredTask, b: StoredTask): boolean =>
  a.request.priority === b.request.priority
    ? (world.order.get(a.id) ?? 0) < (world.order.get(b.id) ?? 0)
    : a.request.priority > b.request.priority;

/** A claim gives nothing that it may not give, in order if that is known. */
function judgeClaim(
  world: World | undefined,
  { limit, now }: Change & { type: "claim" },
  { tasks, expired }: Claimed,
  before: Sight,
  after: Sight,
): void {
  const isOver = ({ request }: StoredTask): boolean => (request.expiresAt ?? Number.POSITIVE_INFINITY) <= now;
  const earlier = new Map(before.tasks.map((task) => [task.id, task]));

  expect(tasks.length).toBeLessThanOrEqual(limit);
  for (const [index, task] of tasks.entries()) {
    const was = earlier.get(task.id);
    expect(was?.life.state).toBe("ready");
    expect(was?.life.parked).toBeUndefined();
    expect(task.life.attempt).toBe((was?.life.attempt ?? 0) + 1);
    expect(isOver(task)).toBe(false);
    const next = tasks[index + 1];
    // The end of an ordered line's first lets the next in late.
    const isLate = next?.request.orderingKey !== undefined && expired.length > 0;
    if (world !== undefined && next !== undefined && !isLate)
      expect(isBefore(world, task, next), `${task.id} before ${next.id}`).toBe(true);
  }
  for (const id of expired) {
    expect(earlier.get(id)?.life.state).toBe("ready");
    expect(after.tasks.find((task) => task.id === id)?.life.state).toBe("expired");
  }
}

/** A claim gives the best there is, and as much as it may. */
function judgeRest(
  world: World,
  isByPriority: boolean,
  claim: Change & { type: "claim" },
  { tasks, expired }: Claimed,
  names: ReadonlyMap<string, Limits>,
  after: Sight,
): void {
  for (const { request } of tasks) {
    expect(Math.min(...roomsFor(request, claim, tasks, names, after))).toBeGreaterThanOrEqual(0);
  }
  const last = tasks.at(-1);
  const left = after.tasks.filter(({ request, life, id }) => {
    if (life.state !== "ready" || life.parked === true || hasRate(request, names, after)) return false;
    if (request.orderingKey !== undefined && firstInLine(world, request, after)?.id !== id) return false;
    return roomsFor(request, claim, tasks, names, after).every((room) => room > 0);
  });
  if (tasks.length < claim.limit) expect(left).toEqual([]);
  else if (last !== undefined && expired.length === 0 && isByPriority) {
    expect(left.filter((task) => isBefore(world, task, last))).toEqual([]);
  }
}

const hasRate = ({ queue, name }: TaskRequest, names: ReadonlyMap<string, Limits>, { queues }: Sight): boolean =>
  [names.get(name), queues.find((one) => one.name === queue)].some((limits) => limits?.rateLimit !== undefined);

const firstInLine = (world: World, { queue, orderingKey }: TaskRequest, { tasks }: Sight): StoredTask | undefined =>
  tasks
    .filter(
      ({ request, life }) => !isTerminal(life.state) && request.queue === queue && request.orderingKey === orderingKey,
    )
    .sort((a, b) => (world.order.get(a.id) ?? 0) - (world.order.get(b.id) ?? 0))[0];

/** After a claim: how many more like this each limit would let run; less than none where it gives none at all. */
function roomsFor(
  { queue, name, executor = "thread", orderingKey, concurrencyKey }: TaskRequest,
  { queues, room, perName }: Change & { type: "claim" },
  claimed: readonly StoredTask[],
  names: ReadonlyMap<string, Limits>,
  after: Sight,
): number[] {
  const ofQueue = after.queues.find((one) => one.name === queue);
  const ofName = names.get(name);
  const isLeft = ofQueue?.isPaused === true || queues?.includes(queue) === false;
  const ofThisName = claimed.filter(({ request }) => request.name === name).length;
  const running = after.tasks.filter(({ life }) => life.state === "running").map(({ request }) => request);
  const left = (limit: number | undefined, isCounted: (request: TaskRequest) => boolean): number =>
    (limit ?? Number.POSITIVE_INFINITY) - running.filter(isCounted).length;
  const hasKey = (request: TaskRequest): boolean => request.concurrencyKey === concurrencyKey;
  const perKey = [
    left(ofQueue?.concurrencyPerKey, (request) => request.queue === queue && hasKey(request)),
    left(ofName?.concurrencyPerKey, (request) => request.name === name && hasKey(request)),
  ];
  const given = claimed.filter(({ request }) => (request.executor ?? "thread") === executor).length;
  return [
    isLeft ? -1 : Number.POSITIVE_INFINITY,
    room === undefined ? Number.POSITIVE_INFINITY : (room.get(executor) ?? (given > 0 ? -1 : 0)) - given,
    (perName?.get(name) ?? Number.POSITIVE_INFINITY) - ofThisName,
    left(ofQueue?.concurrency, (request) => request.queue === queue),
    left(ofName?.concurrency, (request) => request.name === name),
    ...(orderingKey === undefined
      ? []
      : [left(1, (request) => request.queue === queue && request.orderingKey === orderingKey)]),
    ...(concurrencyKey === undefined ? [] : perKey),
  ];
}
