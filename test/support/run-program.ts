import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { onTestFinished } from "vitest";

const root = resolve(import.meta.dirname, "../..");

/** How a program ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Program {
  readonly process: ChildProcess;
  /** Resolves when it, and all it has started, is gone. */
  readonly ended: Promise<Ended>;
  /** Ends it, and all it has started, as `kill -9` does. Whether there was anything to end. */
  kill(): boolean;
}

interface Surroundings {
  /** Working directory. */
  readonly cwd?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** One that hangs is to be told from one that is slow, and by its name. */
const longestMs = 50_000;

/** Starts a program of this repository in a group of its own, which is gone after the test. */
export function startProgram(
  path: string,
  args: readonly string[] = [],
  { cwd = root, env }: Surroundings = {},
): Program {
  const child = spawn(process.execPath, [resolve(root, path), ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    timeout: longestMs,
    killSignal: "SIGKILL",
  });
  const said = { stdout: "", stderr: "" };
  for (const output of ["stdout", "stderr"] as const) {
    child[output].setEncoding("utf8").on("data", (text: string) => (said[output] += text));
  }
  const ended = new Promise<Ended>((done, fail) => {
    child.once("error", fail);
    child.once("close", (code, signal) => done({ code, signal, ...said }));
  });
  const kill = (): boolean => {
    const isRunning = child.exitCode === null && child.signalCode === null;
    try {
      process.kill(-(child.pid ?? 0), "SIGKILL");
    } catch {
      return false;
    }
    return isRunning;
  };
  onTestFinished(() => void kill());
  return { process: child, ended, kill };
}

export const runProgram = (path: string, args?: readonly string[], surroundings?: Surroundings): Promise<Ended> =>
  startProgram(path, args, surroundings).ended;

/** An empty folder that is gone after the test. */
export function aWorkFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "omniq-program-")));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}
