import { describe, expect, test } from "vitest";
import { Demand } from "../../src/supervisor/demand.ts";
import { handlerKey } from "../../src/task/task.ts";
import { aTask } from "../support/tasks.ts";
import { TestSupervisor, type SupervisorOptions } from "./test-supervisor.ts";

const ended = { state: "completed" };
const waiting = { state: "ready", attempt: 0 };

async function start(options: SupervisorOptions = {}) {
  const supervisor = await TestSupervisor.start({ threads: 2, behave: () => ({ durationMs: 100 }), ...options });
  const full = supervisor.executor.slots;
  /** As a relay does that hands over to other workers, or to none. */
  const resize = async (slots: number): Promise<void> => {
    Object.assign(supervisor.executor, { slots });
    supervisor.dispatcher.tell({ type: "executorsChanged" });
    await supervisor.settle();
  };
  return { supervisor, close: () => resize(0), reopen: () => resize(full) };
}

describe("an executor that is closed while the supervisor runs", () => {
  test("is given nothing, however important", async () => {
    const { supervisor, close } = await start();
    await close();
    await supervisor.enqueue(aTask({ id: "usual" }), aTask({ id: "urgent", priority: 100 }));
    await supervisor.advance(1_000);

    expect(await supervisor.life("usual")).toMatchObject(waiting);
    expect(await supervisor.life("urgent")).toMatchObject(waiting);
    expect(supervisor.executor.starts).toEqual([]);
  });

  test("gives back what was claimed for it and not started, as if it never had been", async () => {
    const { supervisor, close } = await start();
    const tasks = Array.from({ length: 20 }, (_, n) => aTask({ id: `task-${n}` }));
    await supervisor.enqueue(...tasks);
    await supervisor.advance(10);
    const started = supervisor.executor.starts.map(({ id }) => id);
    await close();
    await supervisor.advance(1_000);

    expect(started.length).toBeGreaterThan(0);
    for (const { id } of tasks) expect(await supervisor.life(id)).toMatchObject(started.includes(id) ? ended : waiting);
    expect(supervisor.executor.starts.map(({ id }) => id)).toEqual(started);
  });

  test("runs what has waited for it, when it is open again", async () => {
    const { supervisor, close, reopen } = await start();
    const tasks = Array.from({ length: 20 }, (_, n) => aTask({ id: `again-${n}` }));
    await supervisor.enqueue(...tasks);
    await supervisor.advance(10);
    await close();
    await supervisor.advance(1_000);
    await reopen();
    await supervisor.advance(5_000);

    for (const { id } of tasks) expect(await supervisor.life(id)).toMatchObject(ended);
    expect(new Set(supervisor.executor.starts.map(({ id }) => id)).size).toBe(supervisor.executor.starts.length);
  });

  test("costs nobody who waits for an answer more than time", async () => {
    const { supervisor, close, reopen } = await start();
    await supervisor.enqueue(aTask({ id: "awaited" }), aTask(), aTask(), aTask(), aTask());
    await close();
    await supervisor.advance(500);
    await reopen();
    await supervisor.advance(2_000);

    expect(supervisor.listener.of("awaited")).toMatchObject([ended]);
    expect(supervisor.crashes).toEqual([]);
  });
});

describe("names that change while the supervisor runs", () => {
  const changed = (supervisor: TestSupervisor): Promise<void> => {
    supervisor.dispatcher.tell({ type: "executorsChanged" });
    return supervisor.answered((reply) => ({ type: "namesChanged", reply }));
  };

  test("set aside what was about to start under a name that is gone", async () => {
    const names = new Set(["greet", "long"]);
    const { supervisor } = await start({ names, threads: 1 });
    await supervisor.enqueue(aTask({ id: "runs", name: "long" }), aTask({ id: "next" }), aTask({ id: "last" }));
    await supervisor.advance(10);
    names.delete("greet");
    await changed(supervisor);
    await supervisor.advance(1_000);

    expect(await supervisor.life("runs")).toMatchObject(ended);
    for (const id of ["next", "last"]) expect(await supervisor.life(id)).toMatchObject({ ...waiting, parked: true });
  });

  test("let what was set aside run, once its name is there", async () => {
    const names = new Set(["long"]);
    const { supervisor } = await start({ names });
    await supervisor.enqueue(aTask({ id: "unknown" }));
    await supervisor.advance(100);
    expect(await supervisor.life("unknown")).toMatchObject({ parked: true });
    names.add("greet");
    await changed(supervisor);
    await supervisor.advance(1_000);

    expect(await supervisor.life("unknown")).toMatchObject(ended);
    expect(await supervisor.storage.inner.parked()).toEqual(new Map());
  });

  test("leave aside, untouched, what is of another version", async () => {
    const names = new Set(["long"]);
    const { supervisor } = await start({ names });
    await supervisor.enqueue(aTask({ id: "one", version: "1" }), aTask({ id: "two", version: "2" }));
    await supervisor.advance(100);
    supervisor.storage.commits.splice(0);
    names.add(handlerKey({ name: "greet", version: "2" }));
    await changed(supervisor);
    await supervisor.advance(1_000);

    expect(await supervisor.life("two")).toMatchObject(ended);
    expect(await supervisor.life("one")).toMatchObject({ parked: true, attempt: 0 });
    expect(supervisor.storage.ends.filter(({ id }) => id === "one")).toHaveLength(1);
  });

  test("leave aside what still has no name", async () => {
    const names = new Set(["long"]);
    const { supervisor } = await start({ names });
    await supervisor.enqueue(aTask({ id: "unknown" }));
    await supervisor.advance(100);
    names.add("other");
    await changed(supervisor);
    await supervisor.advance(1_000);

    expect(await supervisor.life("unknown")).toMatchObject({ parked: true, attempt: 0 });
  });
});

describe("demand", () => {
  test("of an executor that has no workers now is claimed when it has some", () => {
    const demand = new Demand(() => "thread");
    demand.restart(new Map([["thread", 6]]), new Map([["thread", 2]]));

    demand.setWorkers(new Map([["thread", 0]]));
    expect(demand.isOpen).toBe(false);
    expect(demand.take()).toBeUndefined();

    demand.setWorkers(new Map([["thread", 1]]));
    expect(demand.take()).toMatchObject({ limit: 6 });
  });
});
