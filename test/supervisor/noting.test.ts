import { describe, expect, test } from "vitest";
import type { AttemptNote, RunObserver } from "../../src/executor/executor.ts";
import type { ProgressSink } from "../../src/supervisor/protocol.ts";
import type { TaskId } from "../../src/task/task.ts";
import { aTask, someBytes } from "../support/tasks.ts";
import { birth, TestSupervisor } from "./test-supervisor.ts";

const aLine = (message: string): NonNullable<AttemptNote["lines"]>[number] => ({
  attempt: 1,
  at: birth,
  level: "info",
  message,
});

/** A supervisor with a task that runs for ever. */
async function running(request: Parameters<typeof aTask>[0] = {}): Promise<TestSupervisor> {
  const supervisor = await TestSupervisor.start({ behave: () => ({ durationMs: Infinity, onStop: "obey" }) });
  await supervisor.enqueue(aTask({ id: "t", ...request }));
  await supervisor.settle();
  supervisor.storage.commits.splice(0);
  return supervisor;
}

const observerOf = ({ executor }: TestSupervisor): RunObserver => {
  const observer = executor.observers.get("t");
  if (observer === undefined) throw new Error("The task was not started.");
  return observer;
};

const say = (supervisor: TestSupervisor, said: Omit<AttemptNote, "id" | "attempt"> = {}, attempt = 1): void =>
  observerOf(supervisor).noted?.({ id: "t", attempt, ...said });

/** Takes notes of the progress of "t". */
async function follow(supervisor: TestSupervisor): Promise<{ seen: number[]; stop: () => Promise<void> }> {
  const seen: number[] = [];
  const sink: ProgressSink = { progressed: (_id: TaskId, progress) => void seen.push(progress[0] ?? -1) };
  supervisor.queue.tell({ type: "follow", id: "t", sink });
  await supervisor.settle();
  return {
    seen,
    async stop() {
      supervisor.queue.tell({ type: "stopFollowing", id: "t", sink });
      await supervisor.settle();
    },
  };
}

describe("what an attempt says", () => {
  test("is stored together a moment later", async () => {
    const supervisor = await running();
    for (let n = 1; n <= 5; n++) say(supervisor, { progress: someBytes(n), lines: [aLine(`${n}`)] });
    await supervisor.advance(99);
    expect(supervisor.storage.commitsOf("note")).toHaveLength(0);

    await supervisor.advance(1);

    expect(supervisor.storage.commitsOf("note")).toHaveLength(1);
    const notes = await supervisor.storage.inner.notes("t");
    expect(notes).toEqual({ progress: someBytes(5), lines: ["1", "2", "3", "4", "5"].map(aLine) });
  });

  test("is stored with the end of the attempt when that comes first", async () => {
    const supervisor = await running();
    say(supervisor, { progress: someBytes(1) });
    void supervisor.cancel(["t"], "terminate");
    await supervisor.settle();

    expect((await supervisor.life("t")).state).toBe("cancelled");
    expect((await supervisor.storage.inner.notes("t")).progress).toEqual(someBytes(1));
    expect(supervisor.storage.commitsOf("note").map((changes) => changes.map(({ type }) => type))).toEqual([
      ["note", "settle", "claim"],
    ]);
  });

  test("is shown at once to those who follow the task, until they have seen enough", async () => {
    const supervisor = await running();
    const { seen, stop } = await follow(supervisor);
    say(supervisor, { progress: someBytes(1) });
    await supervisor.settle();
    expect(seen).toEqual([1]);

    await stop();
    say(supervisor, { progress: someBytes(2) });
    await supervisor.settle();

    expect(seen).toEqual([1]);
  });

  test("is shown to those who come before it is stored", async () => {
    const supervisor = await running();
    say(supervisor, { progress: someBytes(1) });
    await supervisor.settle();

    expect((await follow(supervisor)).seen).toEqual([1]);
  });

  test("is not shown, is refused and counted when the attempt is not the current one", async () => {
    const supervisor = await running();
    const { seen } = await follow(supervisor);
    say(supervisor, { progress: someBytes(1) }, 7);
    await supervisor.advance(100);

    expect(seen).toEqual([]);
    expect((await supervisor.storage.inner.notes("t")).progress).toBeUndefined();
    expect((await supervisor.storage.inner.counts()).totals.late).toBe(1);
  });

  test("costs no write when it was a sign of life only", async () => {
    const supervisor = await running();
    say(supervisor);
    await supervisor.advance(1_000);

    expect(supervisor.storage.commitsOf("note")).toHaveLength(0);
  });
});

describe("a checkpoint", () => {
  const value = someBytes(4);
  const keep = (supervisor: TestSupervisor, attempt = 1) =>
    observerOf(supervisor).keep?.({ id: "t", attempt, key: "k", value });

  test("is on disk when that is answered, and found again", async () => {
    const supervisor = await running();
    supervisor.storage.latencyMs = 5;
    const kept = keep(supervisor);
    await supervisor.advance(5);

    expect(await kept).toBe(true);
    expect(await supervisor.storage.inner.checkpoint("t", "k")).toEqual(value);
    const recalled = observerOf(supervisor).recall?.("t", "k");
    await supervisor.settle();
    expect(await recalled).toEqual(value);
  });

  test("is refused when the attempt is not the current one", async () => {
    const supervisor = await running();
    const kept = keep(supervisor, 7);
    await supervisor.settle();

    expect(await kept).toBe(false);
    expect(await supervisor.storage.inner.checkpoint("t", "k")).toBeUndefined();
  });

  test("that cannot be stored says why", async () => {
    const supervisor = await running();
    supervisor.storage.refuse = () => new RangeError("no room");
    const kept = keep(supervisor)?.catch((error: unknown) => error);
    await supervisor.settle();

    expect(await kept).toEqual(new RangeError("no room"));
  });
});

describe("stallTimeout", () => {
  const stalled = { state: "failed", reason: "stalled", failed: [{ error: { code: "STALLED" } }] };

  test("stops an attempt that has said nothing for so long, and not before", async () => {
    const supervisor = await running({ stallTimeoutMs: 300 });
    await supervisor.advance(299);
    expect((await supervisor.life("t")).state).toBe("running");

    await supervisor.advance(1);

    expect(await supervisor.life("t")).toMatchObject(stalled);
  });

  test("counts from the last sign of life", async () => {
    const supervisor = await running({ stallTimeoutMs: 300 });
    for (let beat = 0; beat < 10; beat++) {
      await supervisor.advance(299);
      say(supervisor);
    }
    await supervisor.advance(299);
    expect((await supervisor.life("t")).state).toBe("running");

    await supervisor.advance(1);

    expect(await supervisor.life("t")).toMatchObject(stalled);
  });

  test("uses up a retry, and the next attempt has its own time", async () => {
    const supervisor = await running({ stallTimeoutMs: 300, maxRetries: 1, backoff: aFixedBackoff(50) });
    await supervisor.advance(300);
    expect(await supervisor.life("t")).toMatchObject({ state: "retrying", failures: 1 });

    await supervisor.advance(50 + 299);
    expect(await supervisor.life("t")).toMatchObject({ state: "running", attempt: 2 });
    await supervisor.advance(1);

    expect(await supervisor.life("t")).toMatchObject({ state: "failed", reason: "stalled", attempt: 2 });
  });

  test("leaves the timeout as it is", async () => {
    const supervisor = await running({ stallTimeoutMs: 300, timeoutMs: 500 });
    for (let beat = 0; beat < 4; beat++) {
      await supervisor.advance(125);
      say(supervisor);
    }
    await supervisor.settle();

    expect(await supervisor.life("t")).toMatchObject({ state: "failed", reason: "timeout" });
  });
});

const aFixedBackoff = (delayMs: number) => ({ type: "fixed", delayMs, factor: 1, maxMs: delayMs, jitter: 0 }) as const;
