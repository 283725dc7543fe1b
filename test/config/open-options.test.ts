import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidArgumentError, OmniqError, UnknownOptionError } from "../../src/base/errors.ts";
import { openOptions } from "../../src/config/open-options.ts";
import { resolveOpenOptions } from "../../src/config/resolve.ts";
import { caught, frozen, optionsOf } from "../support/options.ts";

const day = 86_400_000;
const folder = (path: string) => ({ kind: "lmdb", path: resolve(path) });
const open = (options: object) => resolveOpenOptions({ tasks: "./tasks.ts", ...options });

describe("what is left out", () => {
  test("has its default", () => {
    const { instanceId, ...rest } = open({});

    expect(instanceId).toContain(String(process.pid));
    expect(rest).toEqual({
      tasks: [pathToFileURL(resolve("tasks.ts")).href],
      storage: { tasks: folder(".omniq"), results: folder(".omniq"), events: folder(".omniq") },
      executors: {
        threads: availableParallelism(),
        processes: 0,
        promises: 0,
        environment: [],
        custom: new Map(),
        byDefault: "thread",
      },
      queues: new Map(),
      routing: { type: "priority" },
      durability: "sync",
      retention: { completedMs: day, failedMs: 30 * day, eventsMs: day },
      events: "errors",
      preflight: "auto",
      handleSignals: false,
      whenOwned: "fail",
      lockTimeoutMs: 1_000,
      scheduler: {
        enabled: true,
        timezone: "UTC",
        checkIntervalMs: 1_000,
        missed: { handling: "coalesce", threshold: 300_000, max: 10 },
        metrics: true,
      },
      maxPayloadBytes: 1_000_000,
      maxLogBytes: 65_536,
      reserveBytes: 1_000_000,
    });
  });

  test("may also be given as undefined", () => {
    const undefinedToo = Object.fromEntries(Object.keys(openOptions).map((name) => [name, undefined]));

    expect(resolveOpenOptions({ ...undefinedToo, tasks: [] })).toEqual(resolveOpenOptions({ tasks: [] }));
  });
});

describe("tasks", () => {
  test("are file URLs, each once, in the order given", () => {
    const url = new URL("file:///srv/b.ts");

    expect(open({ tasks: ["file:///srv/a.js", url, "file:///srv/a.js"] }).tasks).toEqual([
      "file:///srv/a.js",
      "file:///srv/b.ts",
    ]);
  });

  test("may be none, to look at a store", () => {
    expect(open({ tasks: [] }).tasks).toEqual([]);
  });

  test("are required", () => {
    expect(caught(() => resolveOpenOptions({}))).toMatchObject({ code: "INVALID_ARGUMENT", path: "options.tasks" });
  });
});

describe("storage", () => {
  const memory = { kind: "memory" };

  test.each([
    ["./data", folder("data")],
    ["lmdb:./data", folder("data")],
    ["/srv/data", folder("/srv/data")],
    ["memory:", memory],
  ])("%s is one place for everything", (storage, place) => {
    expect(open({ storage }).storage).toEqual({ tasks: place, results: place, events: place });
  });

  test("may be a place for each component", () => {
    const storage = { tasks: "./data", events: "memory:", schedules: "lmdb:data" };

    expect(open({ storage }).storage).toEqual({ tasks: folder("data"), results: folder("data"), events: memory });
  });

  test("keeps schedules with their tasks, and says why", () => {
    const error = caught(() => open({ storage: { tasks: "./data", schedules: "./other" } }));

    expect(error).toMatchObject({ path: "options.storage.schedules", message: expect.stringContaining("transaction") });
  });

  test("of a later version is refused as such", () => {
    const error = caught(() => open({ storage: "redis://localhost" }));

    expect(error).toMatchObject({ path: "options.storage", message: expect.stringContaining("not in this version") });
  });
});

describe("limits of queues", () => {
  const queue = (options: object) => open({ queues: { q: options } }).queues.get("q");

  test("are numbers, or objects with one per key", () => {
    expect(queue({ concurrency: 2 })).toMatchObject({ concurrency: { max: 2 } });
    expect(queue({ concurrency: { perKey: 1 } })?.concurrency).toEqual({ perKey: 1 });
    expect(queue({ concurrency: { max: 5, perKey: 1 } })?.concurrency).toEqual({ max: 5, perKey: 1 });
  });

  test("of rates take lengths of time as text", () => {
    expect(queue({ rateLimit: { max: 10, per: "1s" } })?.rateLimit).toEqual({ max: 10, perMs: 1_000 });
  });

  test("of rates count per key only where that is asked for", () => {
    const rateLimit = { max: 10, per: "1s" };
    expect(queue({ rateLimit: { ...rateLimit, perKey: true } })?.rateLimit).toMatchObject({ perKey: true });
    expect(queue({ rateLimit: { ...rateLimit, perKey: false } })?.rateLimit).not.toHaveProperty("perKey");
  });

  test.each([
    [{ concurrency: 0 }, "INVALID_ARGUMENT", "options.queues.q.concurrency"],
    [{ concurrency: { perKey: 1.5 } }, "INVALID_ARGUMENT", "options.queues.q.concurrency.perKey"],
    [{ concurrency: { perkey: 1 } }, "UNKNOWN_OPTION", "options.queues.q.concurrency.perkey"],
    [{ rateLimit: 5 }, "INVALID_ARGUMENT", "options.queues.q.rateLimit"],
    [{ rateLimit: { max: 5 } }, "INVALID_ARGUMENT", "options.queues.q.rateLimit.per"],
    [{ rateLimit: { per: "1s" } }, "INVALID_ARGUMENT", "options.queues.q.rateLimit.max"],
    [{ rateLimit: { max: 0, per: "1s" } }, "INVALID_ARGUMENT", "options.queues.q.rateLimit.max"],
    [{ rateLimit: { max: 1_000_001, per: "1s" } }, "INVALID_ARGUMENT", "options.queues.q.rateLimit.max"],
    [{ rateLimit: { max: 1, per: 0 } }, "INVALID_ARGUMENT", "options.queues.q.rateLimit.per"],
    [{ rateLimit: { max: 1, per: "31d" } }, "INVALID_ARGUMENT", "options.queues.q.rateLimit.per"],
    [{ rateLimit: { max: 1, per: 1, perKey: 2 } }, "INVALID_ARGUMENT", "options.queues.q.rateLimit.perKey"],
    [{ weight: 0 }, "INVALID_ARGUMENT", "options.queues.q.weight"],
    [{ weight: 1_001 }, "INVALID_ARGUMENT", "options.queues.q.weight"],
    [{ priorityPolicy: "lifo" }, "INVALID_ARGUMENT", "options.queues.q.priorityPolicy"],
    [{ agingStep: "1s" }, "INVALID_ARGUMENT", "options.queues.q.agingStep"],
    [{ agingStep: "1s", priorityPolicy: "fifo" }, "INVALID_ARGUMENT", "options.queues.q.agingStep"],
    [{ agingStep: 0, priorityPolicy: "aging" }, "INVALID_ARGUMENT", "options.queues.q.agingStep"],
  ])("%j is refused", (options, code, path) => {
    expect(caught(() => queue(options))).toMatchObject({ code, path });
  });
});

describe("routing", () => {
  test("strict goes by the order of the queues", () => {
    expect(open({ routing: "strict", queues: { b: {}, a: {} } }).routing).toEqual({
      type: "strict",
      queues: ["b", "a"],
    });
  });

  test("of another kind is refused", () => {
    expect(caught(() => open({ routing: "random" }))).toMatchObject({ path: "options.routing" });
  });
});

test("queues are read with their limits and defaults", () => {
  const { queues } = open({ queues: { mail: { concurrency: 2, paused: true, defaults: { ttl: "1m" } }, other: {} } });

  expect(queues).toEqual(
    new Map([
      ["mail", { concurrency: { max: 2 }, paused: true, defaults: { ttl: 60_000 } }],
      ["other", { defaults: {} }],
    ]),
  );
});

test("lengths of time may be text", () => {
  expect(open({ retention: { completed: "1h", events: 5 } }).retention).toEqual({
    completedMs: 3_600_000,
    failedMs: 30 * day,
    eventsMs: 5,
  });
});

test("console is a logger", () => {
  expect(open({ logger: console }).logger).toBe(console);
});

test.each<[string, object]>([
  ["tasks", { tasks: "" }],
  ["tasks", { tasks: 5 }],
  ["tasks", { tasks: null }],
  ["tasks", { tasks: "a\0.ts" }],
  ["tasks", { tasks: "https://example.org/a.js" }],
  ["tasks", { tasks: new URL("https://example.org/a.js") }],
  ["tasks", { tasks: "file://[" }],
  ["tasks[1]", { tasks: ["a.ts", {}] }],
  ["storage", { storage: "" }],
  ["storage", { storage: " " }],
  ["storage", { storage: "lmdb:" }],
  ["storage", { storage: "lmdb:redis:x" }],
  ["storage", { storage: "a\0" }],
  ["storage", { storage: 5 }],
  ["storage", { storage: ["./data"] }],
  ["storage.tasks", { storage: {} }],
  ["storage.tasks", { storage: { tasks: "s3:bucket" } }],
  ["storage.results", { storage: { tasks: "./data", results: null } }],
  ["executors", { executors: 4 }],
  ["executors.threads", { executors: { threads: -1 } }],
  ["executors.threads", { executors: { threads: 257 } }],
  ["executors.threads", { executors: { threads: 1.5 } }],
  ["executors.threads", { executors: { threads: "2" } }],
  ["executors.processes", { executors: { processes: -1 } }],
  ["executors.processes", { executors: { processes: 257 } }],
  ["executors.async", { executors: { async: 100 } }],
  ["executors.async.concurrency", { executors: { async: { concurrency: 0 } } }],
  ["executors.environment", { executors: { environment: "PATH" } }],
  ["executors.environment[0]", { executors: { environment: [""] } }],
  ["executor", { executor: "process" }],
  ["queues", { queues: [] }],
  ["queues", { queues: null }],
  ["queues: a name", { queues: { "": {} } }],
  ["queues: a name", { queues: { "a\nb": {} } }],
  ["queues.mail", { queues: { mail: 5 } }],
  ["queues.mail.maxSize", { queues: { mail: { maxSize: 0 } } }],
  ["queues.mail.maxSize", { queues: { mail: { maxSize: Number.POSITIVE_INFINITY } } }],
  ["queues.mail.concurrency", { queues: { mail: { concurrency: -1 } } }],
  ["queues.mail.paused", { queues: { mail: { paused: 1 } } }],
  ["queues.mail.defaults", { queues: { mail: { defaults: "fast" } } }],
  ["queues.mail.defaults.ttl", { queues: { mail: { defaults: { ttl: 0 } } } }],
  ["durability", { durability: "none" }],
  ["retention", { retention: "24h" }],
  ["retention.failed", { retention: { failed: "soon" } }],
  ["retention.events", { retention: { events: -1 } }],
  ["events", { events: true }],
  ["logger", { logger: {} }],
  ["logger", { logger: null }],
  ["logger", { logger: { debug() {}, info() {}, warn() {}, error: "no" } }],
  ["instanceId", { instanceId: "" }],
  ["whenOwned", { whenOwned: "steal" }],
  ["lockTimeout", { lockTimeout: 99 }],
  ["scheduler", { scheduler: true }],
  ["scheduler.enabled", { scheduler: { enabled: "yes" } }],
  ["scheduler.timezone", { scheduler: { timezone: "Europe/Atlantis" } }],
  ["scheduler.timezone", { scheduler: { timezone: "+02:00" } }],
  ["scheduler.checkInterval", { scheduler: { checkInterval: 9 } }],
  ["scheduler.missed", { scheduler: { missed: "skip" } }],
  ["scheduler.missed.handling", { scheduler: { missed: { handling: "all" } } }],
  ["scheduler.missed.max", { scheduler: { missed: { max: 1_001 } } }],
  ["scheduler.queue", { scheduler: { queue: "" } }],
  ["preflight", { preflight: true }],
  ["handleSignals", { handleSignals: "yes" }],
  ["maxPayloadBytes", { maxPayloadBytes: 999 }],
  ["maxPayloadBytes", { maxPayloadBytes: 64_000_001 }],
  ["maxLogBytes", { maxLogBytes: 999 }],
  ["reserveBytes", { reserveBytes: -1 }],
])("%s refuses %o", (path, options) => {
  const error = caught(() => open(options));

  expect(error).toBeInstanceOf(InvalidArgumentError);
  expect(error).toMatchObject({ code: "INVALID_ARGUMENT", path: `options.${path}` });
});

test.each<[string, object, string]>([
  ["retetion", { retetion: {} }, "retention"],
  ["executors.thread", { executors: { thread: 2 } }, "threads"],
  ["queues.mail.maxsize", { queues: { mail: { maxsize: 2 } } }, "maxSize"],
  ["queues.mail.defaults.timeOut", { queues: { mail: { defaults: { timeOut: 2 } } } }, "timeout"],
  ["retention.event", { retention: { event: "1h" } }, "events"],
  ["storage.result", { storage: { tasks: "./data", result: "memory:" } }, "results"],
])("%s is unknown, and the nearest known name is told", (path, options, nearest) => {
  const error = caught(() => open(options));

  expect(error).toBeInstanceOf(UnknownOptionError);
  expect(error).toMatchObject({ path: `options.${path}`, message: expect.stringContaining(`"${nearest}"`) });
});

test.each(["id", "queue", "runAt", "dedupeKey", "durability"])("a queue cannot decide %s for its tasks", (name) => {
  const error = caught(() => open({ queues: { mail: { defaults: { [name]: "x" } } } }));

  expect(error).toMatchObject({ code: "UNKNOWN_OPTION", path: `options.queues.mail.defaults.${name}` });
});

test.each([[undefined], [null], [5], ["options"], [[]], [new Map()], [() => {}]])(
  "%o is no object with options",
  (options) => {
    expect(caught(() => resolveOpenOptions(options))).toMatchObject({ code: "INVALID_ARGUMENT", path: "options" });
  },
);

test("a key that would change a prototype is a name like any other", () => {
  const named = JSON.parse('{ "queues": { "__proto__": { "maxSize": 5 } } }') as object;
  const unknown = JSON.parse('{ "__proto__": { "events": "all" } }') as object;

  expect(open(named).queues.get("__proto__")).toEqual({ maxSize: 5, defaults: {} });
  expect(caught(() => resolveOpenOptions(unknown))).toMatchObject({ path: "options.__proto__" });
  expect(Object.hasOwn(Object.prototype, "maxSize")).toBe(false);
});

test("whatever is given is taken or refused with an error of ours, and never changed", () => {
  fc.assert(
    fc.property(optionsOf(openOptions), (options) => {
      const error = caught(() => resolveOpenOptions(frozen(options)));

      expect(error === undefined || error instanceof OmniqError).toBe(true);
    }),
  );
});
