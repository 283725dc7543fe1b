import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  InvalidArgumentError,
  InvalidCronError,
  NoSlotError,
  NotSerializableError,
  OmniqError,
  PayloadTooLargeError,
  UnknownOptionError,
} from "../../src/base/errors.ts";
import { prepareTaskDefaults, resolveOpenOptions } from "../../src/config/resolve.ts";
import { resolveSchedule, resolveUpdate } from "../../src/config/resolve-schedule.ts";
import { scheduleOptions, updateOptions } from "../../src/config/schedule-options.ts";
import { at } from "../../src/schedule/at.ts";
import { cron } from "../../src/schedule/cron.ts";
import type { ScheduleDraft } from "../../src/schedule/draft.ts";
import { every } from "../../src/schedule/every.ts";
import { template } from "../../src/schedule/template.ts";
import { decode } from "../../src/task/codec.ts";
import { caught, frozen, optionsOf } from "../support/options.ts";

const settings = resolveOpenOptions({
  tasks: [],
  scheduler: { timezone: "Europe/Berlin", queue: "scheduled" },
  queues: { slow: { defaults: { timeout: "1h" } } },
  maxPayloadBytes: 1_000,
});

const defaultsOf = (definition: object = {}) => prepareTaskDefaults("report", definition, settings);

const draft = (options: object = {}, trigger: unknown = every("5m"), definition?: object): ScheduleDraft =>
  resolveSchedule({ trigger, options }, defaultsOf(definition), settings);

/** One whose trigger is that of its template. */
const fromTemplate = (options: object, definition?: object): ScheduleDraft =>
  resolveSchedule({ trigger: undefined, options }, defaultsOf(definition), settings);

describe("what is left out", () => {
  test("is as the task's definition says, and else as the scheduler says", () => {
    const { definition, ...rest } = draft({}, every("5m"), { maxRetries: 3, timeout: "30s", ttl: "1h", tags: ["a"] });

    expect(rest).toEqual({ id: expect.any(String) });
    expect(definition).toMatchObject({
      trigger: every("5m"),
      overlap: "allow",
      timezone: "Europe/Berlin",
      tags: ["a"],
      metadata: {},
      request: { name: "report", queue: "scheduled", maxRetries: 3, timeoutMs: 30_000, ttlMs: 3_600_000 },
    });
    expect(decode(definition.args)).toEqual([]);
    expect(definition.name).toMatch(/^report-[0-9a-f]{12}$/);
  });

  test("O02: the queue is the task's, before that of the scheduler", () => {
    expect(draft({}, every("5m"), { queue: "mail" }).definition.request.queue).toBe("mail");
    expect(draft({ queue: "slow" }).definition.request).toMatchObject({ queue: "slow", timeoutMs: 3_600_000 });
  });

  test("gives two schedules of one task different names", () => {
    expect(draft().definition.name).not.toBe(draft().definition.name);
  });

  test("makes a name that is one, however long that of the task is", () => {
    const defaults = prepareTaskDefaults("🐘".repeat(50), {}, settings);
    const { name } = resolveSchedule({ trigger: every("5m"), options: {} }, defaults, settings).definition;

    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(200);
  });
});

describe("what is given", () => {
  test("is what the schedule and its tasks are", () => {
    const given = frozen({
      name: "nightly",
      args: ["photos", { deep: true }],
      startAt: new Date(1_000),
      endAt: 2_000,
      maxRuns: 3,
      ttl: "1h",
      taskTtl: "1m",
      unique: "coalesce",
      missed: { handling: "skip", threshold: "1m" },
      timezone: "America/New_York",
      upsert: true,
      ifPast: "error",
      priority: "high",
      maxRetries: 2,
      retryDelay: "1s",
      tags: ["a", "a"],
      metadata: { team: "x" },
    });
    const { definition, id: _, ...rest } = draft(given);

    expect(rest).toEqual({ ttlMs: 3_600_000, mustBeAhead: true, isUpsert: true });
    expect(definition).toMatchObject({
      name: "nightly",
      startAt: 1_000,
      endAt: 2_000,
      maxRuns: 3,
      overlap: "coalesce",
      missed: { handling: "skip", threshold: 60_000 },
      timezone: "America/New_York",
      tags: ["a"],
      metadata: { team: "x" },
      request: { priority: 10, maxRetries: 2, ttlMs: 60_000, backoff: { type: "fixed", delayMs: 1_000 } },
    });
    expect(decode(definition.args)).toEqual(["photos", { deep: true }]);
  });

  test.each([
    [true, "skip"],
    ["skip", "skip"],
    ["coalesce", "coalesce"],
    [false, "allow"],
  ])("O06: unique: %o is %s", (unique, overlap) => {
    expect(draft({ unique }).definition.overlap).toBe(overlap);
  });

  test("O10: as data is the same as what the functions give, and text is a cron expression", () => {
    for (const trigger of [cron("0 3 * * *", { timezone: "UTC" }), every("5m"), at(5)]) {
      expect(draft({}, JSON.parse(JSON.stringify(trigger))).definition.trigger).toEqual(trigger);
    }
    expect(draft({}, "0 3 * * *").definition.trigger).toEqual(cron("0 3 * * *"));
  });

  test("leaves a delay of the definition alone: a slot is when the task may start", () => {
    expect(draft({}, every("5m"), { delay: "1h" }).definition.request).not.toHaveProperty("runAt");
  });
});

describe("C18: what makes no sense", () => {
  test.each<[string, object, unknown?]>([
    ["options.name", { name: "" }],
    ["options.args", { args: "photos" }],
    ["options.startAt", { startAt: "tomorrow" }],
    ["options.maxRuns", { maxRuns: 0 }],
    ["options.ttl", { ttl: 0 }],
    ["options.taskTtl", { taskTtl: -1 }],
    ["options.unique", { unique: "always" }],
    ["options.missed.max", { missed: { max: 0 } }],
    ["options.timezone", { timezone: "Mars/Base" }],
    ["options.template", { template: 5 }],
    ["options.ifPast", { ifPast: "skip" }],
    ["options.priority", { priority: "urgent" }],
    ["options.executor", { executor: "process" }],
    ["options.backoff", { retryDelay: 1, backoff: {} }],
    ["trigger", {}, null],
    ["trigger", {}, 5],
    ["trigger.type", {}, { type: "hourly" }],
    ["trigger.interval", {}, { type: "every", interval: 0 }],
  ])("is refused with its place: %s %o", (path, options, trigger = every("5m")) => {
    const error = caught(() => draft(options, trigger));

    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ path });
  });

  test("is refused with an error that says what it is about", () => {
    expect(() => draft({}, "61 * * * *")).toThrow(InvalidCronError);
    expect(() => draft({}, "0 0 30 2 *")).toThrow(NoSlotError);
    expect(() => draft({ args: [() => 1] })).toThrow(NotSerializableError);
    expect(() => draft({ args: ["x".repeat(2_000)] })).toThrow(PayloadTooLargeError);
    expect(() => draft({}, { ...every("5m"), cron: "* * * * *" })).toThrow(UnknownOptionError);
  });

  test.each(["id", "delay", "runAt", "schedule", "dedupeKey", "onConflict", "onFull", "durability", "maxRunz"])(
    "is no option of a schedule: %s",
    (option) => {
      expect(caught(() => draft({ [option]: 1 }))).toMatchObject({ code: "UNKNOWN_OPTION", path: `options.${option}` });
    },
  );

  test("whatever is given, gives an error of ours or a schedule", () => {
    fc.assert(
      fc.property(optionsOf(scheduleOptions), (options) => {
        const error = caught(() => draft(options as object));
        if (error !== undefined) expect(error).toBeInstanceOf(OmniqError);
      }),
    );
  });
});

describe("K04: a template", () => {
  const nightly = template({
    trigger: cron("0 3 * * *"),
    maxRetries: 3,
    queue: "slow",
    tags: ["nightly"],
    metadata: { a: 1, b: 1 },
  });

  test("stands below the call, and above the task and the scheduler", () => {
    const options = { template: nightly, maxRetries: 5, tags: ["mine"], metadata: { b: 2 } };
    const { definition } = fromTemplate(options, { maxRetries: 1, timeout: 5, queue: "mail" });

    expect(definition).toMatchObject({
      trigger: cron("0 3 * * *"),
      tags: ["nightly", "mine"],
      metadata: { a: 1, b: 2 },
      request: { maxRetries: 5, timeoutMs: 5, queue: "slow" },
    });
  });

  test("has its trigger replaced by that of the call", () => {
    expect(draft({ template: nightly }, every("5m")).definition.trigger).toEqual(every("5m"));
  });

  test("gives way to another kind of delay", () => {
    const { request } = draft({ template: { retryDelay: 5 }, backoff: { delay: 7 } }).definition;

    expect(request.backoff).toMatchObject({ type: "exponential", delayMs: 7 });
  });

  test("without a trigger needs one", () => {
    expect(caught(() => fromTemplate({ template: { maxRetries: 1 } }))).toMatchObject({
      code: "INVALID_ARGUMENT",
      path: "trigger",
    });
  });
});

describe("an update", () => {
  const update = (patch: object) => resolveUpdate(patch, defaultsOf({ maxRetries: 9 }), settings);

  test("changes what is given, and nothing else", () => {
    expect(update({})).toEqual({ definition: {}, request: {} });
    expect(update({ priority: "high", tags: ["x"], unique: true, ttl: "1m" })).toEqual({
      definition: { tags: ["x"], overlap: "skip" },
      request: { priority: 10 },
      ttlMs: 60_000,
    });
  });

  test("takes a cron expression, and arguments", () => {
    const { definition } = update({ trigger: "0 3 * * *", args: ["x"] });

    expect(definition.trigger).toEqual(cron("0 3 * * *"));
    expect(decode(definition.args ?? new Uint8Array())).toEqual(["x"]);
  });

  test("takes away what is null", () => {
    const all = { startAt: null, endAt: null, maxRuns: null, missed: null, ttl: null, taskTtl: null, timeout: null };

    expect(update({ ...all, stallTimeout: null })).toEqual({
      definition: { startAt: null, endAt: null, maxRuns: null, missed: null },
      request: { timeoutMs: null, stallTimeoutMs: null, ttlMs: null },
      ttlMs: null,
    });
  });

  test.each([{ name: null }, { trigger: null }, { priority: null }, { upsert: true }, { template: {} }, { queue: 5 }])(
    "refuses %o",
    (patch) => {
      expect(caught(() => update(patch))).toBeInstanceOf(OmniqError);
    },
  );

  test("whatever is given, gives an error of ours or a change", () => {
    fc.assert(
      fc.property(optionsOf(updateOptions), (patch) => {
        const error = caught(() => update(patch as object));
        if (error !== undefined) expect(error).toBeInstanceOf(OmniqError);
      }),
    );
  });
});
