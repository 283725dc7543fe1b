import { expect, it } from "vitest";
import { DuplicateNameError, VersionConflictError } from "../../../src/base/errors.ts";
import type { Firing, PutSchedule, ScheduleQuery } from "../../../src/storage/schedule-storage.ts";
import type { StoredSchedule } from "../../../src/schedule/schedule.ts";
import type { TaskId } from "../../../src/task/task.ts";
import { aFiring, aPlan, aSchedule, aScheduledTask } from "../../support/stored-schedules.ts";
import { birth, someBytes } from "../../support/tasks.ts";
import { type Bench, idsOf } from "./bench.ts";

const anHour = 3_600_000;

export function scheduling(bench: Bench): void {
  const put = (
    schedule: Omit<StoredSchedule, "results">,
    given: Partial<Omit<PutSchedule, "type" | "schedule">> = {},
  ): Promise<unknown> => bench.storage.commit([{ type: "putSchedule", schedule, ifVersion: 0, ...given }]);
  const remove = async (...ids: string[]): Promise<readonly boolean[]> =>
    (await bench.storage.commit([{ type: "deleteSchedules", ids, now: birth + 7 }]))[0];
  const fireAll = async (firings: readonly Firing[], now = birth + 100, isCounted = true) =>
    (await bench.storage.commit([{ type: "fire", now, firings, isCounted }]))[0];
  const fire = async (firing: Firing, now?: number): Promise<(TaskId | undefined)[] | undefined> =>
    (await fireAll([firing], now))[0];
  const find = async (query: Partial<ScheduleQuery> = {}): Promise<readonly StoredSchedule[]> =>
    (await bench.storage.schedules({ limit: 1_000, ...query })).schedules;
  const one = async (id = "schedule"): Promise<StoredSchedule> => {
    const [schedule] = await find({ ids: [id] });
    if (schedule === undefined) throw new Error(`There is no ${id}.`);
    return schedule;
  };
  const due = async (now: number): Promise<string[]> => idsOf(await bench.storage.dueSchedules(now, 100));
  const nextDue = async (): Promise<number | undefined> => (await bench.storage.nextDue()).schedule;
  const events = async () =>
    (await bench.storage.events({ limit: 1_000 })).flatMap((event) =>
      event.scheduleId === undefined ? [] : [[event.type, event.count ?? 0] as const],
    );
  const claimOne = (now?: number) => bench.claimOne(now === undefined ? {} : { now });

  it("gives a schedule back as it was stored, with no results", async () => {
    const schedule = aSchedule({ tags: ["red"], metadata: { by: "me" }, args: someBytes(1, 2) });
    await put(schedule);
    const found = await one();
    expect({ ...found, definition: { ...found.definition, args: Array.from(found.definition.args) } }).toEqual({
      ...schedule,
      definition: { ...schedule.definition, args: [1, 2] },
      results: { unfinished: 0, successCount: 0, errorCount: 0, totalDurationMs: 0 },
    });
  });

  it("keeps what its tasks have become when a schedule is replaced", async () => {
    await put(aSchedule());
    await fire(aFiring("schedule", aPlan([birth]), ["a"]));
    await put(aSchedule({ version: 2, tags: ["new"] }), { ifVersion: 1 });
    expect(await one()).toMatchObject({ version: 2, definition: { tags: ["new"] }, results: { unfinished: 1 } });
  });

  it("refuses a version that is not the one that is there", async () => {
    await put(aSchedule());
    const error = { version: 1 };
    await expect(put(aSchedule({ version: 2 }), { ifVersion: 2 })).rejects.toMatchObject(error);
    await expect(put(aSchedule())).rejects.toBeInstanceOf(VersionConflictError);
    await expect(put(aSchedule({ id: "nobody" }), { ifVersion: 1 })).rejects.toMatchObject({ version: 0 });
    expect(idsOf(await find())).toEqual(["schedule"]);
  });

  it("refuses a name that another has, also when both come together", async () => {
    await put(aSchedule({ id: "a", name: "mine" }));
    await expect(put(aSchedule({ id: "b", name: "mine" }))).rejects.toBeInstanceOf(DuplicateNameError);
    const both = ["c", "d"].map((id) => aSchedule({ id, name: "ours" }));
    const changes = both.map((schedule) => ({ type: "putSchedule", schedule, ifVersion: 0 }) as const);
    await expect(bench.storage.commit(changes)).rejects.toBeInstanceOf(DuplicateNameError);
    expect(idsOf(await find())).toEqual(["a"]);
  });

  it("frees a name by another one and by deletion", async () => {
    await put(aSchedule({ id: "a", name: "first" }));
    await put(aSchedule({ id: "a", name: "second", version: 2 }), { ifVersion: 1 });
    await put(aSchedule({ id: "b", name: "first" }));
    await bench.storage.commit([
      { type: "deleteSchedules", ids: ["a"], now: birth },
      { type: "putSchedule", schedule: aSchedule({ id: "c", name: "second" }), ifVersion: 0 },
    ]);
    expect(idsOf(await find({ name: "first" }))).toEqual(["b"]);
    expect(idsOf(await find({ name: "second" }))).toEqual(["c"]);
    expect(await find({ name: "third" })).toEqual([]);
  });

  it("forgets schedules and leaves their tasks", async () => {
    await put(aSchedule());
    await fire(aFiring("schedule", aPlan([birth]), ["a"]));
    expect(await remove("schedule", "nobody", "schedule")).toEqual([true, false, false]);
    expect(await find()).toEqual([]);
    expect(await due(1e12)).toEqual([]);
    expect(await bench.state("a")).toBe("ready");
    await bench.complete(await claimOne());
    expect(await find()).toEqual([]);
  });

  it("lists in order of id, a page at a time", async () => {
    for (const id of ["d", "b", "c", "a"]) await put(aSchedule({ id }));
    const first = await bench.storage.schedules({ limit: 3 });
    expect(idsOf(first.schedules)).toEqual(["a", "b", "c"]);
    const rest = await bench.storage.schedules({ limit: 3, cursor: first.cursor ?? "" });
    expect(idsOf(rest.schedules)).toEqual(["d"]);
    expect(rest).not.toHaveProperty("cursor");
  });

  it("filters by id, status, task, tags and event, joined by and", async () => {
    const request = { ...aSchedule().definition.request, name: "mail" };
    await put(aSchedule({ id: "a", tags: ["red", "big"], request }));
    await put(aSchedule({ id: "b", tags: ["red"], state: { status: "paused" } }));
    await put(aSchedule({ id: "c", trigger: { type: "onEvent", event: "sold" } }));
    await put(aSchedule({ id: "d", trigger: { type: "onEvent", event: "sold" }, state: { status: "paused" } }));
    await put(aSchedule({ id: "e", trigger: { type: "onEvent", event: "sold out" } }));
    expect(idsOf(await find({ ids: ["c", "a", "c", "nobody"] }))).toEqual(["a", "c"]);
    expect(idsOf(await find({ statuses: ["paused", "expired"] }))).toEqual(["b", "d"]);
    expect(idsOf(await find({ task: "mail" }))).toEqual(["a"]);
    expect(idsOf(await find({ tags: ["red"] }))).toEqual(["a", "b"]);
    expect(idsOf(await find({ tags: ["big", "red"], statuses: ["active"] }))).toEqual(["a"]);
    expect(idsOf(await find({ event: "sold" }))).toEqual(["c"]);
    expect(idsOf(await find({ event: "sold", ids: ["a", "b"] }))).toEqual([]);
    expect(idsOf(await find({ event: "sold", limit: 1, cursor: "c" }))).toEqual([]);
  });

  it("finds those that fire on an event as they come and go", async () => {
    const schedule = aSchedule({ trigger: { type: "onEvent", event: "sold" }, maxRuns: 1 });
    await put({ ...schedule, state: { ...schedule.state, status: "paused" } });
    expect(await find({ event: "sold" })).toEqual([]);
    await put(schedule, { ifVersion: 1 });
    expect(idsOf(await find({ event: "sold" }))).toEqual(["schedule"]);
    await fire(aFiring("schedule", { slots: [birth], missed: 0, skipped: 0, status: "active" }, ["a"]));
    expect(await find({ event: "sold" })).toEqual([]);
  });

  it("knows which are due, those first that are due longest", async () => {
    await put(aSchedule({ id: "later", state: { nextSlot: birth + 30 } }));
    await put(aSchedule({ id: "soon", state: { nextSlot: birth + 10 } }));
    await put(aSchedule({ id: "never", state: { status: "cancelled" } }));
    await put(aSchedule({ id: "ends", state: { status: "paused" }, expiresAt: birth + 20 }));
    expect(await due(birth + 9)).toEqual([]);
    expect(await due(birth + 10)).toEqual(["soon"]);
    expect(await due(birth + 30)).toEqual(["soon", "ends", "later"]);
    expect(idsOf(await bench.storage.dueSchedules(birth + 30, 2))).toEqual(["soon", "ends"]);
    expect(await nextDue()).toBe(birth + 10);
    await put(aSchedule({ id: "soon", state: { nextSlot: birth + 40 } }), { ifVersion: 1 });
    expect(await due(birth + 40)).toEqual(["ends", "later", "soon"]);
  });

  it("keeps the changes of a schedule as long as the schedule, newest first", async () => {
    const { definition } = aSchedule();
    const change = (version: number) => ({ version, at: birth + version, before: definition, after: definition });
    await put(aSchedule());
    for (const version of [2, 3, 4]) {
      await put(aSchedule({ version }), { ifVersion: version - 1, change: { ...change(version), changelog: "why" } });
    }
    const versions = async (limit: number) =>
      (await bench.storage.scheduleHistory("schedule", limit)).map(({ version }) => version);
    expect(await versions(10)).toEqual([4, 3, 2]);
    expect(await versions(2)).toEqual([4, 3]);
    expect((await bench.storage.scheduleHistory("schedule", 1))[0]).toMatchObject({ at: birth + 4, changelog: "why" });
    await remove("schedule");
    expect(await versions(10)).toEqual([]);
    expect(await bench.storage.scheduleHistory("nobody", 10)).toEqual([]);
  });

  it("keeps the newest thousand changes", async () => {
    const { definition } = aSchedule();
    await put(aSchedule());
    const versions = Array.from({ length: 1_003 }, (_, index) => index + 2);
    const changes = versions.map((version) => ({
      type: "putSchedule" as const,
      schedule: aSchedule({ version }),
      ifVersion: version - 1,
      change: { version, at: birth, before: definition, after: definition },
    }));
    await bench.storage.commit(changes);
    const kept = (await bench.storage.scheduleHistory("schedule", 5_000)).map(({ version }) => version);
    expect([kept.length, kept[0], kept.at(-1)]).toEqual([1_000, 1_004, 5]);
  });

  it("fires: stores the tasks and the state that follows", async () => {
    await put(aSchedule());
    const plan = aPlan([birth + 100, birth + 200], { missed: 2, skipped: 1 });
    expect(await fire(aFiring("schedule", plan, ["a", "b"]), birth + 250)).toEqual(["a", "b"]);
    expect((await one()).state).toEqual({
      status: "active",
      nextSlot: birth + 300,
      lastSlot: birth + 250,
      lastRunAt: birth + 250,
      lastTaskId: "b",
      runCount: 2,
      missedCount: 2,
      skippedCount: 1,
    });
    expect(idsOf((await bench.claim()).tasks)).toEqual(["a", "b"]);
    expect(await nextDue()).toBe(birth + 300);
    expect(await events()).toEqual([
      ["schedule.fired", 2],
      ["schedule.missed", 2],
      ["schedule.skipped", 1],
    ]);
  });

  it("does nothing about a schedule that is not there in this version", async () => {
    await put(aSchedule({ version: 1 }));
    const plan = aPlan([birth]);
    const firings = [
      aFiring("nobody", plan, ["a"]),
      aFiring("schedule", plan, ["b"], { version: 2 }),
      aFiring("schedule", plan, ["c"]),
    ];
    expect(await fireAll(firings)).toEqual([undefined, undefined, ["c"]]);
    expect(idsOf(await bench.all())).toEqual(["c"]);
    expect((await one()).state.runCount).toBe(1);
  });

  it("leaves a task as it is whose id is there, and counts it as stored", async () => {
    await put(aSchedule({ overlap: "skip" }));
    await fire(aFiring("schedule", aPlan([birth]), ["a"]));
    await bench.complete(await claimOne());
    const before = await bench.life("a");
    expect(await fire(aFiring("schedule", aPlan([birth]), ["a"]))).toEqual(["a"]);
    expect(await bench.life("a")).toEqual(before);
    expect(await one()).toMatchObject({ state: { runCount: 2 }, results: { unfinished: 0 } });
  });

  it("fires by hand without touching the plan", async () => {
    await put(aSchedule());
    const { state } = await one();
    expect(await fire(aFiring("schedule", undefined, ["a"]))).toEqual(["a"]);
    expect(await one()).toMatchObject({ state, results: { unfinished: 1 } });
    expect(await events()).toEqual([["schedule.fired", 1]]);
  });

  it("stores no task beside another that has not ended where schedules do not overlap, unless forced", async () => {
    await put(aSchedule({ overlap: "skip" }));
    const slots = [birth + 100, birth + 200];
    expect(await fire(aFiring("schedule", aPlan(slots), ["a", "b"]))).toEqual(["a", undefined]);
    expect(await fire(aFiring("schedule", undefined, ["c"]))).toEqual([undefined]);
    expect(await fire(aFiring("schedule", undefined, ["d"], { force: true }))).toEqual(["d"]);
    expect(await one()).toMatchObject({ state: { runCount: 1, skippedCount: 1 }, results: { unfinished: 2 } });
    for (const task of (await bench.claim()).tasks) await bench.complete(task);
    expect(await fire(aFiring("schedule", aPlan([birth + 300]), ["e"]))).toEqual(["e"]);
  });

  it("is due at the end of the last task where a slot waits for it", async () => {
    await put(aSchedule({ overlap: "coalesce" }));
    await fire(aFiring("schedule", undefined, ["a", "b"], { force: true }), birth);
    expect(await fire(aFiring("schedule", aPlan([birth + 100]), ["c"]))).toEqual([undefined]);
    expect(await one()).toMatchObject({ state: { pendingSlot: birth + 100, skippedCount: 0 } });
    expect(await nextDue()).toBeUndefined();
    const [a, b] = (await bench.claim()).tasks;
    if (a === undefined || b === undefined) throw new Error("Tasks are missing.");
    await bench.complete(a, birth + 110);
    expect(await nextDue()).toBeUndefined();
    await bench.fail(b, birth + 120);
    expect(await nextDue()).toBe(birth + 120);
    expect(await due(birth + 120)).toEqual(["schedule"]);
    await bench.reopen();
    expect(await nextDue()).toBe(birth + 120);
  });

  it("is due at the end of its task where a delay counts from there, whatever ends it", async () => {
    const trigger = { type: "every", interval: 100, mode: "fixed-delay" } as const;
    const plan = { slots: [birth + 100], missed: 0, skipped: 0, status: "active" } as const;
    const ends: [string, (id: TaskId) => Promise<unknown>][] = [
      ["completed", async () => bench.complete(await claimOne(), birth + 150)],
      ["failed", async () => bench.fail(await claimOne(), birth + 150)],
      ["expired", () => bench.advance(birth + 150)],
      ["cancelled", (id) => bench.storage.commit([{ type: "cancel", ids: [id], now: birth + 150, reason: "" }])],
      ["deleted", (id) => bench.delete([id])],
    ];
    for (const [id, end] of ends) {
      await put(aSchedule({ id, trigger, overlap: "skip" }));
      const task = aScheduledTask(id, { id, ...(id === "expired" ? { expiresAt: birth + 150 } : {}) });
      await fire({ id, version: 1, plan, tasks: [task] });
      expect([id, await due(1e12)]).toEqual([id, []]);
      await end(id);
      expect([id, await due(birth + 150)]).toEqual([id, [id]]);
      await remove(id);
    }
  });

  it("is due at once where it is put to wait for an end that has been", async () => {
    await put(aSchedule({ overlap: "coalesce" }));
    await fire(aFiring("schedule", aPlan([birth]), ["a"]));
    await bench.complete(await claimOne(), birth + 120);
    await put(aSchedule({ overlap: "coalesce", state: { pendingSlot: birth + 100 } }), { ifVersion: 1 });
    expect(await nextDue()).toBe(birth + 120);
  });

  it("counts what becomes of its tasks", async () => {
    await put(aSchedule());
    await fire(aFiring("schedule", aPlan([birth]), ["a", "b", "c", "d", "e"]));
    const [a, b, c] = (await bench.claim({ limit: 3 })).tasks;
    if (a === undefined || b === undefined || c === undefined) throw new Error("Tasks are missing.");
    await bench.settle(a, { to: "completed", result: someBytes(1) }, { now: birth + 1, durationMs: 30 });
    expect((await one()).results).toEqual({
      unfinished: 4,
      successCount: 1,
      errorCount: 0,
      totalDurationMs: 30,
      lastResult: "success",
      lastFinishedAt: birth + 1,
    });
    await bench.fail(b, birth + 2);
    expect((await one()).results).toMatchObject({ unfinished: 3, errorCount: 1, lastResult: "error" });
    await bench.cancel("d");
    expect((await one()).results).toMatchObject({ unfinished: 2, errorCount: 1, lastResult: "cancelled" });
    await bench.delete(["e"]);
    await bench.delete(["c"], { force: true });
    expect((await one()).results).toMatchObject({ unfinished: 0, successCount: 1, lastFinishedAt: birth });
    await bench.delete(["a"]);
    expect((await one()).results).toMatchObject({ unfinished: 0, successCount: 1, errorCount: 1 });
  });

  it("counts a task that is tried again once, when it ends", async () => {
    await put(aSchedule());
    await fire(aFiring("schedule", aPlan([birth]), ["a"]));
    await bench.retry(await claimOne(), birth + 5);
    expect((await one()).results).toMatchObject({ unfinished: 1, errorCount: 0 });
    await bench.advance(birth + 5);
    await bench.complete(await claimOne(birth + 5), birth + 6);
    expect((await one()).results).toMatchObject({ unfinished: 0, successCount: 1, errorCount: 0 });
  });

  it("counts tasks of a schedule however they were stored", async () => {
    await put(aSchedule());
    await bench.enqueue(aScheduledTask("schedule", { id: "a" }));
    expect((await one()).results.unfinished).toBe(1);
    await bench.complete(await claimOne());
    await bench.requeue(["a"]);
    expect((await one()).results).toMatchObject({ unfinished: 0, successCount: 1 });
    await bench.fail(await bench.running(aScheduledTask("schedule", { id: "b" })));
    await bench.requeue(["b"]);
    expect((await one()).results).toMatchObject({ unfinished: 1, errorCount: 1 });
  });

  it("counts a task that takes the place of another for its own schedule", async () => {
    await put(aSchedule({ id: "x" }));
    await put(aSchedule({ id: "y" }));
    await bench.enqueue(aScheduledTask("x", { id: "a", dedupeKey: "k" }));
    await bench.enqueue(aScheduledTask("y", { id: "b", dedupeKey: "k", onConflict: "replace" }));
    expect([(await one("x")).results.unfinished, (await one("y")).results.unfinished]).toEqual([0, 1]);
    const ids = async (scheduleId: string) => idsOf((await bench.storage.list({ limit: 10, scheduleId })).tasks);
    expect([await ids("x"), await ids("y")]).toEqual([[], ["a"]]);
  });

  it("counts tasks that an opening took back, and those that failed by it", async () => {
    await put(aSchedule());
    const tasks = ["a", "b"].map((id) => aScheduledTask("schedule", { id, maxInterruptions: id === "a" ? 0 : 1 }));
    await fire({ id: "schedule", version: 1, tasks });
    await bench.claim();
    await bench.reopen({ now: birth + 9 });
    expect((await one()).results).toMatchObject({ unfinished: 1, errorCount: 1, lastFinishedAt: birth + 9 });
  });

  it("keeps no task out because its queue is full", async () => {
    await put(aSchedule());
    await bench.configure("default", { maxSize: 1 });
    expect(await fire(aFiring("schedule", aPlan([birth]), ["a", "b"]))).toEqual(["a", "b"]);
  });

  it("does what a task says where its dedupe key is taken, and is never refused", async () => {
    await put(aSchedule({ overlap: "coalesce" }));
    await bench.enqueue(aScheduledTask("another", { id: "held", dedupeKey: "k" }));
    const fireOne = (id: string, onConflict?: "error" | "skip" | "return" | "replace") => {
      const given = { id, dedupeKey: "k", ...(onConflict === undefined ? {} : { onConflict }) };
      return fire({ id: "schedule", version: 1, plan: aPlan([birth]), tasks: [aScheduledTask("schedule", given)] });
    };
    expect(await fireOne("a")).toEqual([undefined]);
    expect(await fireOne("b", "skip")).toEqual([undefined]);
    expect(await fireOne("c", "return")).toEqual(["held"]);
    expect(await one()).toMatchObject({ state: { skippedCount: 2, runCount: 1 }, results: { unfinished: 0 } });
    expect((await one()).state.pendingSlot).toBeUndefined();
    expect(await fireOne("d", "replace")).toEqual(["held"]);
    expect((await one()).results.unfinished).toBe(1);
    await bench.complete(await claimOne());
    await bench.running(aScheduledTask("another", { dedupeKey: "k" }));
    expect(await fireOne("e", "replace")).toEqual([undefined]);
  });

  it("runs tasks with one ordering key in the order they were fired in", async () => {
    await put(aSchedule());
    const tasks = ["b", "a"].map((id) => aScheduledTask("schedule", { id, orderingKey: "k" }));
    await fire({ id: "schedule", version: 1, tasks });
    const first = await claimOne();
    expect([first.id, (await bench.claim()).tasks]).toEqual(["b", []]);
    await bench.complete(first);
    expect((await claimOne()).id).toBe("a");
  });

  it("tells of the end of a schedule", async () => {
    await put(aSchedule({ id: "a", maxRuns: 1 }));
    await put(aSchedule({ id: "b" }));
    await fireAll([
      aFiring("a", aPlan([birth]), ["t"]),
      aFiring("b", { slots: [], missed: 0, skipped: 0, status: "expired" }, []),
    ]);
    expect(await events()).toEqual([
      ["schedule.fired", 1],
      ["schedule.completed", 0],
      ["schedule.expired", 0],
    ]);
    expect([(await one("a")).state.status, (await one("b")).state.status]).toEqual(["completed", "expired"]);
  });

  it("keeps the events that come with a change", async () => {
    await put(aSchedule({ updatedAt: birth + 3 }), { event: "schedule.created" });
    const error = { name: "Error", message: "no" };
    await put(aSchedule(), { ifVersion: 1, event: "schedule.error", now: birth + 5, error });
    await remove("schedule");
    const about = { scheduleId: "schedule", name: "name of schedule" };
    expect(await bench.storage.events({ limit: 10, scheduleId: "schedule" })).toMatchObject([
      { ...about, type: "schedule.created", at: birth + 3 },
      { ...about, type: "schedule.error", at: birth + 5, error },
      { ...about, type: "schedule.deleted", at: birth + 7 },
    ]);
    expect(await bench.storage.events({ limit: 10, scheduleId: "another" })).toEqual([]);
  });

  it("keeps events of trouble only at level errors", async () => {
    await bench.start({ events: "errors" });
    await put(aSchedule(), { event: "schedule.created" });
    await fire(aFiring("schedule", aPlan([birth], { missed: 1 }), ["a"]));
    expect(await events()).toEqual([["schedule.missed", 1]]);
  });

  it("lists the tasks of a schedule", async () => {
    await put(aSchedule());
    await fire(aFiring("schedule", aPlan([birth]), ["c", "a", "b"]));
    await bench.enqueue(aScheduledTask("another", { id: "d" }));
    await bench.complete(await claimOne());
    const ids = async (query: object) =>
      idsOf((await bench.storage.list({ limit: 10, scheduleId: "schedule", ...query })).tasks);
    expect(await ids({})).toEqual(["a", "b", "c"]);
    expect(await ids({ states: ["ready"] })).toEqual(["a", "b"]);
    expect(await ids({ cursor: "a" })).toEqual(["b", "c"]);
    await bench.delete(["b"]);
    expect(await ids({})).toEqual(["a", "c"]);
  });

  it("counts what schedules have done, all together", async () => {
    await put(aSchedule({ id: "a" }));
    await put(aSchedule({ id: "b", state: { status: "paused" } }));
    await fireAll([
      aFiring("a", aPlan([birth], { missed: 2 }), ["t", "u"]),
      aFiring("b", aPlan([birth], { skipped: 3, status: "paused" }), ["v"]),
    ]);
    const [t, u] = (await bench.claim({ limit: 2 })).tasks;
    if (t === undefined || u === undefined) throw new Error("Tasks are missing.");
    await bench.complete(t);
    await bench.fail(u);
    const totals = { byStatus: { active: 1, paused: 1 }, fired: 3, missed: 2, skipped: 3, succeeded: 1, failed: 1 };
    expect(await bench.storage.scheduleTotals(birth)).toEqual({ ...totals, firedLastDay: 3 });
    await bench.reopen();
    expect(await bench.storage.scheduleTotals(birth)).toEqual({ ...totals, firedLastDay: 3 });
    await remove("a");
    expect((await bench.storage.scheduleTotals(birth)).byStatus).toEqual({ paused: 1 });
  });

  it("counts the status of schedules only where firings do not count", async () => {
    await put(aSchedule());
    await fireAll([aFiring("schedule", aPlan([birth], { missed: 1 }), ["a"])], birth, false);
    await bench.complete(await claimOne());
    const nothing = { fired: 0, missed: 0, skipped: 0, succeeded: 0, failed: 0, firedLastDay: 0 };
    expect(await bench.storage.scheduleTotals(birth)).toEqual({ byStatus: { active: 1 }, ...nothing });
  });

  it("knows how often schedules have fired in the last day, to the hour", async () => {
    await put(aSchedule());
    for (let hour = 0; hour < 30; hour++) await fire(aFiring("schedule", aPlan([]), [`t${hour}`]), hour * anHour + 1);
    const firedAt = async (hour: number) => (await bench.storage.scheduleTotals(hour * anHour + 1)).firedLastDay;
    expect(await firedAt(29)).toBe(25);
    expect(await firedAt(40)).toBe(14);
    expect(await firedAt(60)).toBe(0);
    await fire(aFiring("schedule", aPlan([]), ["earlier"]), 28 * anHour);
    expect(await firedAt(29)).toBe(26);
    expect((await bench.storage.scheduleTotals(0)).fired).toBe(31);
  });

  it("keeps everything over an opening", async () => {
    await put(aSchedule({ id: "a", trigger: { type: "onEvent", event: "sold" }, state: { retryAt: birth + 5 } }));
    await put(aSchedule({ id: "b" }));
    await fire(aFiring("b", aPlan([birth]), ["t"]));
    const before = await find();
    await bench.reopen();
    expect(await find()).toEqual(before);
    expect(idsOf(await find({ event: "sold" }))).toEqual(["a"]);
    expect(idsOf(await find({ name: "name of b" }))).toEqual(["b"]);
    expect(await due(birth + 5)).toEqual(["a"]);
  });

  it("undoes everything about schedules with a list that is refused", async () => {
    await put(aSchedule({ id: "a" }));
    const before = await find();
    const refused = bench.storage.commit([
      { type: "fire", now: birth, firings: [aFiring("a", aPlan([birth]), ["t"])], isCounted: true },
      { type: "deleteSchedules", ids: ["a"], now: birth },
      { type: "putSchedule", schedule: aSchedule({ id: "b" }), ifVersion: 0 },
      { type: "putSchedule", schedule: aSchedule({ id: "c", name: "name of b" }), ifVersion: 0 },
    ]);
    await expect(refused).rejects.toBeInstanceOf(DuplicateNameError);
    expect(await find()).toEqual(before);
    expect(await bench.all()).toEqual([]);
    expect(await bench.storage.scheduleTotals(birth)).toMatchObject({ byStatus: { active: 1 }, fired: 0 });
    expect(await due(1e12)).toEqual(["a"]);
    expect(idsOf(await find({ name: "name of a" }))).toEqual(["a"]);
  });
}
