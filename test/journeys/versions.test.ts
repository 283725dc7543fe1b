import { Omniq } from "omniq";
import { expect, onTestFinished, test } from "vitest";
import { greet as greetFirst } from "../fixtures/journeys/version-1.ts";
import { aPlace, fixture } from "../support/runtimes.ts";

const [first, second] = [fixture("version-1.ts"), fixture("version-2.ts")];

async function open(storage: string, tasks: readonly URL[], paused = false) {
  const omniq = await Omniq.open({
    tasks: [...tasks],
    storage,
    executors: { threads: 1 },
    queues: { default: { paused } },
  });
  onTestFinished(() => omniq.close({ drain: 0 }));
  return omniq;
}

/** A store in which the first version has left a task. */
async function anOldStore(): Promise<{ readonly storage: string; readonly id: string }> {
  const storage = aPlace();
  const omniq = await open(storage, [first], true);
  const { id } = await omniq.enqueue("greet", ["Ada"]);
  await omniq.close();
  return { storage, id };
}

test("T16: a stored task runs with the version that it was stored for, new ones with the highest", async () => {
  const { storage, id } = await anOldStore();
  const omniq = await open(storage, [second, first]);

  expect(await omniq.result(id)).toBe("Hello Ada");
  expect(await omniq.run("greet", [{ name: "Ada" }])).toBe("Good day, Ada");
  expect(await omniq.get(id)).toMatchObject({ name: "greet", version: "1.9" });
});

test("T16: a task of a version that is gone is parked, and runs when the version is back", async () => {
  const { storage, id } = await anOldStore();
  const without = await open(storage, [second]);
  expect((await without.drain({ timeout: "50s" })).parked).toBe(1);
  expect(await without.get(id)).toMatchObject({ state: "ready", parked: true, attempt: 0 });
  await without.close();

  const again = await open(storage, [second]);
  expect((await again.drain({ timeout: "50s" })).parked).toBe(1);
  await again.close();

  const back = await open(storage, [second, first]);
  expect(await back.result(id)).toBe("Hello Ada");
});

test("T16: enqueueing a definition is for its own version", async () => {
  const omniq = await open("memory:", [first, second]);
  expect(await omniq.run(greetFirst, ["Ada"])).toBe("Hello Ada");
});

test("T16: one version of a name that is defined twice is refused", async () => {
  const opening = Omniq.open({ tasks: [first, fixture("version-1-again.ts")], storage: "memory:" });
  await expect(opening).rejects.toMatchObject({ code: "DUPLICATE_NAME" });
});
