import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Omniq, type OpenOptions } from "omniq";
import { describe, expect, onTestFinished, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { aPlace, fixture, linesOf, Program } from "../support/runtimes.ts";

async function open(options: Partial<OpenOptions> = {}): Promise<Omniq> {
  const tasks = fixture("talking.mjs");
  const omniq = await Omniq.open({ tasks, storage: "memory:", executors: { threads: 1 }, ...options });
  onTestFinished(() => omniq.close({ drain: 0 }));
  return omniq;
}

const kinds = ["thread", "process", "async"] as const;
const executors = { threads: 1, processes: 1, async: { concurrency: 4 } };

async function collected(progress: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const each of progress) all.push(each);
  return all;
}

/** The task, when it has ended; how it did. */
const ended = async (omniq: Omniq, id: string) => {
  await omniq.wait(id);
  return omniq.get(id);
};

describe("progress", () => {
  test.each(kinds)("is followed until the task ends in a %s, and is there afterwards", async (executor) => {
    const omniq = await open({ executors });
    const file = join(aPlace(), "go");
    const handle = await omniq.enqueue("climbs", [file, 4], { executor });
    const seen: unknown[] = [];

    for await (const progress of handle.progress()) {
      seen.push(progress);
      if ((progress as { done?: number }).done === 4) writeFileSync(file, "");
    }

    expect(seen.at(-1)).toBe("top");
    expect(seen).toContainEqual({ done: 4, total: 4 });
    expect(await handle.state()).toBe("completed");
    expect(await collected(handle.progress())).toEqual(["top"]);
  });

  test("begins with what was told before", async () => {
    const omniq = await open();
    const file = join(aPlace(), "go");
    const handle = await omniq.enqueue("climbs", [file, 1]);
    for await (const _ of handle.progress()) break;

    const { value } = await handle.progress().next();

    expect(value).toEqual({ done: 1, total: 1 });
    writeFileSync(file, "");
  });

  test("of a task that told none ends with the task, and of one that nobody knows with an error", async () => {
    const omniq = await open();
    const handle = await omniq.enqueue("signed", []);

    expect(await collected(handle.progress())).toEqual([]);
    await expect(collected(omniq.progress("nobody"))).rejects.toMatchObject({ code: "UNKNOWN_TASK_ID" });
  });

  test("ends with an error when the runtime is closed", async () => {
    const omniq = await open();
    const handle = await omniq.enqueue("climbs", [join(aPlace(), "never"), 1]);
    const progress = handle.progress();
    await progress.next();

    const next = collected(progress).catch((error: unknown) => error);
    await omniq.close({ drain: 0 });

    expect(await next).toMatchObject({ code: "CLOSED" });
  });
});

describe("logs", () => {
  test("of all attempts are kept with the task, also over a restart", async () => {
    const storage = aPlace();
    const omniq = await open({ storage });
    const handle = await omniq.enqueue("fallsOnce", []);
    await handle.wait();
    const lines = [
      { attempt: 1, at: expect.any(Number), level: "warn", message: "attempt 1" },
      { attempt: 2, at: expect.any(Number), level: "warn", message: "attempt 2" },
    ];
    expect(await handle.logs()).toEqual(lines);
    await omniq.close();

    const again = await open({ storage });
    expect(await again.logs(handle.id)).toEqual(lines);
    expect(await collected(again.progress(handle.id))).toEqual([2]);
    await again.delete(handle.id);
    expect(await again.logs(handle.id)).toEqual([]);
  });

  test("can be read while the task runs", async () => {
    const omniq = await open();
    const file = join(aPlace(), "go");
    const handle = await omniq.enqueue("climbs", [file, 3]);

    await eventually(async () => (await handle.logs()).length === 3);

    expect((await handle.logs()).at(-1)).toMatchObject({ level: "info", message: "step 3", fields: { step: 3 } });
    writeFileSync(file, "");
  });

  test("stop at the limit of the runtime", async () => {
    const omniq = await open({ maxLogBytes: 1_000 });
    const handle = await omniq.enqueue("chatters", [100]);
    await handle.result();
    expect((await handle.logs()).at(-1)).toMatchObject({ level: "warn", message: expect.stringContaining("full") });
  });
});

describe("stallTimeout", () => {
  test.each(kinds)("stops an attempt in a %s that is silent for longer", async (executor) => {
    const omniq = await open({ executors });
    for (const name of ["silent", "silentLoop"]) {
      const { id } = await omniq.enqueue(name, [], { executor });
      const record = await ended(omniq, id);
      expect(record).toMatchObject({ state: "failed", reason: "stalled", errors: [{ error: { code: "STALLED" } }] });
    }
  });

  test.each(kinds)("leaves an attempt in a %s alone that gives signs of life", async (executor) => {
    const omniq = await open({ executors });
    expect(await omniq.run("alive", [], { executor })).toBe("well");
  });
});

describe("a checkpoint", () => {
  test.each(kinds)("is not made again by the next attempt in a %s", async (executor) => {
    const omniq = await open({ executors });
    const file = join(aPlace(), "made");
    expect(await omniq.run("resumes", [file, "throw"], { executor })).toEqual([{ made: 1 }, 2]);
    expect(linesOf(file)).toEqual(["one", "two"]);
  });

  test.each(["thread", "process"] as const)("outlives the %s that made it", async (executor) => {
    const omniq = await open({ storage: aPlace(), executors });
    const file = join(aPlace(), "made");
    expect(await omniq.run("resumes", [file, "exit"], { executor })).toEqual([{ made: 1 }, 2]);
    expect(linesOf(file)).toEqual(["one", "two"]);
  });

  test("outlives a program that was killed, since it was on disk before it was given", async () => {
    const storage = aPlace();
    const file = join(aPlace(), "made");
    const program = new Program("resuming.mjs", storage, file);
    await program.hasSaid(1);
    await program.kill();
    writeFileSync(`${file}.go`, "");

    const omniq = await open({ storage });

    expect(await omniq.result(program.said[0] as string)).toEqual([{ made: 1 }, 1]);
    expect(linesOf(file)).toEqual(["one", "two"]);
  });

  test("of one task is nobody else's", async () => {
    const omniq = await open();
    const [first, second] = [join(aPlace(), "made"), join(aPlace(), "made")];
    await Promise.all([first, second].map((file) => omniq.run("resumes", [file])));
    expect([linesOf(first), linesOf(second)]).toEqual([
      ["one", "two"],
      ["one", "two"],
    ]);
  });

  test("is refused in a sync handler, with advice", async () => {
    const omniq = await open();
    const { id } = await omniq.enqueue("forgetsToWait", []);
    expect((await ended(omniq, id))?.errors[0]?.error.message).toMatch(/Make the handler async, and await it/);
  });
});

test("what an attempt says and stores when another has taken its place is refused and counted", async () => {
  const omniq = await open({ executors: { threads: 1, async: { concurrency: 2 } }, executor: "async" });
  const file = join(aPlace(), "file");
  const handle = await omniq.enqueue("outstays", [file]);

  expect(await handle.result()).toBe("second");

  expect(linesOf(`${file}.refused`)).toEqual(["CANCELLED"]);
  expect(await collected(handle.progress())).toEqual(["second"]);
  expect((await omniq.stats()).totals.late).toBeGreaterThan(0);
});

test.each(kinds)("middleware and resources are there in a %s", async (executor) => {
  const omniq = await open({ executors });
  const file = join(aPlace(), "door");

  expect(await omniq.run("signed", [], { executor })).toBe("done, signed");
  await omniq.run("opens", [file], { executor });
  await omniq.close();

  expect(linesOf(file)).toEqual(["closed"]);
});
