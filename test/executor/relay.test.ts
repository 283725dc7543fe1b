import { describe, expect, test } from "vitest";
import { ClosedError } from "../../src/base/errors.ts";
import type { AttemptReport, Executor, Run, RunObserver } from "../../src/executor/executor.ts";
import { Relay } from "../../src/executor/relay.ts";
import type { Payload, StoredTask } from "../../src/task/task.ts";
import { aCall, endsOf } from "../conformance/executor/bench.ts";

/** An executor whose every end is decided by the test. */
class Puppet implements Executor {
  readonly slots: number;
  readonly runs: { readonly batch: readonly StoredTask[]; readonly observer: RunObserver; isRevoked: boolean }[] = [];
  isClosed = false;
  closeError: Error | undefined;
  runError: Error | undefined;
  #answer = (_args: Payload[]): void => {};

  constructor(slots = 2) {
    this.slots = slots;
  }

  async start(): Promise<never[]> {
    return [];
  }

  run(batch: readonly StoredTask[], observer: RunObserver): Run {
    if (this.runError !== undefined) throw this.runError;
    const run = { batch, observer, isRevoked: false };
    this.runs.push(run);
    return { current: () => undefined, revoke: () => void (run.isRevoked = true), stop() {} };
  }

  validate(): Promise<Payload[]> {
    return new Promise((resolve) => (this.#answer = resolve));
  }

  answer(): void {
    this.#answer([]);
  }

  finish(index: number): void {
    const { batch, observer } = this.runs[index] ?? expect.fail("was never given");
    observer.ended(batch.map(({ id }) => ({ id, end: { type: "value", result: new Uint8Array(0) } })));
    observer.idle();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    if (this.closeError !== undefined) throw this.closeError;
  }
}

function setUp(first = new Puppet()) {
  const logged: string[] = [];
  const relay = new Relay((message, thrown) => void logged.push(`${message} ${String(thrown)}`));
  const reports: AttemptReport[] = [];
  let idle = 0;
  const observer = { ended: (more: readonly AttemptReport[]) => void reports.push(...more), idle: () => void idle++ };
  relay.handOver(first);
  return {
    relay,
    first,
    logged,
    reports,
    observer,
    run: () => relay.run([aCall(["noop"])], observer),
    idle: () => idle,
  };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a relay", () => {
  test("has no slots before it has an executor, and refuses work", () => {
    const relay = new Relay(() => expect.fail("nothing is thrown"));

    expect(relay.slots).toBe(0);
    expect(() => relay.run([], { ended() {}, idle() {} })).toThrow(ClosedError);
  });

  test("has the slots of the executor that it handed over to", () => {
    const { relay } = setUp(new Puppet(2));
    relay.handOver(new Puppet(6));

    expect(relay.slots).toBe(6);
  });

  test("gives work to the last executor alone", () => {
    const { relay, first, run } = setUp();
    const second = new Puppet();
    relay.handOver(second);
    run();

    expect([first.runs.length, second.runs.length]).toEqual([0, 1]);
  });

  test("takes back what the executor before has not begun", () => {
    const { relay, first, run } = setUp();
    run();
    relay.handOver(new Puppet());

    expect(first.runs.map(({ isRevoked }) => isRevoked)).toEqual([true]);
  });

  test("passes on how the last tasks of the executor before end, and closes it then", async () => {
    const { relay, first, run, reports, idle } = setUp();
    run();
    run();
    relay.handOver(new Puppet());
    first.finish(0);
    expect(first.isClosed).toBe(false);
    first.finish(1);

    expect(endsOf(reports)).toEqual(["value", "value"]);
    expect(idle()).toBe(2);
    expect(first.isClosed).toBe(true);
  });

  test("closes an executor that has nothing to do at once", () => {
    const { relay, first } = setUp();
    relay.handOver(undefined);

    expect(first.isClosed).toBe(true);
    expect(relay.slots).toBe(0);
  });

  test("waits for a check of arguments before it closes the executor that makes it", async () => {
    const { relay, first } = setUp();
    const check = relay.validate("noop", []);
    relay.handOver(new Puppet());
    expect(first.isClosed).toBe(false);
    first.answer();
    await check;
    await settled();

    expect(first.isClosed).toBe(true);
  });

  test("logs why the executor before could not be closed", async () => {
    const { relay, first, logged } = setUp();
    first.closeError = new Error("the device is stuck");
    relay.handOver(undefined);
    await settled();

    expect(logged).toEqual(["An executor that was relieved could not be closed. Error: the device is stuck"]);
  });

  test("logs why a batch was refused, and passes that on", () => {
    const { first, logged, run } = setUp();
    first.runError = new Error("not now");

    expect(run).toThrow(first.runError);
    expect(logged).toEqual(["An executor refused a batch; it is given again. Error: not now"]);
  });

  test("that is closed closes every executor that still has work", async () => {
    const { relay, first, run } = setUp();
    const second = new Puppet();
    run();
    relay.handOver(second);
    await relay.close();

    expect([first.isClosed, second.isClosed]).toEqual([true, true]);
    expect(relay.slots).toBe(0);
  });
});
