import { fork, type ChildProcess } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock, type Clock } from "../../base/clock.ts";
import { StoreCorruptError, StoreForeignError, StoreVersionError, type OmniqError } from "../../base/errors.ts";

/** What is wrong with a store, as data: it may have been found by another process. */
export type Finding =
  | { readonly type: "damaged"; readonly problem: string }
  | { readonly type: "foreign"; readonly problem: string }
  | { readonly type: "version"; readonly found: number; readonly known: number };

/** Thrown while a store is read; whoever knows the folder makes it a named error. */
export class FindingError extends Error {
  readonly finding: Finding;
  constructor(finding: Finding) {
    super(finding.type === "version" ? `format ${finding.found}` : finding.problem);
    this.finding = finding;
  }
}

/** What the process that reads the store tells. */
export type PreflightMessage = { readonly type: "progress" } | { readonly type: "done" } | Finding;

const longestSilenceMs = 60_000;
const bytesPerSilence = 1024 ** 3;
const longestStderr = 2_000;

/**
 * Reads a store from end to end in a process of its own: every page, every record, the format. Nothing is changed.
 * No environment may be open in the folder.
 *
 * @throws StoreCorruptError, also when that process crashes, or is silent for 60 s (a minute per GB of the store).
 *   StoreForeignError, StoreVersionError.
 */
export async function runPreflight(folder: string, clock: Clock = systemClock): Promise<void> {
  const { size } = statSync(join(folder, "data.mdb"));
  const silenceMs = longestSilenceMs * Math.max(1, Math.ceil(size / bytesPerSilence));
  const child = fork(fileURLToPath(new URL("./preflight.entry.js", import.meta.url)), [folder], {
    env: systemEnvironment(),
    execArgv: [],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let verdict: Exclude<PreflightMessage, { type: "progress" }> | undefined;
  let isSilent = false;
  let stderr = "";
  const arm = () =>
    clock.wakeAt(clock.now() + silenceMs, () => {
      isSilent = true;
      child.kill("SIGKILL");
    });
  let watch = arm();
  child.on("message", (message: PreflightMessage) => {
    watch.cancel();
    watch = arm();
    if (message.type !== "progress") verdict = message;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-longestStderr);
  });
  const { code, signal, error } = await ended(child);
  watch.cancel();
  if (isSilent) throw new StoreCorruptError(folder, `reading it came to a stop for ${silenceMs / 1000} s`);
  if (error !== undefined) throw error;
  if (verdict !== undefined && verdict.type !== "done") throw errorFor(folder, verdict);
  // "done" counts only when the store was closed without a crash as well.
  if (verdict !== undefined && signal === null) return;
  const how = signal === null ? `exit code ${code}` : signal;
  const said = stderr.trim();
  throw new StoreCorruptError(folder, `reading it ended with ${how}${said === "" ? "" : ` (${said})`}`);
}

/** The error that tells a caller about `finding`. */
export function errorFor(folder: string, finding: Finding): OmniqError {
  switch (finding.type) {
    case "damaged":
      return new StoreCorruptError(folder, finding.problem);
    case "foreign":
      return new StoreForeignError(folder, finding.problem);
    case "version":
      return new StoreVersionError(folder, finding.found, finding.known);
  }
}

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly error?: Error;
}

function ended(child: ChildProcess): Promise<End> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ code: null, signal: null, error }));
    // Unlike "exit", it comes after the last message and the last output.
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
}

/** Nothing of the caller's environment but what Windows needs to start a process. */
function systemEnvironment(): NodeJS.ProcessEnv {
  const root = process.env["SystemRoot"];
  return root === undefined ? {} : { SystemRoot: root };
}
