import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";

const fixture = (name: string): string => resolve(import.meta.dirname, "../fixtures", name);

/** An empty folder that is gone after the test. */
export function aFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "omniq-lmdb-")));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A store in a folder that is gone after the test, made by a process of its own and closed. */
export function aStore(format = 3, product = "omniq"): string {
  const folder = aFolder();
  execFileSync(process.execPath, [fixture("lmdb-store.mjs"), "build", folder, String(format), product]);
  return folder;
}

/** What is in the records of stores, in order; short of those after one that made the reader crash. */
export function digestsOf(folders: readonly string[]): string[] {
  const { stdout } = spawnSync(process.execPath, [fixture("lmdb-store.mjs"), "read", ...folders], { encoding: "utf8" });
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { digest: string }).digest);
}

/** What a contender for a folder says. */
export interface Said {
  readonly type: "ready" | "owns" | "refused" | "released";
  readonly code?: string;
  readonly pid?: number;
  readonly message?: string;
}

export interface Contender {
  readonly process: ChildProcess;
  /** The next thing that it says. */
  next(): Promise<Said>;
  tell(line: string): void;
  /** Ends it as `kill -9` does; resolves when it is gone. */
  kill(): Promise<void>;
}

/** Another process that can try to own `folder`, ready to; `through` is a command to start it with. */
export async function aContender(
  folder: string,
  owner: string,
  then = "",
  through: readonly string[] = [],
): Promise<Contender> {
  const command = [...through, process.execPath, fixture("lmdb-owner.mjs"), folder, owner, then];
  const child = spawn(command[0] ?? "", command.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const gone = new Promise<void>((done) => child.once("exit", () => done()));
  const contender: Contender = {
    process: child,
    async next() {
      const line = await lines.next();
      if (line.done === true) throw new Error("The contender ended without a word.");
      return JSON.parse(line.value) as Said;
    },
    tell: (line) => void child.stdin.write(`${line}\n`),
    kill() {
      child.kill("SIGKILL");
      return gone;
    },
  };
  onTestFinished(() => contender.kill());
  await contender.next();
  return contender;
}
