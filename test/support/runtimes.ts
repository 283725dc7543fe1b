import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { Omniq, type OpenOptions } from "omniq";
import { afterAll, beforeAll, expect, onTestFinished } from "vitest";
import type * as journeyTasks from "../fixtures/journeys/tasks.ts";
import { eventually } from "./eventually.ts";

const fixtures = resolve(import.meta.dirname, "../fixtures/journeys");

export type Runtime = Awaited<ReturnType<typeof Omniq.open<typeof journeyTasks>>>;

export const fixture = (name: string): URL => pathToFileURL(join(fixtures, name));

const newFolder = (): string => realpathSync(mkdtempSync(join(tmpdir(), "omniq-journey-")));

/** An empty folder that is gone after the test. */
export function aPlace(): string {
  const folder = newFolder();
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Opens a runtime of the journeys' tasks; closes it after the test, if that has not been done. */
export async function open(options: Partial<OpenOptions> = {}): Promise<Runtime> {
  const omniq = await Omniq.open<typeof journeyTasks>({
    tasks: fixture("tasks.ts"),
    storage: "memory:",
    executors: { threads: 1 },
    ...options,
  });
  onTestFinished(() => omniq.close({ drain: 0 }));
  return omniq;
}

/** Opens a runtime whose workers are busy for the whole test: tasks are left to those who dequeue them. */
export async function openBusy(options: Partial<OpenOptions> = {}): Promise<Runtime> {
  const omniq = await open(options);
  const gate = new Gate();
  // More than the workers will ever hold, and always first in line.
  await omniq.enqueueMany(
    "pass",
    Array.from({ length: 64 }, () => [gate.folder] as const),
    { queue: "held", priority: 1_000 },
  );
  await gate.arrival("someone");
  return omniq;
}

/** One runtime over a folder for all tests of a file, opened before the first and closed after the last. */
export function shared(options: Partial<OpenOptions> = {}): () => Runtime {
  let omniq: Runtime | undefined;
  let folder: string | undefined;
  beforeAll(async () => {
    folder = newFolder();
    omniq = await Omniq.open<typeof journeyTasks>({
      tasks: fixture("tasks.ts"),
      storage: folder,
      executors: { threads: 2 },
      ...options,
    });
  });
  afterAll(async () => {
    await omniq?.close({ drain: 0 });
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });
  return () => {
    if (omniq === undefined) throw new Error("The runtime was not opened.");
    return omniq;
  };
}

/** The error that a call ends with. A call that succeeds is an error of the test. */
export async function errorOf(call: () => unknown): Promise<Error & { code?: unknown; path?: unknown }> {
  let value: unknown;
  try {
    value = await call();
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    return error as Error;
  }
  throw new Error(`Nothing was thrown; the call gave ${String(value)}.`);
}

/** A door that tasks stand in front of until it is opened; it tells who has come. */
export class Gate {
  readonly folder: string;

  constructor() {
    this.folder = join(aPlace(), "gate");
    mkdirSync(this.folder);
    onTestFinished(() => this.open());
  }

  open(): void {
    // The folder is gone when the test has cleaned up before.
    if (existsSync(this.folder)) writeFileSync(join(this.folder, "open"), "");
  }

  /** Resolves when `name` stands in front of it. */
  arrival(name: string): Promise<true> {
    return eventually(() => existsSync(join(this.folder, `at-${name}`)));
  }
}

/** The lines of a file that tasks have written so far. */
export const linesOf = (file: string): string[] =>
  existsSync(file)
    ? readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line !== "")
    : [];

/** A program of its own, in the folder of fixtures; what it says is JSON, a line for each thing. */
export class Program {
  readonly process: ChildProcess;
  /** Everything it has said, oldest first. */
  readonly said: unknown[] = [];
  /** What it wrote that was not meant for us. */
  errors = "";
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;

  constructor(script: string, ...args: string[]) {
    const child = spawn(process.execPath, [join(fixtures, script), ...args], { stdio: ["pipe", "pipe", "pipe"] });
    this.process = child;
    const lines = createInterface({ input: child.stdout });
    lines.on("line", (line) => this.said.push(JSON.parse(line)));
    child.stderr.on("data", (data: Buffer) => (this.errors += data.toString()));
    const read = new Promise<void>((done) => lines.once("close", () => done()));
    this.ended = new Promise((done) =>
      child.once("exit", (code, signal) => void read.then(() => done({ code, signal }))),
    );
    onTestFinished(() => this.kill());
  }

  /** Resolves when it has said at least `count` things. */
  hasSaid(count: number): Promise<true> {
    return eventually(() => {
      if (this.said.length >= count) return true;
      if (this.process.exitCode === null) return false;
      throw new Error(`It ended early: ${this.errors}`);
    }, 60_000);
  }

  /** Ends it as `kill -9` does; resolves when it is gone. */
  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.ended;
  }
}

/** Takes all pages of a list. */
export async function allOf<T>(
  page: (cursor: string | undefined) => Promise<{ readonly tasks: readonly T[]; readonly cursor?: string }>,
): Promise<T[]> {
  const all: T[] = [];
  let cursor: string | undefined;
  do {
    const next = await page(cursor);
    all.push(...next.tasks);
    cursor = next.cursor;
  } while (cursor !== undefined);
  return all;
}
