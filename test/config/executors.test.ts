import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { prepareTaskDefaults, resolveOpenOptions, resolveSizes, resolveTaskOptions } from "../../src/config/resolve.ts";
import { caught } from "../support/options.ts";

const executorsOf = (executors: object, executor?: string) =>
  resolveOpenOptions({ tasks: [], executors, executor }).executors;

/** The request of a call, with the executors of a runtime. */
function requestOf(call: object, executors: object = {}, definition: object = {}) {
  const options = resolveOpenOptions({ tasks: [], executors });
  return resolveTaskOptions(call, prepareTaskDefaults("render", definition, options), 0).request;
}

describe("custom executors", () => {
  test("are file URLs by their names", () => {
    const url = new URL("file:///srv/gpu.js");

    expect(executorsOf({ custom: { gpu: url, fpga: "./fpga.js" } }).custom).toEqual(
      new Map([
        ["gpu", "file:///srv/gpu.js"],
        ["fpga", pathToFileURL(resolve("fpga.js")).href],
      ]),
    );
  });

  test("may be named as the default", () => {
    expect(executorsOf({ custom: { gpu: "./gpu.js" } }, "gpu").byDefault).toBe("gpu");
  });

  test.each([
    [{ gpu: 1 }, "options.executors.custom.gpu"],
    [{ gpu: "" }, "options.executors.custom.gpu"],
    [{ "": "./gpu.js" }, "options.executors.custom: a name"],
    [{ thread: "./gpu.js" }, "options.executors.custom.thread"],
    [["./gpu.js"], "options.executors.custom"],
  ])("that make no sense are refused by their place (%j)", (custom, path) => {
    expect(caught(() => executorsOf({ custom }))).toMatchObject({ code: "INVALID_ARGUMENT", path });
  });

  test.each(["gpu", "__proto__", "constructor"])("that nobody opened cannot be named (%s)", (executor) => {
    expect(caught(() => requestOf({ executor }))).toMatchObject({ code: "INVALID_ARGUMENT", path: "options.executor" });
    expect(caught(() => executorsOf({}, executor))).toMatchObject({
      code: "INVALID_ARGUMENT",
      path: "options.executor",
    });
  });
});

describe("a limit of memory", () => {
  const executors = { processes: 1 };

  test("is kept in bytes", () => {
    expect(requestOf({ executor: "process", memory: "512mb" }, executors).memoryBytes).toBe(512 * 2 ** 20);
    expect(requestOf({ executor: "process" }, executors, { memory: 1e9 }).memoryBytes).toBe(1e9);
    expect(requestOf({ executor: "process" }, executors).memoryBytes).toBeUndefined();
  });

  test.each(["63mb", 1_000, "much", -1, null, {}])("is refused when it is too little, or none: %j", (memory) => {
    expect(caught(() => requestOf({ executor: "process", memory }, executors))).toMatchObject({
      code: "INVALID_ARGUMENT",
      path: "options.memory",
    });
  });

  test("of a definition is refused where a call has it run elsewhere", () => {
    const definition = { executor: "process", memory: "1gb" };

    expect(requestOf({}, executors, definition).executor).toBe("process");
    expect(caught(() => requestOf({ executor: "thread" }, executors, definition))).toMatchObject({
      code: "INVALID_ARGUMENT",
      path: "options.memory",
    });
  });
});

describe("new sizes", () => {
  const before = executorsOf({ threads: 2, processes: 1, environment: ["HOME"], custom: { gpu: "./gpu.js" } });

  test("take the place of those that are given, and of no others", () => {
    expect(resolveSizes({ executors: { threads: 4 } }, before)).toEqual({ ...before, threads: 4 });
    expect(resolveSizes({ executors: { async: { concurrency: 50 } } }, before)).toEqual({ ...before, promises: 50 });
    expect(resolveSizes({ executors: { processes: 0, async: {} } }, before)).toEqual({ ...before, processes: 0 });
  });

  test.each([{}, { executors: {} }, { executors: undefined }, undefined])("may be none (%j)", (patch) => {
    expect(resolveSizes(patch, before)).toEqual(before);
  });
});
