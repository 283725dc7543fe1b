import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { at, defineTask, Omniq, OmniqError, type TaskOptions } from "omniq";
import { describe, expect, test } from "vitest";
import { aPlace, errorOf, fixture, linesOf, open, shared } from "../support/runtimes.ts";

const runtime = shared({ maxPayloadBytes: 10_000 });

/** The same runtime to callers without types. */
const untyped = (): Omniq => runtime();

/** What a call is refused with: one of our errors, nothing stored, and the runtime goes on. */
async function refused(call: () => unknown): Promise<Error & { code?: unknown; path?: unknown }> {
  const omniq = runtime();
  const before = await omniq.count();
  const error = await errorOf(call);
  expect(error).toBeInstanceOf(OmniqError);
  expect(await omniq.count()).toBe(before);
  expect(await omniq.run("add", [1, 1])).toBe(2);
  await omniq.delete((await omniq.list({ name: "add", limit: 1 })).tasks[0]?.id ?? "none");
  return error;
}

describe("names of tasks", () => {
  test.each([
    ["ad", "add"],
    ["addlater", "addLater"],
    ["succedAt", "succeedAt"],
  ])("the unknown task %s is refused with the nearest name", async (name, nearest) => {
    const error = await refused(() => untyped().enqueue(name, []));

    expect(error).toMatchObject({ code: "UNKNOWN_TASK" });
    expect(error.message).toContain(`"${nearest}"`);
  });

  test("every way to enqueue refuses an unknown task", async () => {
    const calls = [
      () => untyped().enqueue("nope", []),
      () => untyped().enqueueMany("nope", [[]]),
      () => untyped().run("nope", []),
      async () => {
        for await (const _ of untyped().map("nope", [[]]));
      },
      () =>
        runtime().enqueue(
          defineTask("nope", () => 1),
          [],
        ),
    ];
    for (const call of calls) expect(await refused(call)).toMatchObject({ code: "UNKNOWN_TASK" });
  });

  test.each([
    ["a closure", () => 1],
    ["a named function", function add() {}],
    ["a class", class {}],
    ["a number", 1],
    ["nothing", undefined],
    ["null", null],
    ["an object with a name", { name: "add" }],
    ["text in a box", new String("add")],
    ["a list", ["add"]],
  ])("%s is not a task", async (_what, given) => {
    const error = await refused(() => untyped().enqueue(given as never, [] as never));

    expect(error).toMatchObject({ name: "NotATaskError", code: "NOT_A_TASK" });
  });

  test.each([
    "__proto__",
    "constructor",
    "toString",
    "node:child_process",
    "fs",
    "../x",
    "../fixtures/journeys/few.mjs",
    "/etc/passwd",
    "",
    "a\u0000b",
    "x".repeat(10_000),
  ])("the hostile name %j is refused and loads nothing", async (name) => {
    expect(await refused(() => untyped().enqueue(name, ["id"]))).toMatchObject({ code: "UNKNOWN_TASK" });
  });

  test("a name that is the URL of a module loads nothing", async () => {
    const folder = aPlace();
    const file = `${folder}/evil.mjs`;
    writeFileSync(
      file,
      `import { appendFileSync } from "node:fs"; appendFileSync(${JSON.stringify(`${folder}/loaded`)}, "yes\\n"); export const evil = () => 1;`,
    );

    for (const name of [pathToFileURL(file).href, file, "file:///etc/passwd", `data:text/javascript,throw 1`]) {
      expect(await refused(() => untyped().enqueue(name, []))).toMatchObject({ code: "UNKNOWN_TASK" });
    }

    expect(linesOf(`${folder}/loaded`)).toEqual([]);
  });

  test("tasks that have the names of what every object has are tasks like others", async () => {
    const omniq = await Omniq.open({ tasks: fixture("hostile.mjs"), storage: aPlace(), executors: { threads: 1 } });
    const queue = "__proto__";
    const names = ["__proto__", "constructor", "toString"];

    expect(
      await Promise.all(names.map((name) => omniq.run(name, [], { queue, id: `${name}-id`, tags: ["constructor"] }))),
    ).toEqual(["mine", "mine", "mine"]);
    expect(await omniq.count({ queue, tags: ["constructor"] })).toBe(3);
    expect((await omniq.stats()).queues[queue]).toMatchObject({ completed: 3 });
    expect((await omniq.queues.list()).map(({ name }) => name)).toContain("__proto__");
    expect(await errorOf(() => omniq.run("hasOwnProperty", []))).toMatchObject({ code: "UNKNOWN_TASK" });
    await omniq.close();
  });
});

describe("task modules", () => {
  const opening = (tasks: unknown) => () =>
    Omniq.open({ tasks: tasks as URL, storage: "memory:", executors: { threads: 2 } });

  test.each([
    ["throws.mjs", "cannot start"],
    ["no-tasks.mjs", "exports no tasks"],
    ["no-such-file.mjs", "no-such-file.mjs"],
    ["leaves.mjs", "ended the worker"],
  ])("%s cannot be used, and the error names the file", async (file, problem) => {
    const error = await errorOf(opening(fixture(`bad/${file}`)));

    expect(error).toMatchObject({ name: "TaskModuleError", code: "TASK_MODULE" });
    expect(error.message).toContain(file);
    expect(error.message).toContain(problem);
  });

  test.each([".mjs", ".ts"])(
    "a module with a syntax error (%s) cannot be used, and the error names the file",
    async (ending) => {
      const file = `${aPlace()}/broken${ending}`;
      writeFileSync(file, "export const broken = (\n");

      const error = await errorOf(opening(file));

      expect(error).toMatchObject({ code: "TASK_MODULE" });
      expect(error.message).toContain(file);
    },
  );

  test("a good module beside a bad one does not help", async () => {
    expect(await errorOf(opening([fixture("few.mjs"), fixture("bad/throws.mjs")]))).toMatchObject({
      code: "TASK_MODULE",
    });
  });

  test("two tasks of one name are refused, and the error names both files", async () => {
    const error = await errorOf(opening([fixture("bad/twice-a.mjs"), fixture("bad/twice-b.mjs")]));

    expect(error).toMatchObject({ name: "DuplicateNameError", code: "DUPLICATE_NAME" });
    for (const part of ["twice-a.mjs", "twice-b.mjs", '"twice"']) expect(error.message).toContain(part);
  });

  test("a module that is listed twice is loaded once", async () => {
    const omniq = await Omniq.open({
      tasks: [fixture("few.mjs"), fixture("few.mjs")],
      storage: "memory:",
      executors: { threads: 1 },
    });

    expect(omniq.taskNames).toEqual(["one"]);
    await omniq.close();
  });

  test("a wrong option of a definition is refused with the nearest name", async () => {
    const error = await errorOf(opening(fixture("bad/wrong-option.mjs")));

    expect(error).toMatchObject({ code: "UNKNOWN_OPTION" });
    expect(error.message).toContain("maxRetries");
    expect(error.message).toContain("wrong");
  });

  test.each([
    ["https://example.org/tasks.mjs"],
    ["node:fs"],
    ["data:text/javascript,export const x = () => 1"],
    [1],
    [null],
    [""],
    [undefined],
    [["./a.mjs", 2]],
  ])("%j is not a module", async (tasks) => {
    expect(await errorOf(opening(tasks))).toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("a store is left free when the modules do not load", async () => {
    const storage = aPlace();
    await errorOf(() => Omniq.open({ tasks: fixture("bad/throws.mjs"), storage }));

    const omniq = await open({ storage });
    expect(await omniq.run("add", [1, 2])).toBe(3);
  });
});

describe("options of a task", () => {
  test.each([
    ["prioritty", "priority"],
    ["maxretries", "maxRetries"],
    ["dealy", "delay"],
    ["timeOut", "timeout"],
    ["dedupKey", "dedupeKey"],
    ["retries", undefined],
    ["__proto", undefined],
  ])("%s is not an option, and the nearest is named", async (key, nearest) => {
    const error = await refused(() => untyped().enqueue("add", [1, 2], { [key]: 1 } as TaskOptions));

    expect(error).toMatchObject({ name: "UnknownOptionError", code: "UNKNOWN_OPTION", path: `options.${key}` });
    if (nearest !== undefined) expect(error.message).toContain(`"${nearest}"`);
  });

  test.each([
    ["maxRetries", [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1_001, "3", 2n, null]],
    ["priority", [-1_001, 1_001, 0.5, Number.NaN, "urgent", "", null, {}]],
    ["delay", [-1, Number.NaN, Number.POSITIVE_INFINITY, 1e300, "soon", "", "-5s", {}, null]],
    ["ttl", [0, -1, Number.NaN, "0s"]],
    ["timeout", [0, -1, Number.NaN, 1e20]],
    ["retryDelay", [-1, Number.NaN, "later"]],
    ["resultTtl", [-1, Number.NaN]],
    ["maxInterruptions", [-1, 0.5]],
    ["runAt", [new Date(Number.NaN), Number.NaN, 1e300, "tomorrow", {}]],
    ["schedule", [{}, { type: "cron" }, at, 5, { type: "at", at: Number.NaN }]],
    ["tags", ["one", [1], [""], ["x".repeat(201)], Array.from({ length: 33 }, (_, n) => `t${n}`), {}]],
    [
      "metadata",
      [1, [], { f: () => 1 }, { at: new Date() }, { big: 1n }, { nan: Number.NaN }, { text: "x".repeat(20_000) }],
    ],
    ["id", ["", 1, "x".repeat(201), "a\nb", "\u0000", {}, "ä".repeat(101)]],
    ["queue", ["", 1, "x".repeat(201), "a\tb", "\u007f", {}]],
    ["dedupeKey", ["", 1, "x".repeat(201), "a\rb"]],
    ["onConflict", ["ignore", true]],
    ["onFull", ["drop", 0]],
    ["executor", ["process", "async", "cloud"]],
    ["durability", ["none", 1]],
    ["backoff", [{ delay: -1 }, { factor: 0 }, { factor: Number.NaN }, { jitter: 2 }, { type: "linear" }, 5]],
  ] as [string, unknown[]][])("%s is refused when it makes no sense, and the error says where", async (key, values) => {
    const omniq = runtime();
    const before = await omniq.count();
    for (const value of values) {
      const error = await errorOf(() => untyped().enqueue("add", [1, 2], { [key]: value } as TaskOptions));
      expect(error, `${key}: ${String(value)}`).toMatchObject({ code: "INVALID_ARGUMENT" });
      expect(error.path).toMatch(new RegExp(`^options\\.${key}`));
    }
    expect(await omniq.count()).toBe(before);
    expect(await omniq.run("add", [1, 1])).toBe(2);
  });

  test("options that exclude each other are refused", async () => {
    for (const options of [
      { delay: 1, runAt: new Date() },
      { delay: 1, schedule: at(new Date()) },
      { runAt: 1, schedule: at(new Date()) },
      { retryDelay: 1, backoff: { delay: 2 } },
    ]) {
      expect(await refused(() => runtime().enqueue("add", [1, 2], options))).toMatchObject({
        code: "INVALID_ARGUMENT",
      });
    }
  });

  test.each([[null], ["fast"], [5], [[]], [new Map()]])("%j is not an object of options", async (options) => {
    expect(await refused(() => untyped().enqueue("add", [1, 2], options as never))).toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });

  test("one id for many tasks is refused", async () => {
    expect(
      await refused(() =>
        runtime().enqueueMany(
          "add",
          [
            [1, 2],
            [3, 4],
          ],
          { id: "one" },
        ),
      ),
    ).toMatchObject({ code: "INVALID_ARGUMENT", path: "options.id" });
  });
});

describe("arguments", () => {
  class Money {
    readonly amount = 5;
  }

  test.each([
    ["a function", [1, () => 2], "args[1]"],
    ["a symbol", [Symbol("x")], "args[0]"],
    ["an instance of a class", [{ deep: [new Money()] }], "args[0].deep[0]"],
    ["a class", [Money], "args[0]"],
    ["a promise", [{ later: Promise.resolve(1) }], "args[0].later"],
    ["a weak map", [new WeakMap()], "args[0]"],
    ["a function in a map", [new Map([["key", () => 1]])], 'args[0].get("key")'],
    ["a handle", [{ toString: () => "x" }], "args[0].toString"],
    [
      "a getter that throws",
      [
        Object.defineProperty({}, "bad", {
          enumerable: true,
          get: () => {
            throw new Error("no");
          },
        }),
      ],
      "args[0].bad",
    ],
  ])("%s is refused, and the error says where", async (_what, args, path) => {
    const error = await refused(() => untyped().enqueue("echo", args));

    expect(error).toMatchObject({ name: "NotSerializableError", code: "NOT_SERIALIZABLE", path });
    expect(error.message).toContain(path);
  });

  test.each([[undefined], [null], ["ab"], [1], [{}], [new Set([1])], [{ length: 1, 0: "x" }]])(
    "%j is not a list of arguments",
    async (args) => {
      expect(await refused(() => untyped().enqueue("echo", args as never))).toMatchObject({
        code: "INVALID_ARGUMENT",
        path: "args",
      });
    },
  );

  test.each([[undefined], ["ab"], [{}], [[[1], 2]]])("%j is not a list of lists of arguments", async (argsList) => {
    expect(await refused(() => untyped().enqueueMany("echo", argsList as never))).toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });

  test.each([
    ["text", ["x".repeat(10_001)]],
    ["bytes", [new Uint8Array(10_001)]],
    ["a list", [Array.from({ length: 11_000 }, () => 1)]],
  ])("%s over the limit is refused", async (_what, args) => {
    const error = await refused(() => untyped().enqueue("echo", args));

    expect(error).toMatchObject({ name: "PayloadTooLargeError", code: "PAYLOAD_TOO_LARGE" });
    expect(error.message).toContain("10000");
  });

  test("a value without end is refused, and not waited for", async () => {
    let deep: unknown = 1;
    for (let level = 0; level < 5_000; level++) deep = [deep];

    expect((await refused(() => untyped().enqueue("echo", [deep]))).code).toMatch(/NOT_SERIALIZABLE|PAYLOAD_TOO_LARGE/);
  });

  test.each([
    ["a number", [1], "0"],
    ["empty text", [""], "0"],
    ["nothing", [], "0"],
  ])("what the schema of the task refuses is refused (%s)", async (_what, args, path) => {
    const error = await refused(() => untyped().enqueue("checked", args));

    expect(error).toMatchObject({ name: "InvalidInputError", code: "INVALID_INPUT" });
    expect((error as { issues?: unknown }).issues).toMatchObject([{ path: expect.stringContaining(path) as string }]);
  });

  test("of many, one that the schema refuses is enough", async () => {
    expect(await refused(() => untyped().enqueueMany("checked", [["a"], [""], ["c"]]))).toMatchObject({
      code: "INVALID_INPUT",
    });
  });

  test("what the schema of the task accepts arrives as the schema gives it", async () => {
    expect(await runtime().run("checked", ["LOUD"])).toBe("loud");
  });

  test("a result that cannot be kept fails its task, which says where", async () => {
    const outcome = await (await runtime().enqueue("returnFunction", [], { maxRetries: 3 })).wait();

    expect(outcome).toMatchObject({ state: "failed", attempt: 1, error: { cause: { code: "NOT_SERIALIZABLE" } } });
    expect((outcome.error?.cause as Error).message).toContain("result.callback");
  });
});

describe("filters and other calls", () => {
  test.each([
    [{ status: "failed" }, "UNKNOWN_OPTION"],
    [{ state: "done" }, "INVALID_ARGUMENT"],
    [{ state: ["failed", "dead"] }, "INVALID_ARGUMENT"],
    [{ limit: 0 }, "INVALID_ARGUMENT"],
    [{ limit: -1 }, "INVALID_ARGUMENT"],
    [{ limit: 1.5 }, "INVALID_ARGUMENT"],
    [{ limit: Number.NaN }, "INVALID_ARGUMENT"],
    [{ limit: 1_001 }, "INVALID_ARGUMENT"],
    [{ limit: "5" }, "INVALID_ARGUMENT"],
    [{ queue: "" }, "INVALID_ARGUMENT"],
    [{ queue: 5 }, "INVALID_ARGUMENT"],
    [{ name: "x".repeat(201) }, "INVALID_ARGUMENT"],
    [{ tags: "one" }, "INVALID_ARGUMENT"],
    [{ tags: [""] }, "INVALID_ARGUMENT"],
    [{ tags: [5] }, "INVALID_ARGUMENT"],
    [{ before: "yesterday" }, "INVALID_ARGUMENT"],
    [{ before: new Date(Number.NaN) }, "INVALID_ARGUMENT"],
    [{ cursor: "" }, "INVALID_ARGUMENT"],
    [{ cursor: 5 }, "INVALID_ARGUMENT"],
    ["failed", "INVALID_ARGUMENT"],
    [null, "INVALID_ARGUMENT"],
  ])("the filter %j is refused", async (filter, code) => {
    expect(await refused(() => untyped().list(filter as never))).toMatchObject({ code });
  });

  test.each([
    [{ kind: "failed" }, "UNKNOWN_OPTION"],
    [{ type: "dequeued" }, "INVALID_ARGUMENT"],
    [{ limit: 0 }, "INVALID_ARGUMENT"],
    [{ since: "yesterday" }, "INVALID_ARGUMENT"],
    [{ until: Number.NaN }, "INVALID_ARGUMENT"],
    [{ after: -1 }, "INVALID_ARGUMENT"],
    [{ after: "5" }, "INVALID_ARGUMENT"],
    [{ taskId: 5 }, "INVALID_ARGUMENT"],
  ])("the filter of events %j is refused", async (filter, code) => {
    expect(await refused(() => untyped().events.query(filter as never))).toMatchObject({ code });
  });

  test.each([[""], [5], [null], [undefined], ["x".repeat(201)], ["a\u0000b"], [{}]])("%j is not an id", async (id) => {
    const omniq = untyped();
    for (const call of [
      () => omniq.get(id as never),
      () => omniq.cancel(id as never),
      () => omniq.delete(id as never),
      () => omniq.requeue(id as never),
      () => omniq.wait(id as never),
      () => omniq.result(id as never),
    ]) {
      expect(await refused(call)).toMatchObject({ code: "INVALID_ARGUMENT", path: "id" });
    }
  });

  test.each([[""], [5], ["x".repeat(201)], ["a\nb"]])("%j is not a queue", async (name) => {
    expect(await refused(() => untyped().queues.get(name as never))).toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("wrong limits, lengths of time and words are refused by every call", async () => {
    const omniq = untyped();
    const queue = omniq.queues.get("bad-input");
    const { id } = await omniq.enqueue("add", [1, 2], { delay: "1h" });
    const calls: (() => unknown)[] = [
      () => queue.configure({ concurrency: -1 }),
      () => queue.configure({ concurrency: Number.NaN }),
      () => queue.configure({ maxSize: 0.5 }),
      () => queue.configure({ maxsize: 5 } as never),
      () => queue.dequeue({ waitMs: -1 }),
      () => queue.dequeue({ leaseMs: Number.NaN }),
      () => queue.dequeue({ leaseMs: 0 }),
      () => queue.dequeue({ ack: "never" as never }),
      () => queue.dequeue({ lease: 5 } as never),
      () => omniq.cancel(id, { running: "kill" as never }),
      () => omniq.cancel(id, { grace: -1 }),
      () => omniq.cancel("nobody", { resaon: "x" } as never),
      () => omniq.wait(id, { timeout: -1 }),
      () => omniq.wait(id, { timeout: Number.NaN }),
      () => omniq.drain({ timeout: "soon" }),
      () => omniq.delete("nobody", { forced: true } as never),
      () => omniq.deadLetters.requeue({ id } as never),
      async () => {
        for await (const _ of omniq.map("add", [[1, 2]], { concurrency: 0 }));
      },
      async () => {
        for await (const _ of omniq.map("add", [[1, 2]], { onError: "ignore" as never }));
      },
      async () => {
        for await (const _ of omniq.map("add", 5 as never));
      },
    ];
    const results: string[] = [];
    for (const call of calls) {
      const code = await Promise.resolve()
        .then(call)
        .then(
          () => "accepted",
          (error: { code?: string; name: string }) => error.code ?? error.name,
        );
      if (code !== "INVALID_ARGUMENT" && code !== "UNKNOWN_OPTION") results.push(`${String(call)}: ${code}`);
    }
    expect(await omniq.get(id)).toMatchObject({ state: "scheduled" });
    expect(results).toEqual([]);
  });
});

describe("options of open", () => {
  test.each([
    [{ stroage: "memory:" }, "UNKNOWN_OPTION", '"storage"'],
    [{ executors: { thread: 1 } }, "UNKNOWN_OPTION", '"threads"'],
    [{ queues: { q: { concurency: 1 } } }, "UNKNOWN_OPTION", '"concurrency"'],
    [{ executors: { threads: -1 } }, "INVALID_ARGUMENT", "threads"],
    [{ executors: { threads: 1e9 } }, "INVALID_ARGUMENT", "threads"],
    [{ executors: { threads: Number.NaN } }, "INVALID_ARGUMENT", "threads"],
    [{ storage: "redis://localhost" }, "INVALID_ARGUMENT", "storage"],
    [{ storage: 5 }, "INVALID_ARGUMENT", "storage"],
    [{ storage: "" }, "INVALID_ARGUMENT", "storage"],
    [{ maxPayloadBytes: -5 }, "INVALID_ARGUMENT", "maxPayloadBytes"],
    [{ retention: { completed: "for ever" } }, "INVALID_ARGUMENT", "retention.completed"],
    [{ events: "some" }, "INVALID_ARGUMENT", "events"],
    [{ logger: {} }, "INVALID_ARGUMENT", "logger"],
    [{ queues: { "": {} } }, "INVALID_ARGUMENT", "queues"],
    [{ queues: { q: { maxSize: Number.NaN } } }, "INVALID_ARGUMENT", "queues.q.maxSize"],
    [{ instanceId: "x".repeat(201) }, "INVALID_ARGUMENT", "instanceId"],
  ])("%j are refused", async (options, code, part) => {
    const error = await errorOf(() =>
      Omniq.open({ tasks: fixture("few.mjs"), storage: "memory:", ...options } as never),
    );

    expect(error).toMatchObject({ code });
    expect(error.message).toContain(part);
  });

  test("no options are too few", async () => {
    expect(await errorOf(() => Omniq.open({} as never))).toMatchObject({
      code: "INVALID_ARGUMENT",
      path: "options.tasks",
    });
    expect(await errorOf(() => Omniq.open(undefined as never))).toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("definitions", () => {
  test.each([
    ["no name", () => defineTask("", () => 1)],
    ["a long name", () => defineTask("x".repeat(201), () => 1)],
    ["a control character", () => defineTask("a\nb", () => 1)],
    ["no handler", () => defineTask("x", undefined as never)],
    ["a class", () => defineTask("x", class {} as never)],
    ["a generator", () => defineTask("x", function* () {} as never)],
    ["options that are none", () => defineTask("x", 5 as never, () => 1)],
  ])("%s is refused", async (_what, call) => {
    expect(await errorOf(call)).toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
