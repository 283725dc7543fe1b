import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Omniq, type OpenOptions } from "omniq";
import { describe, expect, onTestFinished, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { aPlace, fixture, linesOf } from "../support/runtimes.ts";

const kinds = ["thread", "process", "async"] as const;

async function open(options: Partial<OpenOptions> = {}): Promise<Omniq> {
  const executors = { threads: 1, processes: 1, async: { concurrency: 4 } };
  const omniq = await Omniq.open({ tasks: fixture("parents.mjs"), storage: "memory:", executors, ...options });
  onTestFinished(() => omniq.close({ drain: 0 }));
  return omniq;
}

describe("a task that a running task asks for", () => {
  test.each(kinds)("is stored with its options and runs, asked for in a %s", async (executor) => {
    const omniq = await open();
    const { id } = (await omniq.run("asks", ["child", ["a"], { tags: ["small"] }], { executor })) as { id: string };

    expect(await omniq.result(id)).toBe("a");
    expect(await omniq.get(id)).toMatchObject({ name: "child", queue: "children", maxRetries: 2, tags: ["small"] });
  });

  test("may be named by its definition", async () => {
    const omniq = await open();
    const { id } = (await omniq.run("asksByDefinition", [])) as { id: string };

    expect(await omniq.result(id)).toBe("by definition");
    expect(await omniq.get(id)).toMatchObject({ priority: 3 });
  });

  test.each([
    ["an unknown name", ["childs", []], "UNKNOWN_TASK"],
    ["an unknown option", ["child", [], { prioritty: 1 }], "UNKNOWN_OPTION"],
    ["a wrong option", ["child", [], { priority: 1e9 }], "INVALID_ARGUMENT"],
    ["no list of arguments", ["child", "a"], "INVALID_ARGUMENT"],
    ["no name", [{}, []], "NOT_A_TASK"],
    ["an executor that is not open", ["child", [], { executor: "gpu" }], "INVALID_ARGUMENT"],
  ])("is refused for %s, and nothing is stored", async (_what, args, code) => {
    const omniq = await open();

    expect(await omniq.run("asks", args)).toMatchObject({ code });
    expect(await omniq.count({ name: "child" })).toBe(0);
  });

  test("names the nearest known name when its own is unknown", async () => {
    const omniq = await open();
    expect(await omniq.run("asks", ["childs", []])).toMatchObject({ message: expect.stringContaining('"child"') });
  });

  test("may be left out for one that has its key", async () => {
    const omniq = await open({ queues: { children: { paused: true } } });
    const options = { dedupeKey: "one", onConflict: "skip" };

    expect(await omniq.run("asks", ["child", [1], options])).toMatchObject({ id: expect.any(String) });
    expect(await omniq.run("asks", ["child", [2], options])).toBeUndefined();
    expect(await omniq.count({ name: "child" })).toBe(1);
  });

  test("is stored once by all attempts if it has an id, and by each of them if not", async () => {
    const omniq = await open({ storage: aPlace() });
    await omniq.run("asksTwice", ["the-one"], { maxRetries: 1, retryDelay: 1 });
    await omniq.drain();

    const { tasks } = await omniq.list({ name: "child" });
    const labels = await Promise.all(tasks.map(({ id }) => omniq.result(id)));
    expect(labels.toSorted()).toEqual(["anew", "anew", "once"]);
  });

  test("is there after a restart", async () => {
    const storage = aPlace();
    const queues = { children: { paused: true } };
    const first = await open({ storage, queues });
    const { id } = (await first.run("asks", ["child", ["later"]])) as { id: string };
    await first.close();

    const second = await open({ storage, queues: { children: { paused: false } } });
    expect(await second.result(id)).toBe("later");
  });

  test("is refused when the attempt that asks is over", async () => {
    const omniq = await open();
    const file = join(aPlace(), "answers");
    const handle = await omniq.enqueue("asksTooLate", [file], { executor: "async", timeout: 20 });
    await handle.wait();
    writeFileSync(`${file}.go`, "");
    await eventually(() => linesOf(file).length === 1);

    expect(linesOf(file)[0]).toContain("CANCELLED");
    expect(await omniq.count({ name: "child" })).toBe(0);
  });
});
