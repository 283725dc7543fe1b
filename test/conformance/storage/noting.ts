import { expect, it } from "vitest";
import type { TaskNote } from "../../../src/storage/storage.ts";
import type { LogLine } from "../../../src/task/log-line.ts";
import type { StoredTask, TaskId } from "../../../src/task/task.ts";
import { aTask, birth, someBytes } from "../../support/tasks.ts";
import { noTallies, type Bench } from "./bench.ts";

const aLine = (message: string, attempt = 1): LogLine => ({ attempt, at: birth, level: "info", message });
const bytesOf = (payload: Uint8Array | undefined): readonly number[] | undefined => payload && [...payload];

export function noting(bench: Bench): void {
  const note = async ({ id, life }: StoredTask, what: Omit<TaskNote, "id" | "fence">): Promise<boolean> => {
    const fence = { epoch: bench.epoch, attempt: life.attempt };
    const [[counted]] = await bench.storage.commit([{ type: "note", notes: [{ id, fence, ...what }] }]);
    return counted === true;
  };
  const progressOf = async (id: TaskId) => bytesOf((await bench.storage.notes(id)).progress);
  const messagesOf = async (id: TaskId) => (await bench.storage.notes(id)).lines.map(({ message }) => message);
  const checkpointOf = async (id: TaskId, key: string) => bytesOf(await bench.storage.checkpoint(id, key));
  const everything = { progress: someBytes(1), lines: [aLine("one")], checkpoint: { key: "k", value: someBytes(2) } };
  const expectNothing = async (id: TaskId): Promise<void> => {
    expect(await bench.storage.notes(id)).toEqual({ lines: [] });
    expect(await checkpointOf(id, "k")).toBeUndefined();
  };

  it("has no notes of tasks that said nothing", async () => {
    await bench.running(aTask({ id: "t" }));
    await expectNothing("t");
    await expectNothing("nobody");
  });

  it("keeps the newest progress, all lines and the first value of a checkpoint", async () => {
    const task = await bench.running(aTask({ id: "t" }));
    await note(task, { ...everything, lines: [aLine("one"), { ...aLine("two"), fields: { at: [1] } }] });
    await note(task, {
      progress: someBytes(3),
      lines: [aLine("three")],
      checkpoint: { key: "k", value: someBytes(4) },
    });
    await note(task, { checkpoint: { key: "other", value: someBytes(5) } });
    expect(await progressOf("t")).toEqual([3]);
    expect((await bench.storage.notes("t")).lines).toEqual([
      aLine("one"),
      { ...aLine("two"), fields: { at: [1] } },
      aLine("three"),
    ]);
    expect([await checkpointOf("t", "k"), await checkpointOf("t", "other")]).toEqual([[2], [5]]);
  });

  it("tells tasks apart, also when the id of one begins another", async () => {
    for (const id of ["a", "ab", "b"]) {
      await note(await bench.running(aTask({ id })), {
        lines: [aLine(id)],
        checkpoint: { key: id, value: someBytes(1) },
      });
    }
    expect(await Promise.all(["a", "ab", "b"].map(messagesOf))).toEqual([["a"], ["ab"], ["b"]]);
    expect(await checkpointOf("a", "b")).toBeUndefined();
    await bench.delete(["a"], { force: true });
    expect(await messagesOf("ab")).toEqual(["ab"]);
  });

  it("keeps notes for the attempts that follow, across openings, and after the end", async () => {
    const first = await bench.running(aTask({ id: "t" }));
    await note(first, everything);
    await bench.settle(
      first,
      { to: "ready", cause: "interrupted", ...noTallies, interruptions: 1 },
      { startedAt: birth },
    );
    await bench.reopen();
    const second = await bench.claimOne();
    await note(second, { lines: [aLine("again", 2)] });
    await bench.complete(second);
    expect(await messagesOf("t")).toEqual(["one", "again"]);
    expect([await progressOf("t"), await checkpointOf("t", "k")]).toEqual([[1], [2]]);
  });

  it("refuses and counts what an attempt says that is not the current one", async () => {
    const first = await bench.running(aTask({ id: "t" }));
    await bench.retry(first, birth);
    expect(await note(first, everything)).toBe(false);
    await bench.advance(birth);
    await bench.claimOne();
    expect(await note(first, everything)).toBe(false);
    await expectNothing("t");
    expect((await bench.storage.counts()).totals.late).toBe(2);
  });

  it("refuses what an earlier opening says", async () => {
    const task = await bench.running(aTask({ id: "t" }));
    const { epoch } = bench;
    await bench.reopen();
    await bench.claimOne();
    const fence = { epoch, attempt: task.life.attempt };
    const [[counted]] = await bench.storage.commit([{ type: "note", notes: [{ id: "t", fence, ...everything }] }]);
    expect(counted).toBe(false);
    await expectNothing("t");
  });

  it("takes notes and the end of their attempt in one list", async () => {
    const { id, life } = await bench.running(aTask({ id: "t" }));
    const fence = { epoch: bench.epoch, attempt: life.attempt };
    const end = { to: "completed", result: someBytes(9) } as const;
    const answers = await bench.storage.commit([
      { type: "note", notes: [{ id, fence, progress: someBytes(1) }] },
      { type: "settle", now: birth, settlements: [{ id, fence, end }] },
      { type: "note", notes: [{ id, fence, progress: someBytes(2) }] },
    ]);
    expect(answers).toEqual([[true], [true], [false]]);
    expect(await progressOf("t")).toEqual([1]);
  });

  it("forgets notes with their tasks", async () => {
    // Tasks of one call may be kept, and forgotten, together.
    await bench.enqueue(...["a", "b"].map((id) => aTask({ id })), aTask(), aTask());
    const tasks = (await bench.claim()).tasks;
    for (const task of tasks) await note(task, everything);
    for (const task of tasks) await bench.complete(task, birth);
    await bench.storage.commit([{ type: "prune", now: birth + 1_000, limit: 1_000 }]);
    for (const { id } of tasks) await expectNothing(id);
    await bench.enqueue(aTask({ id: "c" }));
    await note(await bench.claimOne(), everything);
    await bench.delete(["c"], { force: true });
    await expectNothing("c");
  });

  it("forgets the notes of a task whose place another takes", async () => {
    const task = await bench.running(aTask({ id: "t", dedupeKey: "one" }));
    await note(task, everything);
    await bench.retry(task, birth + 1_000);
    await bench.enqueue(aTask({ dedupeKey: "one", onConflict: "replace" }));
    await expectNothing("t");
  });

  it("undoes notes with a list that is refused", async () => {
    const task = await bench.running(aTask({ id: "t" }));
    const fence = { epoch: bench.epoch, attempt: task.life.attempt };
    const again = aTask({ id: "t" });
    const refused = bench.storage.commit([
      { type: "enqueue", tasks: [again] },
      { type: "note", notes: [{ id: "t", fence, ...everything }] },
    ]);
    await expect(refused).rejects.toMatchObject({ code: "DUPLICATE_TASK" });
    await expectNothing("t");
  });
}
