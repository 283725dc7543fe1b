import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { at, cron, every, Omniq, onEvent, template, type TaskHandle } from "omniq";
import { describe, expect, expectTypeOf, onTestFinished, test } from "vitest";
import type * as scheduledTasks from "../fixtures/journeys/scheduled.ts";
import { eventually } from "../support/eventually.ts";
import { aPlace, errorOf, fixture, type Runtime } from "../support/runtimes.ts";

type Options = Partial<Parameters<typeof Omniq.open>[0]>;

async function open(options: Options = {}) {
  const omniq = await Omniq.open<typeof scheduledTasks>({
    tasks: fixture("scheduled.ts"),
    storage: "memory:",
    executors: { threads: 1 },
    events: "all",
    ...options,
  });
  onTestFinished(() => omniq.close({ drain: 0 }));
  return omniq;
}

const far = every("10h");
type Scheduled = Awaited<ReturnType<typeof open>>;

type Noted = Awaited<ReturnType<typeof scheduledTasks.note>>;

/** The results of tasks of a schedule, oldest first, when there are as many. */
const resultsOf = (omniq: Scheduled, scheduleId: string, count: number): Promise<Noted[]> =>
  eventually(async () => {
    const { tasks } = await omniq.list({ scheduleId, state: "completed" });
    return (
      tasks.length >= count && Promise.all(tasks.slice(0, count).map(({ id }) => omniq.result(id) as Promise<Noted>))
    );
  });

describe("a schedule", () => {
  test("M01, O11: stores tasks at its times, which know what they run for", async () => {
    const omniq = await open();
    const before = Date.now();
    const handle = await omniq.schedule("note", every(100), { name: "often", args: ["", { a: 1 }], maxRuns: 3 });
    expect(handle).toEqual({ id: expect.any(String), name: "often" });

    const results = await resultsOf(omniq, handle.id, 3);

    const { createdAt } = (await omniq.schedules.get(handle.id)) ?? expect.fail();
    expect(createdAt.getTime()).toBeGreaterThanOrEqual(before);
    expect(results).toEqual(
      [1, 2, 3].map((count) => ({
        name: "often",
        scheduledFor: createdAt.getTime() + count * 100,
        event: undefined,
        details: { a: 1 },
        count: 2,
      })),
    );
    expect(await omniq.schedules.status(handle.id)).toMatchObject({
      status: "completed",
      runCount: 3,
      nextRun: undefined,
    });
    const { tasks } = await omniq.list({ scheduleId: handle.id });
    expect(tasks[0]).toMatchObject({ schedule: { id: handle.id, name: "often" }, tags: ["noted"] });
    expect(tasks[0]?.metadata).toMatchObject({ scheduleId: handle.id });
    expect(await omniq.count({ scheduleId: handle.id })).toBe(3);
  });

  test("P04, M02: is found by its id and its name, with its fields", async () => {
    const omniq = await open();
    const trigger = cron("0 3 * * *", { timezone: "Europe/Berlin" });
    const { id } = await omniq.schedule("note", trigger, { name: "nightly", args: ["photos"], priority: "high" });

    const record = await omniq.schedules.get(id);
    expect(record).toMatchObject({
      id,
      name: "nightly",
      task: "note",
      status: "active",
      version: 1,
      trigger,
      priority: 10,
    });
    expect(record?.args).toEqual(["photos"]);
    expect(record?.nextRunAt?.getTime()).toBeGreaterThan(Date.now());
    expect(record?.lastRunAt).toBeUndefined();
    expect(record).not.toHaveProperty("declared");
    expect((await omniq.schedules.byName("nightly"))?.id).toBe(id);
    expect(await omniq.schedules.get("nobody")).toBeUndefined();
    expect(await omniq.schedules.byName("nobody")).toBeUndefined();
  });

  test("takes a cron expression, and a template with a trigger", async () => {
    const omniq = await open();
    const nightly = template({ trigger: cron("0 3 * * *"), tags: ["nightly"], queue: "reports" });
    const { id } = await omniq.schedule("note", { template: nightly, tags: ["mine"], args: [""] });
    const other = await omniq.schedule("note", "*/5 * * * *", { args: [""] });

    expect(await omniq.schedules.get(id)).toMatchObject({
      trigger: cron("0 3 * * *"),
      tags: ["nightly", "mine"],
      queue: "reports",
    });
    expect((await omniq.schedules.get(other.id))?.trigger).toEqual(cron("*/5 * * * *"));
  });

  test("T10: is what a task with a trigger other than at() becomes", async () => {
    const omniq = await open();
    const schedule = await omniq.enqueue("note", [""], { schedule: every(50), name: "by enqueue", ttl: "1h" });
    expect(schedule).toEqual({ id: expect.any(String), name: "by enqueue" });
    expect(await omniq.schedules.get(schedule.id)).toMatchObject({ taskTtlMs: 3_600_000 });
    expect(await resultsOf(omniq, schedule.id, 2)).toHaveLength(2);

    const soon = Date.now() + 300;
    const handle = await omniq.enqueue("note", [""], { schedule: at(soon) });

    expectTypeOf(handle).toExtend<TaskHandle>();
    expect(await handle.state()).toBe("scheduled");
    await handle.result();
    expect(Date.now()).toBeGreaterThanOrEqual(soon);
  });

  test("O01, ruling 17: of a task that is not known, or that does not take these arguments, is refused", async () => {
    const omniq: Runtime = (await open()) as never;
    const untyped = omniq as unknown as Omniq;

    expect(await errorOf(() => untyped.schedule("nobody", far))).toMatchObject({ code: "UNKNOWN_TASK" });
    expect(await errorOf(() => untyped.schedule((() => 1) as never, far))).toMatchObject({ code: "NOT_A_TASK" });
    expect(await errorOf(() => untyped.schedule("sum", far, { args: ["one"] }))).toMatchObject({
      code: "INVALID_INPUT",
    });
    expect(await errorOf(() => untyped.schedule("note", "61 * * * *"))).toMatchObject({ code: "INVALID_CRON" });
    expect(await errorOf(() => untyped.schedule("note", at(5), { ifPast: "error" }))).toMatchObject({
      code: "NO_SLOT",
    });
    expect(await errorOf(() => untyped.schedule("note", far, { maxRunz: 3 } as never))).toMatchObject({
      code: "UNKNOWN_OPTION",
    });
    expect((await omniq.schedules.list()).schedules).toEqual([]);
  });

  test("C01: has a name of its own, and upsert changes the one that has it", async () => {
    const omniq = await open();
    const { id } = await omniq.schedule("note", far, { name: "nightly", args: ["a"] });

    expect(await errorOf(() => omniq.schedule("note", far, { name: "nightly" }))).toMatchObject({
      code: "DUPLICATE_NAME",
    });
    expect(await omniq.schedule("note", far, { name: "nightly", args: ["b"], upsert: true })).toEqual({
      id,
      name: "nightly",
    });
    expect(await omniq.schedules.get(id)).toMatchObject({ version: 2, args: ["b"] });
  });
});

test("many schedules are stored with one call, all or none", async () => {
  const omniq = await open();
  const many = Array.from({ length: 50 }, (_, index) => ({
    task: "note" as const,
    trigger: far,
    name: `n${index}`,
    args: [""],
  }));
  const handles = await omniq.scheduleMany(many);
  expect(handles.map(({ name }) => name)).toEqual(many.map(({ name }) => name));

  const twice = await errorOf(() => omniq.scheduleMany([{ task: "note", trigger: far, name: "new" }, ...many]));
  expect(twice).toMatchObject({ code: "DUPLICATE_NAME" });
  const bad = await errorOf(() =>
    omniq.scheduleMany([
      { task: "note", trigger: far },
      { task: "note", trigger: far, maxRuns: 0 },
    ]),
  );
  expect(bad).toMatchObject({ code: "INVALID_ARGUMENT", path: "schedules[1].maxRuns" });

  expect(await omniq.schedules.byName("new")).toBeUndefined();
  expect(await omniq.scheduleMany([])).toEqual([]);
});

test("M08: lists are filtered and paged, in the order the schedules were made in", async () => {
  const omniq = await open();
  const handles = await omniq.scheduleMany(
    Array.from({ length: 7 }, (_, index) => ({
      task: index % 2 === 0 ? ("note" as const) : ("mayFail" as const),
      trigger: far,
      tags: index < 3 ? ["a", "b"] : ["a"],
    })),
  );
  const ids = handles.map(({ id }) => id);
  await omniq.schedules.pause(ids[0] ?? "");

  const seen: string[] = [];
  for (let cursor: string | undefined, isMore = true; isMore; isMore = cursor !== undefined) {
    const page = await omniq.schedules.list({ limit: 3, cursor });
    expect(page.schedules.length).toBeLessThanOrEqual(3);
    seen.push(...page.schedules.map(({ id }) => id));
    cursor = page.cursor;
  }
  expect(seen.toSorted()).toEqual(ids.toSorted());
  const listed = async (filter: object): Promise<number> => (await omniq.schedules.list(filter)).schedules.length;
  expect(await listed({ tags: ["a", "b"] })).toBe(3);
  expect(await listed({ task: "mayFail" })).toBe(3);
  expect(await listed({ status: "paused" })).toBe(1);
  expect(await listed({ status: ["paused", "active"] })).toBe(7);
  expect(await errorOf(() => listed({ status: "sleeping" }))).toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("M03, K05, K06: updates make versions, and leave a history", async () => {
  const omniq = await open();
  const { id } = await omniq.schedule("note", far, { args: ["a"], maxRuns: 3 });
  const record = await omniq.schedules.update(
    id,
    { trigger: every("5h"), maxRuns: null },
    { changelog: "slower", ifVersion: 1 },
  );
  expect(record).toMatchObject({ version: 2, trigger: every("5h") });
  expect(record).not.toHaveProperty("maxRuns");

  const late = await errorOf(() => omniq.schedules.update(id, { tags: ["x"] }, { ifVersion: 1 }));
  expect(late).toMatchObject({ code: "VERSION_CONFLICT", version: 2 });
  const wrong = await errorOf(() => omniq.schedules.update(id, { maxRuns: 0 }));
  expect(wrong).toMatchObject({ code: "INVALID_ARGUMENT", path: "patch.maxRuns" });

  expect(await omniq.schedules.history(id)).toMatchObject([
    { version: 2, changelog: "slower", before: { trigger: far, maxRuns: 3 }, after: { trigger: every("5h") } },
  ]);
  expect(await errorOf(() => omniq.schedules.update("nobody", {}))).toMatchObject({ code: "UNKNOWN_SCHEDULE" });
});

test("an update of the arguments is checked by the task's input", async () => {
  const omniq = await open();
  const { id } = await omniq.schedule("sum", far, { args: [1, 2] });

  expect(await errorOf(() => omniq.schedules.update(id, { args: ["x"] }))).toMatchObject({ code: "INVALID_INPUT" });
  expect(await errorOf(() => omniq.schedules.trigger(id, { args: ["x"] }))).toMatchObject({ code: "INVALID_INPUT" });
  const handle = await omniq.schedules.trigger(id, { args: [4, 5] });
  expect(await handle?.result()).toBe(9);
});

test("M04 to M07: pause, resume, cancel and delete tell whether they changed anything", async () => {
  const omniq = await open();
  const { id } = await omniq.schedule("note", far);
  const { schedules } = omniq;

  expect([await schedules.pause(id), await schedules.pause(id)]).toEqual([true, false]);
  expect(await schedules.nextRuns(id)).toEqual([]);
  expect([await schedules.resume(id), await schedules.resume(id)]).toEqual([true, false]);
  expect([await schedules.cancel(id), await schedules.cancel(id)]).toEqual([true, false]);
  expect(await errorOf(() => schedules.resume(id))).toMatchObject({ code: "SCHEDULE_ENDED" });
  expect((await schedules.get(id))?.status).toBe("cancelled");
  expect([await schedules.delete(id), await schedules.delete(id)]).toEqual([true, false]);
  expect([await schedules.pause("nobody"), await schedules.resume("nobody"), await schedules.cancel("nobody")]).toEqual(
    [false, false, false],
  );
});

test("K01, K02: a schedule is fired by hand, also while it is paused", async () => {
  const omniq = await open();
  const { id } = await omniq.schedule("note", far, { args: ["", { a: 1 }] });
  await omniq.schedules.pause(id);
  const [first, second] = [
    await omniq.schedules.trigger(id),
    await omniq.schedules.trigger(id, { args: ["", { b: 2 }] }),
  ];

  expect(await first?.result()).toMatchObject({ details: { a: 1 } });
  expect(await second?.result()).toMatchObject({ details: { b: 2 } });
  expect((await omniq.schedules.get(id))?.runCount).toBe(0);
  expect(await errorOf(() => omniq.schedules.trigger("nobody"))).toMatchObject({ code: "UNKNOWN_SCHEDULE" });
});

test("K03: an event fires those who wait for it, with its payload", async () => {
  const omniq = await open();
  const { id } = await omniq.schedule("note", onEvent("stock.low"), { args: ["", { item: 0, unit: "kg" }] });
  const [handle, ...others] = await omniq.emit("stock.low", { item: 7 });
  expect(others).toEqual([]);

  expect(await handle?.result()).toMatchObject({
    event: { name: "stock.low", payload: { item: 7 } },
    details: { item: 7, unit: "kg" },
    count: 2,
  });
  const record = await handle?.record();
  expect(record).toMatchObject({ args: ["", { item: 0, unit: "kg" }], schedule: { id } });
  expect(record?.event?.name).toBe("stock.low");
  expect(record?.event?.payload).toEqual({ item: 7 });
  expect(await omniq.schedules.nextRuns(id)).toEqual([]);
  expect(await omniq.emit("nobody.cares")).toEqual([]);
  expect(await errorOf(() => omniq.emit("stock.low", () => 1))).toMatchObject({ code: "NOT_SERIALIZABLE" });
});

test("a payload that is no object is merged into nothing", async () => {
  const omniq = await open();
  await omniq.schedule("note", onEvent("number"), { args: ["", { a: 1 }] });
  const [handle] = await omniq.emit("number", 42);

  expect(await handle?.result()).toMatchObject({ event: { payload: 42 }, details: { a: 1 } });
});

test("arguments of a schedule have the types of its task", async () => {
  const omniq = await open();
  const calls = [
    () => omniq.schedule("note", far, { args: ["file", {}] }),
    () => omniq.schedule("mayFail", "@daily", { args: [true] }),
    () => omniq.enqueue("note", ["file"], { schedule: every("5m") }),
    // @ts-expect-error -- takes text first
    () => omniq.schedule("note", far, { args: [1] }),
    // @ts-expect-error -- there is no such task
    () => omniq.schedule("nobody", far),
    // @ts-expect-error -- a schedule has no id to choose
    () => omniq.schedule("note", far, { id: "mine" }),
  ];
  expectTypeOf(omniq.schedules.nextRuns).returns.resolves.toEqualTypeOf<Date[]>();

  expect(calls).toHaveLength(6);
});

describe("V01: the next runs", () => {
  test("are dates, as many as were asked for", async () => {
    const omniq = await open();
    const { id } = await omniq.schedule("note", cron("0 9 * * *", { timezone: "America/New_York" }), { args: [""] });
    const runs = await omniq.schedules.nextRuns(id, 3);

    expect(runs).toHaveLength(3);
    for (const run of runs) {
      const hour = new Intl.DateTimeFormat("en", {
        timeZone: "America/New_York",
        hour: "numeric",
        hour12: false,
      }).format(run);
      expect(hour).toBe("09");
    }
    expect(await omniq.schedules.nextRuns(id)).toHaveLength(5);
    expect(await errorOf(() => omniq.schedules.nextRuns(id, 1_001))).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(await errorOf(() => omniq.schedules.nextRuns("nobody"))).toMatchObject({ code: "UNKNOWN_SCHEDULE" });
  });

  test("are when it then fires", async () => {
    const omniq = await open();
    const { id } = await omniq.schedule("note", every(70), { args: [""], maxRuns: 4 });
    const foretold = await omniq.schedules.nextRuns(id, 10);
    const results = await resultsOf(omniq, id, 4);

    const happened = results.map(({ scheduledFor }) => scheduledFor);
    // Some may have fired before the question was asked.
    expect(happened.slice(-foretold.length)).toEqual(foretold.map((date) => date.getTime()));
    expect(foretold.length).toBeGreaterThan(0);
  });
});

test("V02: the status tells what became of its tasks", async () => {
  const omniq = await open();
  const { id, name } = await omniq.schedule("mayFail", far, { args: [false] });
  const handles = [];
  for (let run = 0; run < 6; run++) handles.push(await omniq.schedules.trigger(id, { args: [run === 5] }));
  for (const handle of handles) await handle?.wait();

  expect(await omniq.schedules.status(id)).toMatchObject({
    name,
    status: "active",
    lastRun: undefined,
    lastResult: "error",
    runCount: 0,
    successCount: 5,
    errorCount: 1,
    isRegistered: true,
    averageDurationMs: expect.any(Number),
  });
});

test("V03, L06: all schedules together are counted, paused and stopped", async () => {
  const omniq = await open({ instanceId: "scheduler-1" });
  const { scheduler } = omniq;
  const { id } = await omniq.schedule("note", far, { args: [""] });
  const other = await omniq.schedule("note", far, { args: [""] });
  await omniq.schedules.pause(other.id);
  await (await omniq.schedules.trigger(id))?.wait();

  expect(await scheduler.stats()).toMatchObject({
    status: "running",
    instanceId: "scheduler-1",
    schedulesTotal: 2,
    schedulesActive: 1,
    schedulesPaused: 1,
    tasksTriggeredTotal: 1,
    tasksTriggeredLast24h: 1,
    successRate: 1,
    missed: 0,
    skipped: 0,
  });
  expect([await scheduler.pause(), await scheduler.pause()]).toEqual([true, false]);
  expect((await scheduler.stats()).status).toBe("paused");
  expect([await scheduler.resume(), await scheduler.resume()]).toEqual([true, false]);
  expect([await scheduler.shutdown(), await scheduler.shutdown()]).toEqual([true, false]);
  expect(await scheduler.stats()).toMatchObject({ status: "stopped", uptimeMs: 0 });
  expect([await scheduler.start(), await scheduler.start()]).toEqual([true, false]);
});

test("events tell what happened to a schedule", async () => {
  const omniq = await open();
  const { id, name } = await omniq.schedule("note", at(0), { args: [""] });
  await resultsOf(omniq, id, 1);

  const events = await omniq.events.query({ scheduleId: id });
  expect(events.map(({ type }) => type)).toEqual(["schedule.created", "schedule.fired", "schedule.completed"]);
  expect(events[1]).toMatchObject({ scheduleId: id, name, count: 1 });
  expect(await omniq.events.query({ type: "schedule.completed" })).toHaveLength(1);
});

test("a listener of errors can be taken away, and must be a function", async () => {
  const omniq = await open();
  const stop = omniq.scheduler.onError(() => undefined);

  expect(stop).toBeTypeOf("function");
  stop();
  expect(() => omniq.scheduler.onError("log" as never)).toThrow("function");
});

describe("P01: a schedule that is declared beside its handler", () => {
  test("runs as a normal task, with retries and its context", async () => {
    const omniq = await Omniq.open({
      tasks: fixture("declared.ts"),
      storage: "memory:",
      executors: { threads: 1 },
      events: "all",
    });
    onTestFinished(() => omniq.close({ drain: 0 }));
    const schedule = await omniq.schedules.byName("beat");
    expect(schedule).toMatchObject({
      declared: true,
      unique: "skip",
      task: "beat",
      args: ["tock"],
      missed: { handling: "skip" },
    });

    const [result] = await resultsOf(omniq as never, schedule?.id ?? "", 1);

    expect(result).toEqual({ word: "tock", name: "beat", scheduledFor: expect.any(Date) });
    expect((await omniq.schedules.byName("every new year"))?.trigger).toEqual(cron("@yearly"));
    expect(await omniq.run("beat", ["by hand"])).toMatchObject({ word: "by hand", name: undefined });
  });

  test("is changed by a reload of its module", async () => {
    const folder = aPlace();
    const file = join(folder, "tasks.mjs");
    const write = (minutes: string): void =>
      writeFileSync(
        file,
        `import { defineSchedule, every } from ${JSON.stringify(import.meta.resolve("omniq"))};
         export const clean = defineSchedule("clean", every("${minutes}"), () => 1);`,
      );
    write("5m");
    const omniq = await Omniq.open({ tasks: file, storage: "memory:", executors: { threads: 1 } });
    onTestFinished(() => omniq.close({ drain: 0 }));
    write("7m");
    await omniq.reload();

    expect((await omniq.schedules.list()).schedules).toMatchObject([
      { name: "clean", trigger: every("7m"), declared: true, version: 2 },
    ]);
  });

  test.each([
    ["declared-twice.mjs", "twice"],
    ["declared-badly.mjs", "defineSchedule"],
  ])("P02: is refused at open where %s makes no sense", async (file, problem) => {
    const error = await errorOf(() =>
      Omniq.open({ tasks: fixture(file), storage: "memory:", executors: { threads: 1 } }),
    );

    expect(error).toMatchObject({ code: "TASK_MODULE" });
    expect(error.message).toContain(problem);
    expect(error.message).toContain(file);
  });
});

describe.skipIf(process.env["OMNIQ_NO_LMDB"] !== undefined)("on disk", () => {
  test("L11, P02: schedules survive a restart, declared ones as the same, with their next slot", async () => {
    const storage = aPlace();
    const first = await Omniq.open({
      tasks: [fixture("declared.ts"), fixture("scheduled.ts")],
      storage,
      executors: { threads: 1 },
    });
    const made = await first.schedule("note", every("1h"), { args: [""], tags: ["x"] });
    const before = await first.schedules.get(made.id);
    const yearly = await first.schedules.byName("every new year");
    await first.schedules.update(made.id, { tags: ["y"] });
    await first.close();

    const second = await open({ storage, tasks: [fixture("declared.ts"), fixture("scheduled.ts")] });
    const after = await second.schedules.get(made.id);

    expect(after).toMatchObject({ nextRunAt: before?.nextRunAt, version: 2, tags: ["y"] });
    expect(after?.args).toEqual([""]);
    expect(await second.schedules.history(made.id)).toHaveLength(1);
    expect(await second.schedules.byName("every new year")).toMatchObject({
      id: yearly?.id,
      nextRunAt: yearly?.nextRunAt,
      version: 1,
    });
    expect((await second.schedules.list()).schedules).toHaveLength(3);
  });

  test("a declared schedule whose module is not loaded goes on, and says so", async () => {
    const storage = aPlace();
    const first = await Omniq.open({ tasks: fixture("declared.ts"), storage, executors: { threads: 1 } });
    await first.close();

    const second = await open({ storage });
    const schedule = await second.schedules.byName("every new year");

    expect(schedule).toMatchObject({ declared: false, status: "active" });
    expect(await second.schedules.status(schedule?.id ?? "")).toMatchObject({ isRegistered: false });
  });

  test("L02: a slot that was missed while nothing ran is made up for at open", async () => {
    const storage = aPlace();
    const first = await open({ storage });
    const { id } = await first.schedule("note", at(Date.now() + 300), { args: [""] });
    const often = await first.schedule("note", every(100), { args: [""], missed: { handling: "skip", threshold: 0 } });
    await first.scheduler.shutdown();
    await first.close();
    const reports: object[] = [];
    const log = (fields: object, message: string): void => void (message.includes("due") && reports.push(fields));
    const waitUntil = Date.now() + 400;
    await eventually(() => Date.now() > waitUntil);

    const second = await open({ storage, logger: { debug: log, info: log, warn: log, error: log } });
    await resultsOf(second, id, 1);

    expect((await second.schedules.get(id))?.status).toBe("completed");
    expect((await second.schedules.get(often.id))?.missedCount).toBeGreaterThan(0);
    expect(reports).toEqual([expect.objectContaining({ schedules: 2 })]);
  });
});
