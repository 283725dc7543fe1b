import { writeFileSync } from "node:fs";
import { Omniq, type OpenOptions } from "omniq";
import { expect, onTestFinished, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { aPlace, errorOf, fixture, linesOf, Program } from "../support/runtimes.ts";

async function open(storage: string, options: Partial<OpenOptions> = {}): Promise<Omniq> {
  const omniq = await Omniq.open({ tasks: fixture("limited.ts"), storage, executors: { threads: 4 }, ...options });
  onTestFinished(() => omniq.close({ drain: 0 }));
  return omniq;
}

/** A store, the file that its tasks write to, and the door that they stand in front of. */
function aScene() {
  const place = aPlace();
  const [store, file, door] = [`${place}/store`, `${place}/lines`, `${place}/door`];
  return { store, file, door, openDoor: () => writeFileSync(door, "") };
}

type Calls = readonly (readonly [string, readonly unknown[], object?])[];

/** Runs a program of its own over the store until its tasks have written so many lines, then kills it. */
async function killedAfter(lines: number, scene: ReturnType<typeof aScene>, calls: Calls, queues: object = {}) {
  const program = new Program("limited-main.mjs", scene.store, JSON.stringify(calls), JSON.stringify(queues));
  await program.hasSaid(1);
  await eventually(() => linesOf(scene.file).length >= lines, 60_000);
  await program.kill();
}

const startsIn = (lines: readonly string[]): string[] => lines.filter((line) => line.startsWith("+"));

/** The most that were at work at the same time. */
function mostAtWork(lines: readonly string[]): number {
  let now = 0;
  return Math.max(...lines.map((line) => (now += line.startsWith("+") ? 1 : -1)));
}

test("Q08: a task runs no more at a time than its concurrency, also after a crash", async () => {
  const scene = aScene();
  const { file, door } = scene;
  await killedAfter(
    1,
    scene,
    ["a", "b", "c"].map((label) => ["narrow", [file, label, door]] as const),
  );
  expect(linesOf(file)).toEqual(["+a"]);

  const omniq = await open(scene.store);
  await eventually(() => linesOf(file).length === 2);
  scene.openDoor();
  await omniq.drain();

  expect(linesOf(file)).toEqual(["+a", "+a", "-a", "+b", "-b", "+c", "-c"]);
});

test("Q08: tasks with one concurrencyKey wait for each other, and no others for them, also after a crash", async () => {
  const scene = aScene();
  const { file, door } = scene;
  const calls: Calls = [
    ["perKey", [file, "a1", door], { concurrencyKey: "a" }],
    ["perKey", [file, "a2"], { concurrencyKey: "a" }],
    ["perKey", [file, "b1", door], { concurrencyKey: "b" }],
    ["perKey", [file, "b2"], { concurrencyKey: "b" }],
    ["perKey", [file, "free"]],
  ];
  await killedAfter(4, scene, calls);
  expect(linesOf(file).toSorted()).toEqual(["+a1", "+b1", "+free", "-free"]);

  const omniq = await open(scene.store);
  await eventually(() => ["+a1", "+b1"].every((line) => linesOf(file).slice(4).includes(line)));
  scene.openDoor();
  await omniq.drain();

  const after = linesOf(file).slice(4);
  expect(after.filter((line) => line.includes("a"))).toEqual(["+a1", "-a1", "+a2", "-a2"]);
  expect(after.filter((line) => line.includes("b"))).toEqual(["+b1", "-b1", "+b2", "-b2"]);
});

test("Q08: limits of a queue that are configured while it runs hold, and are kept over a restart", async () => {
  const { store, file } = aScene();
  const first = await open(store, { queues: { q: { paused: true } } });
  const queue = first.queues.get("q");
  await queue.configure({ concurrency: { max: 3, perKey: 1 }, rateLimit: { max: 1_000, per: "1s" } });
  await first.close();

  const omniq = await open(store);
  expect(await omniq.queues.get("q").stats()).toMatchObject({
    concurrency: { max: 3, perKey: 1 },
    rateLimit: { max: 1_000, per: 1_000 },
  });
  await omniq.enqueueMany(
    "free",
    Array.from({ length: 20 }, (_, n) => [file, `${n}`]),
    { queue: "q", concurrencyKey: "k" },
  );
  await omniq.queues.get("q").resume();
  await omniq.drain();

  expect(mostAtWork(linesOf(file))).toBe(1);
  expect(linesOf(file)).toHaveLength(40);
});

test("a rate limit of a task gives nothing anew for a crash, and holds up no other task", async () => {
  const scene = aScene();
  const { file } = scene;
  const calls: Calls = [
    ["slow", [file, "one"]],
    ["slow", [file, "two"]],
    ["free", [file, "free"]],
  ];
  await killedAfter(4, scene, calls);

  const omniq = await open(scene.store);
  await omniq.run("free", [file, "after"]);

  const starts = startsIn(linesOf(file));
  expect(starts.filter((line) => line === "+one" || line === "+two")).toEqual(["+one"]);
  expect(starts).toContain("+free");
  expect(starts).toContain("+after");
});

test("a rate limit starts tasks by itself as its time passes, no earlier", async () => {
  const { store, file } = aScene();
  const omniq = await open(store, { queues: { q: { rateLimit: { max: 2, per: 400 } } } });
  const start = Date.now();
  await omniq.enqueueMany(
    "free",
    Array.from({ length: 6 }, (_, n) => [file, `${n}`]),
    { queue: "q" },
  );
  await omniq.drain();

  // Two at once, and one in every 200 ms.
  expect(Date.now() - start).toBeGreaterThanOrEqual(800 - 5);
  expect(startsIn(linesOf(file))).toHaveLength(6);
});

test("P8: tasks with one orderingKey run in order over retries and a crash in the middle", async () => {
  const scene = aScene();
  const { file, door } = scene;
  const labels = ["a", "b", "c", "d"];
  await killedAfter(
    1,
    scene,
    labels.map(
      (label) => ["free", [file, label, door], { orderingKey: "k", priority: label === "d" ? 9 : 0 }] as const,
    ),
  );

  const omniq = await open(scene.store);
  await omniq.enqueue("free", [file, "e"], { orderingKey: "k" });
  scene.openDoor();
  await omniq.drain();

  expect(linesOf(file)).toEqual(["+a", ...["a", "b", "c", "d", "e"].flatMap((label) => [`+${label}`, `-${label}`])]);
});

test("P8: a task that waits for its retry keeps those behind it waiting", async () => {
  const { store, file } = aScene();
  const omniq = await open(store);
  await omniq.enqueueMany("failing", [
    [file, "a"],
    [file, "b"],
  ]);
  await omniq.drain();

  expect(linesOf(file)).toEqual(["a1", "a2", "b1", "b2"]);
});

test("P8: the next in order runs when the one before it is cancelled, deleted or expires", async () => {
  const { store, file, door, openDoor } = aScene();
  const omniq = await open(store, { queues: { default: { paused: true } } });
  const options = { orderingKey: "k" };
  const cancelled = await omniq.enqueue("free", [file, "cancelled"], { ...options, delay: "1h" });
  const deleted = await omniq.enqueue("free", [file, "deleted"], { ...options, delay: "1h" });
  const expiring = await omniq.enqueue("free", [file, "expiring"], { ...options, delay: "1h", ttl: 300 });
  const last = await omniq.enqueue("free", [file, "last", door], options);
  await omniq.queues.get("default").resume();

  await cancelled?.cancel();
  await omniq.delete(deleted?.id ?? "");
  expect(await expiring?.wait()).toMatchObject({ state: "expired" });
  openDoor();

  expect(await last?.result()).toBe("last");
  expect(linesOf(file)).toEqual(["+last", "-last"]);
});

test.each([
  ["priority", 10, 10],
  ["strict", 0, 0],
  ["round-robin", 4, 6],
] as const)("Q06: with routing %s, queues are served as it says, after a crash too", async (routing, least, most) => {
  const scene = aScene();
  const { file } = scene;
  const calls = ["x", "y"].flatMap((queue) =>
    Array.from({ length: 20 }, () => ["free", [file, queue], { queue }] as const),
  );
  const paused = { y: { paused: true }, x: { paused: true } };
  await killedAfter(1, scene, [...calls, ["free", [file, "z"], { queue: "z" }]], paused);
  const queues = { y: { paused: false }, x: { paused: false } };

  const omniq = await open(scene.store, { routing, executors: { threads: 1 }, queues });
  await omniq.drain();

  const served = startsIn(linesOf(file)).filter((line) => line !== "+z");
  const ofFirst = served.slice(0, 10).filter((line) => line === "+x").length;
  expect(ofFirst).toBeGreaterThanOrEqual(least);
  expect(ofFirst).toBeLessThanOrEqual(most);
});

test("Q06: weights share the workers within five per cent", async () => {
  const { store, file } = aScene();
  const queues = { x: { weight: 3, paused: true }, y: { weight: 1, paused: true } };
  const first = await open(store, { queues });
  for (const queue of ["x", "y"]) {
    await first.enqueueMany(
      "free",
      Array.from({ length: 200 }, () => [file, queue]),
      { queue },
    );
  }
  await first.close();
  const omniq = await open(store, {
    routing: "weighted",
    executors: { threads: 1 },
    queues: { x: { paused: false }, y: { paused: false } },
  });
  await omniq.drain();

  const served = startsIn(linesOf(file)).slice(0, 200);
  expect(served.filter((line) => line === "+x").length / 200).toBeGreaterThan(0.7);
  expect(served.filter((line) => line === "+x").length / 200).toBeLessThan(0.8);
});

test("Q07: a task of low priority is taken within its bound under endless load, also after a restart", async () => {
  const { store, file } = aScene();
  const aging = { priorityPolicy: "aging", agingStep: 20 } as const;
  const first = await open(store, { executors: { threads: 0 }, queues: { default: aging } });
  const low = await first.enqueue("free", [file, "low"], { priority: 0 });
  await first.close();

  const omniq = await open(store, { executors: { threads: 0 } });
  const queue = omniq.queues.get("default");
  for (let isTaken = false; !isTaken;) {
    await omniq.enqueueMany(
      "free",
      [
        [file, "high"],
        [file, "high"],
      ],
      { priority: 20 },
    );
    const lease = await queue.dequeue({ ack: "auto" });
    isTaken = lease?.id === low?.id;
  }

  const { startedAt, finishedAt, createdAt } = (await omniq.get(low?.id ?? "")) ?? {};
  const takenAt = (startedAt ?? finishedAt)?.getTime() ?? 0;
  expect(takenAt - (createdAt?.getTime() ?? 0)).toBeGreaterThanOrEqual(400);
});

test("Q10: a task that is moved is run by its new queue alone, with its priority, after a restart", async () => {
  const { store, file } = aScene();
  const first = await open(store, { queues: { a: { paused: true }, b: { paused: true } } });
  const moved = await first.enqueue("free", [file, "moved"], { queue: "a", priority: 5 });
  const stays = await first.enqueue("free", [file, "stays"], { queue: "a" });
  expect(await first.move(moved?.id ?? "", "b")).toBe(true);
  await first.close();

  const omniq = await open(store);
  await omniq.queues.get("b").resume();
  expect(await omniq.result(moved?.id ?? "")).toBe("moved");
  expect(await omniq.get(moved?.id ?? "")).toMatchObject({ queue: "b", priority: 5 });
  expect(await omniq.get(stays?.id ?? "")).toMatchObject({ queue: "a", state: "ready" });
  expect(await omniq.move(moved?.id ?? "", "a")).toBe(false);
  expect(await omniq.move("unknown", "a")).toBe(false);
});

test("limits that make no sense are refused before anything is stored", async () => {
  const { store, file } = aScene();
  const omniq = await open(store);
  const queue = omniq.queues.get("q");
  for (const [call, path] of [
    [() => queue.configure({ concurrency: { perKey: 0 } }), "limits.concurrency.perKey"],
    [() => queue.configure({ rateLimit: { max: 1, per: "0s" } }), "limits.rateLimit.per"],
    [() => queue.configure({ weight: 1.5 }), "limits.weight"],
    [() => queue.configure({ agingStep: "1s" }), "limits.agingStep"],
    [() => omniq.enqueue("free", [file, "x"], { orderingKey: "" }), "options.orderingKey"],
    [() => omniq.enqueue("free", [file, "x"], { concurrencyKey: "a\nb" }), "options.concurrencyKey"],
    [() => omniq.move("", "q"), "id"],
  ] as const) {
    expect(await errorOf(call)).toMatchObject({ path });
  }
  expect(await omniq.queues.list()).toEqual([]);
});
