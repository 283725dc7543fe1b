import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import type { Executor } from "../../../src/executor/executor.ts";
import { aCall, eventually, faultOf, fixture, Flight, valueOf, type Bench, type Call } from "./bench.ts";

const resourcesModule = new URL("../../../dist/task/resources.js", import.meta.url).href;

/** Middleware and resources. */
export function equipping(bench: Bench): void {
  const started = async (module = fixture("equipped.mjs")): Promise<Executor> => {
    const executor = bench.create({ modules: [module] });
    await executor.start();
    return executor;
  };
  const run = async (executor: Executor, ...call: Call) => (await new Flight(executor, [aCall(call)]).landed)[0];
  const messageOf = (report: Parameters<typeof faultOf>[0]): string => faultOf(report).error.message;
  const aFile = (): string => bench.write("", ".log");
  const linesOf = (file: string): string[] => readFileSync(file, "utf8").split("\n").slice(0, -1);

  describe("middleware", () => {
    test("lies around the handler in layers, the first outermost", async () => {
      const file = aFile();

      await run(await started(), "watched", file);

      expect(linesOf(file)).toEqual(["before outer", "before inner", "after inner", "after outer"]);
    });

    test("changes arguments, results and errors", async () => {
      const executor = await started();

      expect(valueOf(await run(executor, "doubled", 3))).toBe(6);
      expect(valueOf(await run(executor, "wrapped"))).toBe("outer(inner(result))");
      expect(messageOf(await run(executor, "broken"))).toBe("outer: inner: the handler");
    });

    test("that throws is the failure of the task, and is heard by the layers around it", async () => {
      const executor = await started();

      expect(messageOf(await run(executor, "refused"))).toBe("outer: not this one");
      expect(messageOf(await run(executor, "spoiled"))).toBe("outer: spoiled by inner");
    });

    test("that gives no list for arguments is the failure of the task", async () => {
      expect(messageOf(await run(await started(), "misled"))).toMatch(/no list of arguments/);
    });

    test("cannot be added while a handler runs", async () => {
      expect(messageOf(await run(await started(), "useInside"))).toMatch(/use\(\): is called by task modules/);
    });
  });

  describe("resources", () => {
    test("are set up once in a worker, whatever it runs at the same time", async () => {
      const executor = await started();
      const flights = Array.from({ length: executor.slots }, () => bench.fly([["resources"], ["resources"]], executor));

      const reports = (await Promise.all(flights.map(({ landed }) => landed))).flat();

      expect(reports.map(valueOf)).toEqual(
        reports.map(() => ({ setups: 1, opened: [], thread: expect.any(String), second: true })),
      );
    });

    test("are torn down in reverse order when the executor is closed", async () => {
      const executor = await started();
      const file = aFile();
      await run(executor, "opens", file, "door");

      await executor.close();

      expect(linesOf(file)).toEqual(["teardown second", "teardown first"]);
    });

    test("are torn down when their worker is replaced", async () => {
      const executor = await started();
      const file = aFile();

      await run(executor, "fallsApart", file);

      await eventually(() => linesOf(file).length === 2);
      expect(valueOf(await run(executor, "resources"))).toMatchObject({ setups: 1, opened: [] });
    });

    test("that cannot be torn down are told of, and the worker ends all the same", async () => {
      const executor = await started();
      await run(executor, "opens", aFile(), "fails");

      await executor.close();

      expect(bench.logged.map(({ error }) => error.message)).toContain("cannot close");
    });

    test("are not waited for where a handler does not let them go", async () => {
      const executor = await started();
      const file = aFile();
      const flight = bench.fly([["hangs", file]], executor);
      await flight.reaches(0);

      await executor.close();

      expect(linesOf(file)).toEqual([]);
    });

    test("that cannot be set up fail the task, and the next worker tries anew", async () => {
      const ready = bench.path();
      const tornDown = aFile();
      const text = `
        import { appendFileSync, existsSync } from "node:fs";
        import { defineResources } from ${JSON.stringify(resourcesModule)};
        defineResources(() => ({}), () => appendFileSync(${JSON.stringify(tornDown)}, "first\\n"));
        defineResources(async () => {
          if (!existsSync(${JSON.stringify(ready)})) throw new RangeError("no database");
          return {};
        });
        export const works = () => "well";`;
      const executor = await started(pathToFileURL(bench.write(text, ".mjs")).href);

      const [first, second] = await bench.fly([["works"], ["works"]], executor).landed;

      expect(faultOf(first)).toMatchObject({
        fault: { reason: "error", isRetryable: true },
        error: { code: "RESOURCE_SETUP", message: expect.stringContaining("RangeError: no database") },
      });
      expect(second?.end).toEqual({ type: "unstarted" });
      expect(linesOf(tornDown)).toEqual(["first"]);
      writeFileSync(ready, "");
      expect(valueOf(await run(executor, "works"))).toBe("well");
    });
  });
}
