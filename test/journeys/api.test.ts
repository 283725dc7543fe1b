import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import * as omniqModule from "omniq";
import { currentTask, defineTask, Omniq } from "omniq";
import { describe, expect, test } from "vitest";
import { add, eager } from "../fixtures/journeys/tasks.ts";
import type * as decorated from "../fixtures/journeys/decorated.ts";
import type * as journeyTasks from "../fixtures/journeys/tasks.ts";
import { eventually } from "../support/eventually.ts";
import { aPlace, errorOf, fixture, Gate, open, Program, shared } from "../support/runtimes.ts";

const root = resolve(import.meta.dirname, "../..");
const runtime = shared({ events: "all" });

test("A01: tasks are submitted one by one, by the dozen and as a map", async () => {
  const omniq = runtime();
  const one = await omniq.enqueue("add", [1, 2]);
  const dozen = await omniq.enqueueMany(
    "add",
    Array.from({ length: 12 }, (_, n) => [n, n] as const),
  );
  const mapped: number[] = [];
  for await (const { index, input, value } of omniq.map(
    "add",
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ] as const,
    { ordered: true },
  )) {
    expect(input).toEqual([index + 1, index + 1]);
    if (value !== undefined) mapped.push(value);
  }

  expect(await one.result()).toBe(3);
  expect(await Promise.all(dozen.map((handle) => handle.result()))).toEqual(dozen.map((_, n) => 2 * n));
  expect(mapped).toEqual([2, 4, 6]);
  expect(await omniq.run("add", [20, 22])).toBe(42);
});

test("A01: tasks are retrieved, counted, cancelled, requeued and deleted", async () => {
  const omniq = runtime();
  const options = { queue: "A01", tags: ["A01"], delay: "1h" };
  const handle = await omniq.enqueue("add", [1, 2], options);

  expect(await omniq.get(handle.id)).toMatchObject({ name: "add", args: [1, 2], state: "scheduled" });
  expect((await omniq.list({ queue: "A01" })).tasks).toHaveLength(1);
  expect(await omniq.count({ tags: ["A01"] })).toBe(1);
  expect(await omniq.cancel(handle.id, { reason: "changed my mind" })).toBe(true);
  expect(await omniq.requeue(handle.id)).toBe(true);
  expect(await omniq.wait(handle.id)).toMatchObject({ state: "completed", value: 3 });
  expect(await omniq.handle<number>(handle.id).result()).toBe(3);
  expect(await omniq.delete(handle.id)).toBe(true);
  expect(await omniq.count({ queue: "A01" })).toBe(0);
});

test("A01: a handle is not a promise", async () => {
  const handle = await runtime().enqueue("add", [1, 2]);

  expect("then" in handle).toBe(false);
  expect(await handle).toBe(handle);
});

test("A01: queues, events, dead letters and counters are at hand", async () => {
  const omniq = runtime();
  const failed = await omniq.enqueue("giveUp", ["x"], { queue: "A01-more" });
  await failed.wait();

  expect((await omniq.queues.list()).map(({ name }) => name)).toContain("A01-more");
  expect(await omniq.queues.get("A01-more").stats()).toMatchObject({
    name: "A01-more",
    paused: false,
    states: { failed: 1 },
  });
  expect((await omniq.events.query({ queue: "A01-more" })).map(({ type }) => type)).toEqual([
    "enqueued",
    "started",
    "failed",
  ]);
  expect((await omniq.deadLetters.list({ queue: "A01-more" })).tasks.map(({ id }) => id)).toEqual([failed.id]);
  expect((await omniq.stats()).queues["A01-more"]).toMatchObject({ failed: 1 });
  expect(omniq.taskNames).toContain("giveUp");
  expect(await omniq.sweep()).toEqual({ tasks: 0, results: 0, events: 0 });
});

test("A01: a map takes in no more than it may hold, however many there are", async () => {
  const omniq = runtime();
  let taken = 0;
  function* endless() {
    for (;;) yield [(taken += 1), 1] as const;
  }
  const values: number[] = [];

  for await (const { value } of omniq.map("add", endless(), { concurrency: 10 })) {
    values.push(value ?? 0);
    expect(taken).toBeLessThanOrEqual(values.length + 10);
    if (values.length === 200) break;
  }

  expect(new Set(values).size).toBe(200);
});

test("A01: a map ends with the first item that fails, or yields its error", async () => {
  const omniq = runtime();
  const inputs = [["a"], ["b"]] as const;
  const ended = await errorOf(async () => {
    for await (const _ of omniq.map("giveUp", inputs));
  });
  const errors: unknown[] = [];
  for await (const { error } of omniq.map("giveUp", inputs, { onError: "yield", ordered: true }))
    errors.push(error?.cause);

  expect(ended).toMatchObject({ code: "TASK_FAILED" });
  expect(errors).toMatchObject([{ message: "a" }, { message: "b" }]);
});

test("A01: a map with keys that is repeated takes the results that are there", async () => {
  const omniq = await open({ storage: aPlace() });
  const turns = async () => {
    const found: unknown[] = [];
    const items = omniq.map("tick", [["a"], ["b"]] as const, { key: ([label]) => label, ordered: true });
    for await (const { value } of items) found.push(value);
    return found;
  };

  const first = await turns();

  expect(await turns()).toEqual(first);
  expect(await omniq.count({ name: "tick" })).toBe(2);
});

test("A03: a runtime is closed at the end of its block", async () => {
  let leaked: Omniq;
  {
    await using omniq = await Omniq.open<typeof journeyTasks>({
      tasks: fixture("tasks.ts"),
      storage: "memory:",
      executors: { threads: 1 },
    });
    leaked = omniq;
    expect(await omniq.run("add", [1, 2])).toBe(3);
  }

  expect(await errorOf(() => leaked.stats())).toMatchObject({ code: "CLOSED" });
});

test("A03: what a block throws comes out of it, and the store is free", async () => {
  const storage = aPlace();
  const error = await errorOf(async () => {
    await using omniq = await Omniq.open({ tasks: fixture("tasks.ts"), storage, executors: { threads: 1 } });
    await omniq.stats();
    throw new Error("on purpose");
  });

  expect(error.message).toBe("on purpose");
  const again = await open({ storage });
  expect(await again.run("add", [1, 1])).toBe(2);
});

test.each([
  ["closes", []],
  ["throws", ["on purpose"]],
  ["does not open", ["TASK_MODULE"]],
])("A03: a process that %s ends by itself", async (how, said) => {
  const program = new Program("leaving.mjs", aPlace(), how);

  expect(await program.ended).toEqual({ code: 0, signal: null });
  expect(program.said).toEqual(said);
  expect(program.errors).toBe("");
});

test("A03: opening and closing again and again never fails", async () => {
  const storage = aPlace();
  for (let round = 0; round < 12; round++) {
    const omniq = await Omniq.open({ tasks: fixture("tasks.ts"), storage, executors: { threads: 1 } });
    expect(await omniq.run("add", [round, 1])).toBe(round + 1);
    await omniq.close();
  }
});

test("A04: a definition is still the function it was made of", () => {
  expect(add(1, 2)).toBe(3);
  expect(eager()).toBe(1);
});

test("A04: a definition gives the options of its tasks, and a call stands over them", async () => {
  const omniq = runtime();
  const [plain, called] = [
    await omniq.enqueue(eager, []),
    await omniq.enqueue("eager", [], { priority: 1, tags: ["called"] }),
  ];

  expect(await plain.record()).toMatchObject({
    priority: 5,
    maxRetries: 4,
    tags: ["defined"],
    metadata: { from: "definition" },
  });
  expect(await called.record()).toMatchObject({ priority: 1, maxRetries: 4, tags: ["called"] });
});

test("A04: static methods marked with @task are tasks", async () => {
  const omniq = await Omniq.open<typeof decorated>({
    tasks: fixture("decorated.ts"),
    storage: "memory:",
    executors: { threads: 1 },
  });
  const untyped: Omniq = omniq;

  expect(omniq.taskNames.toSorted()).toEqual(["Mail.send", "mail-all"]);
  expect(await omniq.run("Mail.send", ["you"])).toBe("post@example.org to you");
  const all = await untyped.enqueue("mail-all", [["a", "b"]]);
  expect(await all.result()).toBe(2);
  expect(await all.record()).toMatchObject({ queue: "mail", maxRetries: 2 });
  await omniq.close();
});

test("A04: there is no current task outside of a handler", async () => {
  expect(await errorOf(() => currentTask())).toMatchObject({ code: "NO_CURRENT_TASK" });
});

test("A05: a strict project compiles against the package, its declarations checked too", async () => {
  const folder = aPlace();
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules/omniq"), "dir");
  symlinkSync(join(root, "node_modules/@types"), join(folder, "node_modules/@types"), "dir");
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  const compilerOptions = {
    target: "ES2022",
    lib: ["ES2022", "ESNext.Disposable"],
    module: "NodeNext",
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
    allowImportingTsExtensions: true,
    types: ["node"],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["main.ts"] }));
  for (const [file, name] of [
    ["consumer-tasks.ts", "tasks.ts"],
    ["consumer-main.ts", "main.ts"],
  ] as const) {
    writeFileSync(join(folder, name), readFileSync(fixture(file), "utf8").replace("./consumer-tasks.ts", "./tasks.ts"));
  }
  const compile = () =>
    promisify(execFile)(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", folder]).then(
      () => "",
      (error: { stdout: string }) => error.stdout,
    );

  expect(await compile()).toBe("");

  // And it would have been noticed.
  writeFileSync(
    join(folder, "main.ts"),
    `${readFileSync(join(folder, "main.ts"), "utf8")}\nawait omniq.run("resize", [1, 2]);\n`,
  );
  expect(await compile()).toContain("TS2322");
});

describe("A06", () => {
  const classes = Object.entries(omniqModule).filter(
    ([, value]) => typeof value === "function" && value.prototype instanceof omniqModule.OmniqError,
  ) as [string, new (...args: never[]) => omniqModule.OmniqError][];
  const page = readFileSync(join(root, "docs/reference/errors.md"), "utf8");
  /** Makes an error of any class, whatever it is made from. */
  const make = (Class: new (...args: never[]) => omniqModule.OmniqError) => {
    const anything = {
      delay: 1,
      reason: "r",
      [Symbol.iterator]: () => [][Symbol.iterator](),
      join: () => "",
      map: () => [],
    };
    return new Class(...([anything, anything, anything] as never[]));
  };

  test("there are error classes, and each has a code of its own", () => {
    const codes = classes.map(([, Class]) => make(Class).code);

    expect(codes.length).toBeGreaterThan(20);
    expect(new Set(codes).size).toBe(codes.length);
    expect(codes.filter((code) => !/^[A-Z_]+$/.test(code))).toEqual([]);
  });

  test.each(classes)("%s is an Error with its own name, and has an entry in the reference", (name, Class) => {
    const error = make(Class);

    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe(name);
    expect(page).toContain(`| \`${name}\` | \`${error.code}\` |`);
  });

  test("errors that come from the supervisor are of their classes, and can be told apart", async () => {
    const omniq = runtime();
    const gate = new Gate();
    const handle = await omniq.enqueue("pass", [gate.folder], { id: "A06" });
    await gate.arrival("someone");

    const duplicate = await errorOf(() => omniq.enqueue("nothing", [], { id: "A06" }));
    const busy = await errorOf(() => omniq.delete(handle.id));

    expect(duplicate).toBeInstanceOf(omniqModule.DuplicateTaskError);
    expect(busy).toBeInstanceOf(omniqModule.TaskBusyError);
    expect(busy.stack).toContain("TaskBusyError");
    gate.open();
    await handle.wait();
  });

  test("a handler that throws an error of ours gives it its code", async () => {
    const outcome = await (await runtime().enqueue("giveUp", ["x"])).wait();

    expect(outcome.error).toBeInstanceOf(omniqModule.TaskFailedError);
    expect(outcome.error?.cause).toMatchObject({ code: "NON_RETRYABLE" });
  });
});

test("A07: nothing is written anywhere unless somebody asks for it", async () => {
  const program = new Program("quiet.mjs", aPlace());

  expect(await program.ended).toEqual({ code: 0, signal: null });
  expect(program.said).toEqual([]);
  expect(program.errors).toBe("");
});

test("A07: a logger is told of trouble, with fields and a message", async () => {
  const program = new Program("quiet.mjs", aPlace(), "logger");

  expect(await program.ended).toEqual({ code: 0, signal: null });
  const [logged] = program.said as [{ level: string; fields: string[]; message: string }[]];
  expect(logged.length).toBeGreaterThan(0);
  expect(logged.find(({ level, fields }) => level === "warn" && fields.includes("taskId"))?.message).toMatch(
    /thrown outside/,
  );
});

test("A07: the runtime goes on after what it logged", async () => {
  const seen: string[] = [];
  const shout = (_fields: object, message: string): void => {
    seen.push(message);
  };
  const omniq = await open({ logger: { debug: shout, info: shout, warn: shout, error: shout } });
  await (await omniq.enqueue("strayError", [])).wait();

  await eventually(() => seen.length > 0);

  expect(await omniq.run("add", [1, 2])).toBe(3);
});

test("a name that is defined twice in one module is one task when it is one function", () => {
  const once = defineTask("once", () => 1);

  expect(() => defineTask("again", once)).toThrow(/once/);
});
