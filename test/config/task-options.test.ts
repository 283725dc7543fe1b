import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidArgumentError, OmniqError, UnknownOptionError } from "../../src/base/errors.ts";
import { limitsOfTask, prepareTaskDefaults, resolveOpenOptions, resolveTaskOptions } from "../../src/config/resolve.ts";
import { definitionOptions, taskOptions } from "../../src/config/task-options.ts";
import { at } from "../../src/schedule/at.ts";
import { defaultBackoff } from "../../src/task/retry.ts";
import { caught, frozen, optionsOf } from "../support/options.ts";

const now = 1_000_000;

/** What a call gives, over what the definition and the queues say. */
function resolved(call?: unknown, definition?: unknown, queues: object = {}) {
  const options = resolveOpenOptions({ tasks: [], queues });
  return resolveTaskOptions(call, prepareTaskDefaults("resize", definition, options), now);
}

const request = (...layers: Parameters<typeof resolved>) => resolved(...layers).request;

describe("a call without options", () => {
  const plain = {
    request: {
      name: "resize",
      queue: "default",
      priority: 0,
      createdAt: now,
      maxRetries: 0,
      backoff: defaultBackoff,
      tags: [],
      metadata: {},
    },
  };

  test.each([[undefined], [{}], [{ priority: undefined, ttl: undefined }]])("has every default, as %o", (call) => {
    expect(resolved(call)).toStrictEqual(plain);
  });
});

test("everything that may be said comes out", () => {
  const call = {
    id: "mine",
    queue: "mail",
    priority: "high",
    delay: "1s",
    ttl: "1m",
    timeout: 500,
    stallTimeout: "1s",
    maxRetries: 3,
    backoff: { delay: 5 },
    maxInterruptions: 2,
    resultTtl: 0,
    tags: ["a", "b", "a"],
    metadata: { list: [1, null, { deep: true }], none: undefined },
    executor: "thread",
    dedupeKey: "key",
    onConflict: "return",
    onFull: "wait",
    durability: "relaxed",
  };

  expect(resolved(call)).toStrictEqual({
    id: "mine",
    onConflict: "return",
    onFull: "wait",
    durability: "relaxed",
    request: {
      name: "resize",
      queue: "mail",
      priority: 10,
      createdAt: now,
      runAt: now + 1_000,
      expiresAt: now + 60_000,
      timeoutMs: 500,
      stallTimeoutMs: 1_000,
      maxRetries: 3,
      backoff: { ...defaultBackoff, delayMs: 5 },
      maxInterruptions: 2,
      resultTtlMs: 0,
      tags: ["a", "b"],
      metadata: { list: [1, null, { deep: true }] },
      dedupeKey: "key",
      executor: "thread",
    },
  });
});

describe("precedence", () => {
  const queues = {
    default: { defaults: { priority: 1, ttl: 10, retryDelay: 100, tags: ["queue"], onFull: "wait" } },
    mail: { defaults: { priority: 2, timeout: 20 } },
  };

  test("a queue's default applies where nothing else is said", () => {
    expect(resolved({}, {}, queues)).toMatchObject({ onFull: "wait", request: { priority: 1, tags: ["queue"] } });
  });

  test("a definition stands over its queue", () => {
    expect(request({}, { priority: -5 }, queues)).toMatchObject({ priority: -5, expiresAt: now + 10 });
  });

  test("a call stands over the definition, even with zero", () => {
    expect(request({ priority: 0 }, { priority: -5 }, queues).priority).toBe(0);
  });

  test("the defaults are those of the queue the definition names", () => {
    expect(request({}, { queue: "mail" }, queues)).toMatchObject({ queue: "mail", priority: 2, timeoutMs: 20 });
  });

  test("the defaults are those of the queue the call names", () => {
    const { queue, priority, expiresAt } = request({ queue: "mail" }, { queue: "default" }, queues);

    expect({ queue, priority, expiresAt }).toEqual({ queue: "mail", priority: 2, expiresAt: undefined });
  });

  test("a definition's backoff replaces the retryDelay of a queue", () => {
    expect(request({}, { backoff: { delay: 7 } }, queues).backoff).toEqual({ ...defaultBackoff, delayMs: 7 });
  });

  test("a call's retryDelay replaces the backoff of a definition", () => {
    expect(request({ retryDelay: 7 }, { backoff: { delay: 5 } }).backoff).toMatchObject({ type: "fixed", delayMs: 7 });
  });

  test("a call's backoff starts from the built-in default, not from the definition's", () => {
    expect(request({ backoff: { max: "2m" } }, { backoff: { delay: 5 } }).backoff).toEqual({
      ...defaultBackoff,
      maxMs: 120_000,
    });
  });

  test("a call's runAt replaces the delay of a definition", () => {
    expect(request({ runAt: now + 5 }, { delay: "1h" }).runAt).toBe(now + 5);
  });

  test("a call's runAt in the past means now, whatever the definition's delay", () => {
    expect(request({ runAt: 5 }, { delay: "1h" })).not.toHaveProperty("runAt");
  });
});

describe("when it starts", () => {
  test.each([
    ["a delay", { delay: 5 }],
    ["a Date", { runAt: new Date(now + 5) }],
    ["milliseconds", { runAt: now + 5 }],
    ["at(Date)", { schedule: at(new Date(now + 5)) }],
    ["at(milliseconds)", { schedule: at(now + 5) }],
  ])("is said by %s", (_, call) => {
    expect(request(call).runAt).toBe(now + 5);
  });

  test.each([{ delay: 0 }, { runAt: 0 }, { runAt: now }, { schedule: at(0) }])("is at once with %o", (call) => {
    expect(request(call)).not.toHaveProperty("runAt");
  });

  test("does not move the end of its time to live", () => {
    expect(request({ delay: 50, ttl: 60 }).expiresAt).toBe(now + 60);
  });
});

test.each([
  ["critical", 100],
  ["high", 10],
  ["normal", 0],
  ["low", -10],
  [1_000, 1_000],
  [-1_000, -1_000],
  [-0, 0],
])("priority %s is %d", (priority, value) => {
  expect(request({ priority }).priority).toBe(value);
});

test.each<[object, object]>([
  [{ retryDelay: "5m" }, { type: "fixed", delayMs: 300_000, factor: 1, maxMs: 300_000, jitter: 0 }],
  [{ backoff: {} }, defaultBackoff],
  [{ backoff: { type: "fixed" } }, { type: "fixed", delayMs: 1_000, factor: 1, maxMs: 60_000, jitter: 0 }],
  [
    { backoff: { type: "fixed", jitter: 0.5 } },
    { type: "fixed", delayMs: 1_000, factor: 1, maxMs: 60_000, jitter: 0.5 },
  ],
  [{ backoff: { factor: 3, jitter: 0 } }, { ...defaultBackoff, factor: 3, jitter: 0 }],
  [{ backoff: { delay: "5m" } }, { ...defaultBackoff, delayMs: 300_000, maxMs: 300_000 }],
])("%o gives the backoff %o", (call, backoff) => {
  expect(request(call).backoff).toEqual(backoff);
});

const cycle: Record<string, unknown> = {};
cycle["self"] = cycle;

const refused: [string, object][] = [
  ["id", { id: "" }],
  ["id", { id: "x".repeat(201) }],
  ["id", { id: 5 }],
  ["queue", { queue: "a\u0000b" }],
  ["queue", { queue: null }],
  ["priority", { priority: 1_001 }],
  ["priority", { priority: -1_001 }],
  ["priority", { priority: 0.5 }],
  ["priority", { priority: Number.NaN }],
  ["priority", { priority: "urgent" }],
  ["priority", { priority: "toString" }],
  ["priority", { priority: null }],
  ["delay", { delay: -1 }],
  ["delay", { delay: "soon" }],
  ["delay", { delay: { seconds: 5 } }],
  ["delay", { delay: Object.create(null) as object }],
  ["delay", { delay: Symbol("5s") }],
  ["runAt", { runAt: "tomorrow" }],
  ["runAt", { runAt: new Date(Number.NaN) }],
  ["runAt", { runAt: Number.POSITIVE_INFINITY }],
  ["runAt", { runAt: 9e15 }],
  ["runAt", { delay: 5, runAt: 5 }],
  ["schedule", { delay: 5, schedule: at(5) }],
  ["schedule", { runAt: 5, schedule: at(5) }],
  ["schedule", { schedule: { type: "cron" } }],
  ["schedule", { schedule: 5 }],
  ["schedule.at", { schedule: { type: "at" } }],
  ["ttl", { ttl: 0 }],
  ["ttl", { ttl: 0.4 }],
  ["timeout", { timeout: 0 }],
  ["timeout", { timeout: "101y" }],
  ["stallTimeout", { stallTimeout: 199 }],
  ["maxRetries", { maxRetries: -1 }],
  ["maxRetries", { maxRetries: 1_001 }],
  ["maxRetries", { maxRetries: Number.POSITIVE_INFINITY }],
  ["maxRetries", { maxRetries: "3" }],
  ["retryDelay", { retryDelay: -5 }],
  ["backoff", { retryDelay: 5, backoff: {} }],
  ["backoff", { backoff: "exponential" }],
  ["backoff.type", { backoff: { type: "linear" } }],
  ["backoff.delay", { backoff: { delay: -1 } }],
  ["backoff.factor", { backoff: { factor: 0.5 } }],
  ["backoff.factor", { backoff: { type: "fixed", factor: 2 } }],
  ["backoff.max", { backoff: { delay: 10, max: 5 } }],
  ["backoff.jitter", { backoff: { jitter: 1.5 } }],
  ["maxInterruptions", { maxInterruptions: -1 }],
  ["resultTtl", { resultTtl: "never" }],
  ["tags", { tags: "report" }],
  ["tags", { tags: Array.from({ length: 33 }, (_, index) => `tag-${index}`) }],
  ["tags[1]", { tags: ["a", ""] }],
  ["tags[0]", { tags: Array.from({ length: 1 }) }],
  ["metadata", { metadata: [] }],
  ["metadata", { metadata: new Map() }],
  ["metadata", { metadata: { text: "x".repeat(16_000) } }],
  ["metadata.when", { metadata: { when: new Date(0) } }],
  ["metadata.list[1]", { metadata: { list: [1, undefined] } }],
  ["metadata.number", { metadata: { number: Number.NaN } }],
  ["metadata.big", { metadata: { big: 5n } }],
  ["metadata.run", { metadata: { run: () => 5 } }],
  ["metadata.half", { metadata: { half: "\ud800" } }],
  ["metadata", { metadata: JSON.parse('{ "__proto__": 5 }') as object }],
  [`metadata${".self".repeat(33)}`, { metadata: cycle }],
  ["executor", { executor: "process" }],
  ["executor", { executor: "async" }],
  ["dedupeKey", { dedupeKey: "" }],
  ["onConflict", { onConflict: "ignore" }],
  ["onFull", { onFull: "drop" }],
  ["durability", { durability: "none" }],
];

test.each(refused)("%s refuses %o", (path, call) => {
  const error = caught(() => resolved(call));

  expect(error).toBeInstanceOf(InvalidArgumentError);
  expect(error).toMatchObject({ code: "INVALID_ARGUMENT", path: `options.${path}` });
});

test.each<[string, object, string]>([
  ["retries", { retries: 3 }, "maxRetries"],
  ["time0ut", { time0ut: 3 }, "timeout"],
  ["backoff.maxMs", { backoff: { maxMs: 3 } }, "max"],
])("%s is unknown, and the message tells what is known", (path, call, known) => {
  const error = caught(() => resolved(call));

  expect(error).toBeInstanceOf(UnknownOptionError);
  expect(error).toMatchObject({ path: `options.${path}`, message: expect.stringContaining(known) });
});

test("a length of time that cannot be read has the reason as its cause", () => {
  expect(caught(() => resolved({ ttl: "soon" }))).toMatchObject({ cause: expect.any(RangeError) });
});

test("a definition with a bad option is refused by its name", () => {
  expect(caught(() => resolved({}, { timeout: -1 }))).toMatchObject({ path: 'options of task "resize".timeout' });
});

test.each(["id", "runAt", "schedule", "dedupeKey", "durability"])(
  "a definition cannot decide %s for its tasks",
  (name) => {
    expect(caught(() => resolved({}, { [name]: "x" }))).toBeInstanceOf(UnknownOptionError);
  },
);

test("inherited options count for nothing", () => {
  expect(caught(() => resolved(Object.create({ priority: 5 })))).toBeInstanceOf(InvalidArgumentError);
});

test("what the caller changes after the call changes nothing", () => {
  const call = { metadata: { list: [1] }, tags: ["a"] };

  const { metadata, tags } = request(call);
  call.metadata.list.push(2);
  call.tags.push("b");

  expect({ metadata, tags }).toEqual({ metadata: { list: [1] }, tags: ["a"] });
});

test("a task runs where its call or its definition says, and the runtime decides where neither does", () => {
  const open = resolveOpenOptions({ tasks: [], executors: { processes: 1, async: {} } });
  const defaults = prepareTaskDefaults("resize", { executor: "process" }, open);

  expect(resolveTaskOptions({ executor: "async" }, defaults, now).request.executor).toBe("async");
  expect(resolveTaskOptions({}, defaults, now).request.executor).toBe("process");
  expect(resolved().request.executor).toBeUndefined();
});

test("an executor that is not open is refused with what would open it", () => {
  expect(() => resolved({ executor: "process" })).toThrow("executors: { processes: 2 }");
  expect(() => resolved({ executor: "async" })).toThrow("executors: { async: { concurrency: 100 } }");
  expect(() => resolved({}, { executor: "process" })).toThrow("not open");
});

test("whatever a call gives is taken or refused with an error of ours, and never changed", () => {
  const defaults = prepareTaskDefaults("resize", undefined, resolveOpenOptions({ tasks: [] }));

  fc.assert(
    fc.property(optionsOf(taskOptions), (options) => {
      const error = caught(() => resolveTaskOptions(frozen(options), defaults, now));

      expect(error === undefined || error instanceof OmniqError).toBe(true);
    }),
  );
});

test("whatever a definition gives is taken or refused with an error of ours, and never changed", () => {
  fc.assert(
    fc.property(optionsOf(definitionOptions), (options) => {
      const error = caught(() => prepareTaskDefaults("resize", frozen(options), resolveOpenOptions({ tasks: [] })));

      expect(error === undefined || error instanceof OmniqError).toBe(true);
    }),
  );
});

describe("keys", () => {
  test("come from the call, the definition, then the queue", () => {
    const queues = { default: { defaults: { orderingKey: "queue", concurrencyKey: "queue" } } };

    expect(
      request({ orderingKey: "call" }, { orderingKey: "definition", concurrencyKey: "definition" }, queues),
    ).toMatchObject({
      orderingKey: "call",
      concurrencyKey: "definition",
    });
    expect(request({}, {}, queues)).toMatchObject({ orderingKey: "queue", concurrencyKey: "queue" });
  });

  test("are left out where nobody gives them", () => {
    expect(Object.keys(request({}))).not.toContain("orderingKey");
    expect(Object.keys(request({}))).not.toContain("concurrencyKey");
  });
});

describe("limits of a task", () => {
  test("are read from its definition", () => {
    expect(limitsOfTask("t", { concurrency: 2, rateLimit: { max: 3, per: "1m" } })).toEqual({
      concurrency: 2,
      rateLimit: { max: 3, perMs: 60_000 },
    });
    expect(limitsOfTask("t", { concurrency: { perKey: 1 } })).toEqual({ concurrencyPerKey: 1 });
    expect(limitsOfTask("t", { priority: 5 })).toBeUndefined();
  });

  test("that make no sense are refused with the name of the task", () => {
    expect(caught(() => limitsOfTask("t", { concurrency: 0 }))).toMatchObject({
      path: 'options of task "t".concurrency',
    });
  });
});
