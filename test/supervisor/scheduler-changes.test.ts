import { describe, expect, test } from "vitest";
import {
  DuplicateNameError,
  InvalidArgumentError,
  NoSlotError,
  ScheduleEndedError,
  StoreFullError,
  UnknownScheduleError,
  VersionConflictError,
} from "../../src/base/errors.ts";
import { at } from "../../src/schedule/at.ts";
import { cron } from "../../src/schedule/cron.ts";
import { declaredKey, type ScheduleDraft } from "../../src/schedule/draft.ts";
import { every } from "../../src/schedule/every.ts";
import { onEvent } from "../../src/schedule/on-event.ts";
import { decode, splitEvent } from "../../src/task/codec.ts";
import type { StoredTask } from "../../src/task/task.ts";
import { aDraft, hour, june, minute, second, someArgs } from "../support/schedules.ts";
import { TestScheduler } from "./test-scheduler.ts";

const none = { definition: {}, request: {} } as const;

describe("C01, trap 18: a name", () => {
  test("belongs to one schedule", async () => {
    const scheduler = await TestScheduler.start();
    const first = await scheduler.add({ name: "nightly" });
    await expect(scheduler.add({ name: "nightly", trigger: every("2m") })).rejects.toThrow(DuplicateNameError);

    expect((await scheduler.get(first)).definition.trigger).toEqual(every("1m"));
  });

  test("twice in one call is refused, and nothing of the call is stored", async () => {
    const scheduler = await TestScheduler.start();
    const drafts = [aDraft(), aDraft({ name: "twice" }), aDraft({ name: "twice" })];

    await expect(scheduler.put(...drafts)).rejects.toThrow(DuplicateNameError);
    expect((await scheduler.supervisor.storage.inner.schedules({ limit: 10 })).schedules).toEqual([]);
  });

  test("that is taken by a change is refused, and nothing is changed", async () => {
    const scheduler = await TestScheduler.start();
    await scheduler.add({ name: "one" });
    const other = await scheduler.add({ name: "other" });

    await expect(scheduler.update(other, { changes: { ...none, definition: { name: "one" } } })).rejects.toThrow(
      DuplicateNameError,
    );
    expect(await scheduler.get(other)).toMatchObject({ version: 1, definition: { name: "other" } });
  });
});

describe("C18: a schedule that makes no sense is refused when it is made", () => {
  test.each<
    [string, Partial<ScheduleDraft["definition"]> & { mustBeAhead?: boolean }, new (...args: never[]) => Error]
  >([
    ["that ends before it starts", { startAt: june + hour, endAt: june }, InvalidArgumentError],
    ["without a slot in its window", { trigger: cron("0 3 * * *"), endAt: june + hour }, NoSlotError],
    ["whose moment is past, where that was not wanted", { trigger: at(june - 1), mustBeAhead: true }, NoSlotError],
    ["that makes up for events", { trigger: onEvent("stock.low"), overlap: "coalesce" }, InvalidArgumentError],
  ])("one %s", async (_, { mustBeAhead, ...definition }, error) => {
    const scheduler = await TestScheduler.start();
    const draft = aDraft({ ...definition, ...(mustBeAhead === undefined ? {} : { mustBeAhead }) });

    await expect(scheduler.put(aDraft(), draft)).rejects.toThrow(error);
    expect((await scheduler.supervisor.storage.inner.schedules({ limit: 10 })).schedules).toEqual([]);
  });
});

describe("many schedules", () => {
  test("up to five thousand are stored with one transaction, all or none", async () => {
    const scheduler = await TestScheduler.start();
    await scheduler.add({ name: "taken" });
    const many = Array.from({ length: 4_999 }, () => aDraft({ trigger: cron("0 3 * * *") }));

    await expect(scheduler.put(...many, aDraft({ name: "taken" }))).rejects.toThrow(DuplicateNameError);
    scheduler.supervisor.storage.commits.splice(0);
    expect(await scheduler.put(...many)).toHaveLength(4_999);

    expect(scheduler.supervisor.storage.commitsOf("putSchedule")).toHaveLength(1);
  });

  test("more are stored in parts, when all of them have been checked", async () => {
    const scheduler = await TestScheduler.start();
    await scheduler.add({ name: "taken" });
    const many = Array.from({ length: 5_500 }, () => aDraft({ trigger: cron("0 3 * * *") }));
    scheduler.supervisor.storage.commits.splice(0);

    await expect(scheduler.put(...many, aDraft({ name: "taken" }))).rejects.toThrow(DuplicateNameError);
    expect(scheduler.supervisor.storage.commits).toEqual([]);
    await scheduler.put(...many);

    expect(scheduler.supervisor.storage.commitsOf("putSchedule").map(({ length }) => length)).toEqual([
      1_000, 1_000, 1_000, 1_000, 1_000, 500,
    ]);
  });

  test("a disk that is full is told, and the call may be repeated", async () => {
    const scheduler = await TestScheduler.start();
    const { storage } = scheduler.supervisor;
    storage.refuse = () => new StoreFullError("/data", 0, 1_000);
    const draft = aDraft();
    await expect(scheduler.put(draft)).rejects.toThrow(StoreFullError);
    storage.refuse = undefined;

    expect(await scheduler.put(draft)).toEqual([{ id: draft.id, name: draft.definition.name }]);
  });
});

describe("upsert", () => {
  test("leaves a schedule alone from which nothing differs", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add({ name: "nightly", ttlMs: hour });
    await scheduler.advance(90 * second);
    const before = await scheduler.get(id);

    expect(await scheduler.put(aDraft({ name: "nightly", isUpsert: true, ttlMs: hour }))).toEqual([
      { id, name: "nightly" },
    ]);
    expect(await scheduler.get(id)).toEqual(before);
  });

  test("keeps the next slot where the trigger is the same, and counts from now where it is not", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add({ name: "nightly", trigger: every("10m") });
    await scheduler.advance(4 * minute);
    await scheduler.put(aDraft({ name: "nightly", trigger: every("10m"), tags: ["new"], isUpsert: true }));
    expect(await scheduler.get(id)).toMatchObject({ version: 2, state: { nextSlot: june + 10 * minute } });

    await scheduler.put(aDraft({ name: "nightly", trigger: every("20m"), isUpsert: true }));

    expect(await scheduler.get(id)).toMatchObject({ version: 3, state: { nextSlot: june + 24 * minute } });
    await scheduler.put(aDraft({ name: "nightly", trigger: every("20m"), isUpsert: true }));
    expect(await scheduler.get(id)).toMatchObject({ version: 3 });
  });

  test("makes a schedule where there is none", async () => {
    const scheduler = await TestScheduler.start();
    const draft = aDraft({ isUpsert: true });

    expect(await scheduler.put(draft)).toEqual([{ id: draft.id, name: draft.definition.name }]);
  });

  test("does not bring back what was cancelled", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add({ name: "nightly" });
    await scheduler.cancel(id);
    await scheduler.put(aDraft({ name: "nightly", trigger: every("20m"), isUpsert: true }));

    expect(await scheduler.get(id)).toMatchObject({ version: 1, state: { status: "cancelled" } });
  });
});

describe("M03, trap 16: an update", () => {
  test("changes what is named, and nothing else", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add({ tags: ["a"], metadata: { team: "x" }, maxRuns: 5, request: { priority: 3 } });
    const before = await scheduler.get(id);
    await scheduler.update(id, {
      changes: { definition: { args: someArgs("Bob"), maxRuns: null }, request: { priority: 10 } },
    });

    const { maxRuns: _, ...definition } = before.definition;
    expect((await scheduler.get(id)).definition).toEqual({
      ...definition,
      args: someArgs("Bob"),
      request: { ...definition.request, priority: 10 },
    });
  });

  test("applies to the next firing", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add();
    await scheduler.update(id, { changes: { definition: { args: someArgs("Bob") }, request: { queue: "other" } } });
    await scheduler.advance(minute);

    const [task] = await scheduler.tasks(id);
    expect(task?.request.queue).toBe("other");
    expect(decode(task?.args ?? new Uint8Array())).toEqual(["Bob"]);
  });

  test("of the trigger has it fire from now on, and keeps the counters", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add();
    await scheduler.advance(3 * minute + second);
    await scheduler.update(id, { changes: { ...none, definition: { trigger: every("10m") } } });
    await scheduler.advance(20 * minute);

    const expected = [minute, 2 * minute, 3 * minute, 13 * minute + second, 23 * minute + second];
    expect(await scheduler.slots(id)).toEqual(expected.map((ms) => june + ms));
    expect((await scheduler.get(id)).state.runCount).toBe(5);
  });

  test("brings a completed schedule back only when that is asked for", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add({ endAt: june + minute });
    await scheduler.advance(minute + second);
    const longer = { ...none, definition: { endAt: june + 4 * minute } };
    await scheduler.update(id, { changes: longer });
    expect((await scheduler.get(id)).state.status).toBe("completed");

    await scheduler.update(id, { changes: longer, reactivate: true });
    await scheduler.advance(hour);

    expect(await scheduler.slots(id)).toEqual([1, 2, 3, 4].map((count) => june + count * minute));
  });

  test("that brings nothing back says so", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add({ trigger: at(june) });
    await scheduler.advance(second);

    const update = scheduler.update(id, { changes: { ...none, definition: { tags: ["x"] } }, reactivate: true });
    await expect(update).rejects.toThrow(NoSlotError);
    expect((await scheduler.get(id)).version).toBe(1);
  });

  test("of an unknown schedule, or one that is over for good, is refused", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add();
    await scheduler.cancel(id);

    await expect(scheduler.update(id, {})).rejects.toThrow(ScheduleEndedError);
    await expect(scheduler.update("nobody", {})).rejects.toThrow(UnknownScheduleError);
  });
});

test("K05: an update of a version that is not the latest changes nothing", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add();
  const update = (ifVersion: number): Promise<unknown> =>
    scheduler.update(id, { changes: { ...none, definition: { tags: ["x"] } }, ifVersion });
  await update(1);
  const before = await scheduler.get(id);
  expect(before.version).toBe(2);

  await expect(update(1)).rejects.toThrow(VersionConflictError);
  await expect(update(1)).rejects.toMatchObject({ version: 2 });
  expect(await scheduler.get(id)).toEqual(before);
});

test("K06: the history has every update, newest first, over a restart", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add();
  for (const changelog of ["first", "second", "third"]) {
    await scheduler.update(id, { changes: { ...none, definition: { tags: [changelog] } }, changelog });
    await scheduler.advance(second);
  }
  await scheduler.restart();

  const history = await scheduler.supervisor.storage.inner.scheduleHistory(id, 10);
  expect(
    history.map(({ version, at: moment, changelog, before, after }) => [
      version,
      moment - june,
      changelog,
      before.tags,
      after.tags,
    ]),
  ).toEqual([
    [4, 2 * second, "third", ["second"], ["third"]],
    [3, second, "second", ["first"], ["second"]],
    [2, 0, "first", [], ["first"]],
  ]);
});

test("M04, M05: a second pause changes nothing, and leaves one event", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add();

  expect([await scheduler.pause(id), await scheduler.pause(id)]).toEqual([true, false]);
  expect([await scheduler.resume(id), await scheduler.resume(id)]).toEqual([true, false]);
  expect(await scheduler.eventTypes(id)).toEqual(["schedule.created", "schedule.paused", "schedule.resumed"]);
  expect([await scheduler.pause("nobody"), await scheduler.resume("nobody"), await scheduler.cancel("nobody")]).toEqual(
    [false, false, false],
  );
});

test("C13: an hour of pause is an hour without runs, and no burst follows", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add();
  await scheduler.pause(id);
  await scheduler.advance(hour + second);
  await scheduler.restart(minute);
  await scheduler.resume(id);
  await scheduler.advance(2 * minute);

  expect(await scheduler.slots(id)).toEqual([62, 63].map((count) => june + count * minute));
  expect((await scheduler.get(id)).state.missedCount).toBe(0);
});

describe("M06: a schedule that is deleted", () => {
  test("is gone, and its tasks stay and run", async () => {
    const scheduler = await TestScheduler.start({ queues: { default: { isPaused: true } } });
    const id = await scheduler.add();
    await scheduler.advance(minute);

    expect([await scheduler.delete(id), await scheduler.delete(id)]).toEqual([true, false]);
    await scheduler.supervisor.configure("default", { isPaused: false });
    await scheduler.advance(hour);

    expect(await scheduler.find(id)).toBeUndefined();
    expect((await scheduler.tasks(id)).map(({ life }) => life.state)).toEqual(["completed"]);
  });

  test("takes those with it that wait, if asked to", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add();
    const other = await scheduler.add();
    await scheduler.advance(minute);
    await scheduler.supervisor.configure("default", { isPaused: true });
    await scheduler.advance(2 * minute);
    await scheduler.delete(id, true);
    await scheduler.advance(0);

    const states = async (of: string): Promise<string[]> => (await scheduler.tasks(of)).map(({ life }) => life.state);
    expect(await states(id)).toEqual(["completed", "cancelled", "cancelled"]);
    expect(await states(other)).toEqual(["completed", "ready", "ready"]);
  });
});

test("M07: what is cancelled stays listed, and cannot be resumed", async () => {
  const scheduler = await TestScheduler.start();
  const id = await scheduler.add();

  expect([await scheduler.cancel(id), await scheduler.cancel(id)]).toEqual([true, false]);
  await expect(scheduler.resume(id)).rejects.toThrow(ScheduleEndedError);
  await scheduler.advance(hour);
  expect(await scheduler.slots(id)).toEqual([]);
  expect((await scheduler.get(id)).state.status).toBe("cancelled");
});

describe("K01, K02: firing by hand", () => {
  test("leaves the plan and the count as they are, and works while it is paused", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add({ maxRuns: 1 });
    await scheduler.pause(id);
    const before = (await scheduler.get(id)).state;
    const taskId = await scheduler.trigger(id);
    await scheduler.advance(second);

    expect((await scheduler.supervisor.life(taskId ?? "")).state).toBe("completed");
    expect((await scheduler.get(id)).state).toEqual(before);
  });

  test("takes other arguments for that run alone", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add();
    await scheduler.trigger(id, { args: someArgs("Bob") });
    await scheduler.advance(minute);

    const args = (await scheduler.tasks(id)).map((task) => decode(task.args));
    expect(args).toEqual([["Bob"], ["Ada"]]);
    expect((await scheduler.get(id)).definition.args).toEqual(someArgs("Ada"));
  });

  test("does not overlap where that is not wanted, unless it is forced", async () => {
    const scheduler = await TestScheduler.start({ queues: { default: { isPaused: true } } });
    const id = await scheduler.add({ overlap: "skip" });

    expect(await scheduler.trigger(id)).toBeDefined();
    expect(await scheduler.trigger(id)).toBeUndefined();
    expect(await scheduler.trigger(id, { force: true })).toBeDefined();
    expect(await scheduler.tasks(id)).toHaveLength(2);
  });

  test("of what is over for good, or unknown, is refused", async () => {
    const scheduler = await TestScheduler.start();
    const id = await scheduler.add();
    await scheduler.cancel(id);

    await expect(scheduler.trigger(id)).rejects.toThrow(ScheduleEndedError);
    await expect(scheduler.trigger("nobody")).rejects.toThrow(UnknownScheduleError);
  });
});

describe("K03: an event", () => {
  const low = onEvent("stock.low");
  const payloadOf = (task: StoredTask | undefined): unknown =>
    decode(splitEvent(task?.args ?? new Uint8Array()).event ?? new Uint8Array());

  test("C09, trap 4: fires all who wait for it, each time, and nobody else", async () => {
    const scheduler = await TestScheduler.start();
    const [first, second_, other] = [
      await scheduler.add({ trigger: low }),
      await scheduler.add({ trigger: low }),
      await scheduler.add({ trigger: onEvent("stock.high") }),
    ];
    expect(await scheduler.emit("stock.low", { item: 7 })).toHaveLength(2);
    await scheduler.advance(1);
    expect(await scheduler.emit("stock.low", { item: 8 })).toHaveLength(2);
    await scheduler.advance(hour);

    expect(await scheduler.tasks(first)).toHaveLength(2);
    expect(await scheduler.tasks(second_)).toHaveLength(2);
    expect(await scheduler.tasks(other)).toEqual([]);
    const [task] = await scheduler.tasks(first);
    expect(task?.request.schedule).toMatchObject({ id: first, event: "stock.low" });
    expect(decode(task?.args ?? new Uint8Array())).toEqual(["Ada"]);
    expect(payloadOf(task)).toEqual([{ item: 7 }]);
  });

  test("fires the others when one of them cannot be fired", async () => {
    const scheduler = await TestScheduler.start();
    const [broken] = [
      await scheduler.add({ trigger: low }),
      await scheduler.add({ trigger: low }),
      await scheduler.add({ trigger: low }),
    ];
    scheduler.supervisor.storage.refuse = (changes) =>
      changes.some((change) => change.type === "fire" && change.firings.some(({ id }) => id === broken))
        ? new RangeError("broken")
        : undefined;

    expect(await scheduler.emit("stock.low")).toHaveLength(2);
    expect(scheduler.supervisor.scheduleErrors.map(({ id }) => id)).toEqual([broken]);
    expect(await scheduler.eventTypes(broken)).toContain("schedule.error");
  });

  test("respects pause, window, maxRuns and unique", async () => {
    const scheduler = await TestScheduler.start({ queues: { default: { isPaused: true } } });
    const paused = await scheduler.add({ trigger: low });
    await scheduler.pause(paused);
    await scheduler.add({ trigger: low, startAt: june + hour });
    await scheduler.add({ trigger: low, endAt: june + minute });
    const once = await scheduler.add({ trigger: low, maxRuns: 1 });
    const unique = await scheduler.add({ trigger: low, overlap: "skip" });
    await scheduler.advance(2 * minute);

    expect(await scheduler.emit("stock.low")).toHaveLength(2);
    expect(await scheduler.emit("stock.low")).toEqual([]);
    expect((await scheduler.get(once)).state.status).toBe("completed");
    expect((await scheduler.get(unique)).state).toMatchObject({ runCount: 1, skippedCount: 1 });
  });

  test("that nobody waits for gives nothing", async () => {
    const scheduler = await TestScheduler.start();

    expect(await scheduler.emit("nobody.cares")).toEqual([]);
  });

  test("fires nothing while all schedules are paused", async () => {
    const scheduler = await TestScheduler.start();
    await scheduler.add({ trigger: low });
    await scheduler.order("pause");

    expect(await scheduler.emit("stock.low")).toEqual([]);
  });
});

describe("P02: a schedule that a module declares", () => {
  const declared = (given: Parameters<typeof aDraft>[0] = {}): ScheduleDraft => {
    const { trigger = every("10m"), ...rest } = given;
    return aDraft({
      name: "greet",
      isNameFree: true,
      overlap: "skip",
      trigger,
      declared: declaredKey("greet", trigger),
      ...rest,
    });
  };
  const all = async (scheduler: TestScheduler) =>
    (await scheduler.supervisor.storage.inner.schedules({ limit: 10 })).schedules;

  test("is one schedule over restarts, and keeps its next slot", async () => {
    const scheduler = await TestScheduler.start();
    await scheduler.declare(declared());
    await scheduler.advance(4 * minute);
    await scheduler.restart(minute);
    await scheduler.declare(declared());

    const schedules = await all(scheduler);
    expect(schedules).toHaveLength(1);
    expect(schedules[0]).toMatchObject({
      version: 1,
      state: { nextSlot: june + 10 * minute },
      definition: { name: "greet" },
    });
  });

  test("takes other options over, and keeps its next slot", async () => {
    const scheduler = await TestScheduler.start();
    await scheduler.declare(declared());
    await scheduler.advance(4 * minute);
    await scheduler.declare(declared({ args: someArgs("Bob") }));

    expect(await all(scheduler)).toMatchObject([{ version: 2, state: { nextSlot: june + 10 * minute } }]);
  });

  test("is another with another trigger, and has a name of its own", async () => {
    const scheduler = await TestScheduler.start();
    await scheduler.declare(declared(), declared({ trigger: cron("0 3 * * *") }));

    const names = (await all(scheduler)).map(({ definition }) => definition.name);
    expect(new Set(names).size).toBe(2);
    expect(names).toContain("greet");
  });

  test("stays as a call has left it", async () => {
    const scheduler = await TestScheduler.start();
    await scheduler.declare(declared());
    const [schedule] = await all(scheduler);
    await scheduler.pause(schedule?.id ?? "");
    await scheduler.declare(declared());
    expect(await all(scheduler)).toMatchObject([{ state: { status: "paused" } }]);

    await scheduler.cancel(schedule?.id ?? "");
    await scheduler.declare(declared({ args: someArgs("Bob") }));

    expect(await all(scheduler)).toMatchObject([{ state: { status: "cancelled" } }]);
  });

  test("with another trigger in its place is the same, in a new version, and counts from now", async () => {
    const scheduler = await TestScheduler.start();
    await scheduler.declare(declared());
    const [before] = await all(scheduler);
    await scheduler.advance(25 * minute);
    await scheduler.declare(declared({ trigger: every("20m") }));

    expect(await all(scheduler)).toMatchObject([
      {
        id: before?.id,
        version: 2,
        definition: { name: "greet" },
        state: { runCount: 2, nextSlot: june + 45 * minute },
      },
    ]);
    await scheduler.declare(declared({ trigger: every("20m") }));
    expect(await all(scheduler)).toMatchObject([{ version: 2 }]);
  });

  test("is deleted when its module declares it no more, and nothing else is", async () => {
    const scheduler = await TestScheduler.start();
    const made = await scheduler.add({ name: "by a call" });
    const elsewhere = declaredKey("other", every("10m"));
    const other = await scheduler.add({ name: "of another module", request: { name: "other" }, declared: elsewhere });
    await scheduler.declare(declared(), declared({ trigger: cron("0 3 * * *") }));
    expect(await all(scheduler)).toHaveLength(4);
    await scheduler.declare(declared());

    const left = await all(scheduler);
    expect(left.map(({ definition }) => definition.name).toSorted()).toEqual([
      "by a call",
      "greet",
      "of another module",
    ]);
    await scheduler.declare();
    expect((await all(scheduler)).map(({ id }) => id).toSorted()).toEqual([made, other].toSorted());
  });

  test("may not have the name of another, where it asks for that", async () => {
    const scheduler = await TestScheduler.start();
    await scheduler.add({ name: "nightly" });

    await expect(scheduler.declare(declared({ name: "nightly", isNameFree: false }))).rejects.toThrow(
      DuplicateNameError,
    );
  });
});

describe("V02, V03: what schedules have done", () => {
  test("is counted by what became of their tasks; a retry that succeeds is a success", async () => {
    const scheduler = await TestScheduler.start({
      behave: ({ request, life }) => ({
        durationMs: 100,
        ...(request.schedule?.slot === june + 5 * minute ||
        (request.schedule?.slot === june + 6 * minute && life.attempt === 1)
          ? { end: "error" as const }
          : {}),
      }),
    });
    const id = await scheduler.add({ request: { maxRetries: 0 } });
    const retried = await scheduler.add({
      trigger: at(june + 6 * minute),
      request: { maxRetries: 1, backoff: { type: "fixed", delayMs: 100, factor: 1, maxMs: 100, jitter: 0 } },
    });
    await scheduler.advance(10 * minute + second);

    expect((await scheduler.get(id)).results).toMatchObject({
      successCount: 8,
      errorCount: 2,
      totalDurationMs: 800,
      lastResult: "success",
    });
    expect((await scheduler.get(id)).state.runCount).toBe(10);
    expect((await scheduler.get(retried)).results).toMatchObject({ successCount: 1, errorCount: 0 });
    const totals = await scheduler.supervisor.storage.inner.scheduleTotals(scheduler.now);
    expect(totals).toMatchObject({ fired: 11, succeeded: 9, failed: 2 });
  });

  test("trap 17: the last 24 hours slide", async () => {
    const scheduler = await TestScheduler.start();
    await scheduler.add({ trigger: every("1h") });
    await scheduler.advance(30 * hour);
    const lastDay = async (): Promise<number> =>
      (await scheduler.supervisor.storage.inner.scheduleTotals(scheduler.now)).firedLastDay;

    expect(await lastDay()).toBeGreaterThanOrEqual(24);
    expect(await lastDay()).toBeLessThanOrEqual(25);
    await scheduler.order("shutdown");
    await scheduler.advance(12 * hour);
    expect(await lastDay()).toBeLessThanOrEqual(13);
    await scheduler.advance(13 * hour);
    expect(await lastDay()).toBe(0);
  });

  test("L04: is not counted where that is not wanted", async () => {
    const scheduler = await TestScheduler.start({ scheduler: { metrics: false } });
    await scheduler.add();
    await scheduler.advance(hour);

    const totals = await scheduler.supervisor.storage.inner.scheduleTotals(scheduler.now);
    expect(totals).toMatchObject({ fired: 0, missed: 0, succeeded: 0, byStatus: { active: 1 } });
  });
});
