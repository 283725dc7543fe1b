import { expect, it } from "vitest";
import { aTask, birth } from "../../support/tasks.ts";
import { type Bench, idsOf } from "./bench.ts";

export function reading(bench: Bench): void {
  it("gets tasks in the order they were asked for, with holes for unknown ids", async () => {
    await bench.enqueue(aTask({ id: "a" }), aTask({ id: "b" }));
    const tasks = await bench.storage.get(["b", "nobody", "a", "b"]);
    expect(tasks.map((task) => task?.id)).toEqual(["b", undefined, "a", "b"]);
  });

  it("has no result for unknown and unfinished tasks", async () => {
    await bench.enqueue(aTask({ id: "t" }));
    expect([await bench.storage.result("t"), await bench.storage.result("nobody")]).toEqual([undefined, undefined]);
  });

  it("lists in order of id, however tasks were enqueued", async () => {
    await bench.enqueue(...["d", "b", "aa", "a", "c"].map((id) => aTask({ id })));
    expect(idsOf((await bench.storage.list({ limit: 10 })).tasks)).toEqual(["a", "aa", "b", "c", "d"]);
    await bench.delete(["b"]);
    await bench.enqueue(aTask({ id: "ab" }), aTask({ id: "b" }));
    expect(idsOf((await bench.storage.list({ limit: 10 })).tasks)).toEqual(["a", "aa", "ab", "b", "c", "d"]);
  });

  it("lists UUIDs in their order", async () => {
    const ids = ["0199", "0198", "f000", "0000"].map((start) => `${start}0000-0000-7000-8000-000000000000`);
    await bench.enqueue(...ids.map((id) => aTask({ id })));
    expect(idsOf((await bench.storage.list({ limit: 10 })).tasks)).toEqual([...ids].sort());
  });

  it("gives pages until the end, which has no cursor", async () => {
    await bench.enqueue(...["a", "b", "c", "d"].map((id) => aTask({ id })));
    const first = await bench.storage.list({ limit: 2 });
    expect(idsOf(first.tasks)).toEqual(["a", "b"]);
    const second = await bench.storage.list({ limit: 2, cursor: first.cursor ?? "" });
    expect(idsOf(second.tasks)).toEqual(["c", "d"]);
    expect(second).not.toHaveProperty("cursor");
  });

  it("goes on after the page before, whatever is inserted and deleted meanwhile", async () => {
    await bench.enqueue(...["b", "d", "f", "h"].map((id) => aTask({ id })));
    const { cursor = "", tasks } = await bench.storage.list({ limit: 2 });
    expect(idsOf(tasks)).toEqual(["b", "d"]);
    await bench.enqueue(...["a", "c", "e", "g"].map((id) => aTask({ id })));
    await bench.delete(["d"]);
    expect(idsOf((await bench.storage.list({ limit: 10, cursor })).tasks)).toEqual(["e", "f", "g", "h"]);
  });

  it("gives at most a thousand tasks a page", async () => {
    const tasks = Array.from({ length: 1_001 }, () => aTask());
    await bench.enqueue(...tasks);
    expect((await bench.storage.list({ limit: 5_000 })).tasks).toHaveLength(1_000);
    expect(idsOf(await bench.all())).toEqual(idsOf(tasks));
  });

  it("filters by state, queue, name and tags, joined by and", async () => {
    await bench.enqueue(
      aTask({ id: "a", queue: "x", name: "mail", tags: ["red", "big"] }),
      aTask({ id: "b", queue: "x", name: "mail", tags: ["red"] }),
      aTask({ id: "c", queue: "y", name: "mail", tags: ["big", "red", "old"] }),
      aTask({ id: "d", queue: "x", name: "sum", tags: ["red", "big"], runAt: birth + 9 }),
    );
    const find = async (query: object) => idsOf((await bench.storage.list({ limit: 10, ...query })).tasks);
    expect(await find({ queue: "x" })).toEqual(["a", "b", "d"]);
    expect(await find({ name: "mail" })).toEqual(["a", "b", "c"]);
    expect(await find({ tags: ["red", "big"] })).toEqual(["a", "c", "d"]);
    expect(await find({ states: ["scheduled", "failed"] })).toEqual(["d"]);
    expect(await find({ states: ["ready"], queue: "x", name: "mail", tags: ["big"] })).toEqual(["a"]);
    expect(await find({ states: [] })).toEqual([]);
  });

  it("filters by the moment of the end, or of the beginning where there is no end", async () => {
    await bench.complete(await bench.running(aTask({ id: "late", createdAt: 10 })), 500);
    await bench.complete(await bench.running(aTask({ id: "soon", createdAt: 20 })), 100);
    await bench.enqueue(aTask({ id: "open", createdAt: 30 }), aTask({ id: "new", createdAt: 300 }));
    const before = async (at: number) => idsOf((await bench.storage.list({ limit: 10, before: at })).tasks);
    expect(await before(30)).toEqual([]);
    expect(await before(31)).toEqual(["open"]);
    expect(await before(301)).toEqual(["new", "open", "soon"]);
    expect(await before(501)).toEqual(["late", "new", "open", "soon"]);
  });

  it("pages through what a filter leaves", async () => {
    const tasks = Array.from({ length: 30 }, (_, n) => aTask({ queue: n % 3 === 0 ? "x" : "y" }));
    await bench.enqueue(...tasks);
    const found: string[] = [];
    for (let cursor: string | undefined = ""; cursor !== undefined;) {
      const page = await bench.storage.list({ queue: "x", limit: 4, ...(cursor === "" ? {} : { cursor }) });
      expect(page.tasks.length).toBeLessThanOrEqual(4);
      found.push(...idsOf(page.tasks));
      cursor = page.cursor;
    }
    expect(found).toEqual(idsOf(tasks.filter(({ request }) => request.queue === "x")));
  });
}
