import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { InvalidArgumentError, StoreForeignError, StoreOwnedError } from "../../../src/base/errors.ts";
import { remoteFileSystem, takeOwnership, type Ownership } from "../../../src/storage/lmdb/owner.ts";
import { aContender, aFolder, type Contender } from "../../support/lmdb-folders.ts";

const modeOf = (path: string): number => statSync(path).mode & 0o777;

async function take(folder: string, owner = "this test"): Promise<Ownership> {
  const ownership = await takeOwnership(folder, owner);
  onTestFinished(() => ownership.release());
  return ownership;
}

const isPosix = process.platform !== "win32";
const isolated = ["unshare", "--net"];
const canIsolate = process.platform === "linux" && spawnSync("unshare", ["--net", "true"]).status === 0;

test("a folder that is owned is refused within a second, naming the process and the owner", async () => {
  const folder = aFolder();
  const other = await aContender(folder, "the other one");
  other.tell("take");
  const { pid } = await other.next();
  const started = performance.now();

  const refusal = await takeOwnership(folder, "this test").catch((error: unknown) => error);

  expect(performance.now() - started).toBeLessThan(1_000);
  expect(refusal).toBeInstanceOf(StoreOwnedError);
  expect(refusal).toMatchObject({ pid, message: expect.stringContaining("the other one") as string });
});

test("an owner that is too busy to answer is still the owner", async () => {
  const folder = aFolder();
  const other = await aContender(folder, "the busy one", "busy");
  other.tell("take");
  const { pid } = await other.next();

  await expect(takeOwnership(folder, "this test")).rejects.toMatchObject({ code: "STORE_OWNED", pid });
});

test("kill -9 of the owner frees the folder", async () => {
  const folder = aFolder();
  const other = await aContender(folder, "the other one");
  other.tell("take");
  await other.next();
  await other.kill();

  await expect(take(folder)).resolves.toMatchObject({ folder });
});

test("a released folder can be taken again", async () => {
  const folder = aFolder();
  await (await takeOwnership(folder, "first")).release();

  await expect(take(folder, "second")).resolves.toMatchObject({ folder });
});

test("releasing twice does nothing the second time", async () => {
  const folder = aFolder();
  const ownership = await takeOwnership(folder, "first");
  await ownership.release();
  await take(folder, "second");

  await ownership.release();

  await expect(takeOwnership(folder, "third")).rejects.toBeInstanceOf(StoreOwnedError);
});

test("one process cannot own a folder twice", async () => {
  const folder = aFolder();
  await take(folder);

  await expect(takeOwnership(folder, "again")).rejects.toMatchObject({ code: "STORE_OWNED", pid: process.pid });
});

test.runIf(isPosix)("two spellings of a folder are one store", async () => {
  const folder = aFolder();
  const link = `${aFolder()}/link`;
  symlinkSync(folder, link);
  await take(folder);

  await expect(takeOwnership(link, "through the link")).rejects.toBeInstanceOf(StoreOwnedError);
});

test.runIf(isPosix)("a folder whose path is longer than a socket's can be owned once", async () => {
  const folder = join(aFolder(), "a".repeat(120), "b".repeat(120));
  await take(folder);

  await expect(takeOwnership(folder, "again")).rejects.toBeInstanceOf(StoreOwnedError);
});

test.runIf(canIsolate)("a folder is owned across network namespaces, whatever the length of its path", async () => {
  for (const folder of [aFolder(), join(aFolder(), "c".repeat(150))]) {
    await take(folder);
    const other = await aContender(folder, "another container", "", isolated);
    other.tell("take");

    expect(await other.next()).toMatchObject({ type: "refused", code: "STORE_OWNED", pid: process.pid });
  }
});

test.runIf(canIsolate)("sockets of processes that were killed are removed by the next owner", async () => {
  const folder = aFolder();
  for (let round = 0; round < 3; round++) {
    const other = await aContender(folder, "short-lived", "", isolated);
    other.tell("take");
    expect(await other.next()).toMatchObject({ type: "owns" });
    await other.kill();
  }
  await take(folder);

  expect(readdirSync(folder).filter((name) => name.endsWith(".sock"))).toHaveLength(1);
});

/** Twenty times, five processes try at the same moment; gives how many won each time. */
async function contest(through: (index: number) => readonly string[]): Promise<number[]> {
  const folder = aFolder();
  const contenders: Contender[] = [];
  for (let index = 0; index < 5; index++) contenders.push(await aContender(folder, `${index}`, "", through(index)));
  const wins: number[] = [];
  for (let round = 0; round < 20; round++) {
    for (const contender of contenders) contender.tell("take");
    const answers = await Promise.all(contenders.map((contender) => contender.next()));
    wins.push(answers.filter(({ type }) => type === "owns").length);
    for (const contender of contenders) contender.tell("release");
    await Promise.all(contenders.map((contender) => contender.next()));
  }
  return wins;
}

test("of processes that try at the same moment exactly one wins", async () => {
  expect(await contest(() => [])).toEqual(Array<number>(20).fill(1));
});

test.runIf(canIsolate)("of processes that share no network and try at the same moment exactly one wins", async () => {
  expect(await contest(() => isolated)).toEqual(Array<number>(20).fill(1));
});

test.runIf(isPosix)("folders and files are private whatever the umask", async () => {
  const umask = process.umask(0);
  onTestFinished(() => void process.umask(umask));
  const folder = join(aFolder(), "store");
  await take(folder);

  expect(modeOf(folder)).toBe(0o700);
  for (const name of readdirSync(folder)) expect([name, modeOf(join(folder, name))]).toEqual([name, 0o600]);
});

test.runIf(isPosix)("a folder that others may enter is closed to them", async () => {
  const folder = aFolder();
  chmodSync(folder, 0o777);
  await take(folder);

  expect(modeOf(folder)).toBe(0o700);
});

test.runIf(isPosix)("a folder in one that everyone may write to is refused", async () => {
  const parent = aFolder();
  chmodSync(parent, 0o777);

  await expect(takeOwnership(join(parent, "store"), "this test")).rejects.toBeInstanceOf(InvalidArgumentError);
});

test("a folder that holds something else is refused and left as it is", async () => {
  const folder = aFolder();
  writeFileSync(join(folder, "letter.txt"), "Dear all");
  chmodSync(folder, 0o755);

  await expect(takeOwnership(folder, "this test")).rejects.toBeInstanceOf(StoreForeignError);

  expect(readdirSync(folder)).toEqual(["letter.txt"]);
  expect(modeOf(folder)).toBe(0o755);
});

test("a path that is a file is refused", async () => {
  const file = join(aFolder(), "file");
  writeFileSync(file, "");

  await expect(takeOwnership(file, "this test")).rejects.toBeInstanceOf(InvalidArgumentError);
});

test("a release leaves no socket", async () => {
  const folder = aFolder();
  mkdirSync(join(folder, ".hidden"));
  await (await takeOwnership(folder, "this test")).release();

  expect(readdirSync(folder).sort()).toEqual([".hidden", "owner.json"]);
  expect(existsSync(folder)).toBe(true);
});

test("file systems of other machines are known by their type, also where it is read as negative", () => {
  expect(remoteFileSystem(0x6969)).toBe("NFS");
  expect(remoteFileSystem(0xff534d42 | 0)).toBe("CIFS");
  expect(remoteFileSystem(0xef53)).toBeUndefined();
});
