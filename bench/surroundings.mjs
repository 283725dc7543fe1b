import { execFileSync } from "node:child_process";
import { readFileSync, realpathSync, statfsSync } from "node:fs";
import { arch, availableParallelism, cpus, platform, release, totalmem } from "node:os";

// As statfs(2) numbers them.
const inMemory = new Map([
  [0x01021994, "tmpfs"],
  [0x858458f6, "ramfs"],
]);

/** Stores in memory would make figures that no disk has. @throws when `folder` is not on a disk. */
export function ensureDisk(folder) {
  const kind = inMemory.get(statfsSync(folder).type);
  if (kind === undefined) return;
  throw new Error(
    `${folder} is in memory (${kind}): figures would say nothing. Give a folder on a disk: --dir <folder>.`,
  );
}

/** Where figures were made: what has to be said beside each of them. */
export function surroundings(folder) {
  return {
    machine: `${platform()} ${release()} ${arch()}, ${Math.round(totalmem() / 2 ** 30)} GB`,
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    node: process.version,
    fs: fileSystemOf(folder),
    durability: "sync",
    date: new Date().toISOString(),
    commit: commit(),
  };
}

/** By the longest mount point that `folder` lies below. Known on Linux only. */
function fileSystemOf(folder) {
  const path = `${realpathSync(folder)}/`;
  let found = { at: "", type: "unknown" };
  try {
    for (const line of readFileSync("/proc/mounts", "utf8").split("\n")) {
      const [, at = "", type = ""] = line.split(" ");
      const isAbove = at === "/" || path.startsWith(`${at}/`);
      if (at !== "" && isAbove && at.length >= found.at.length) found = { at, type };
    }
  } catch {
    // Another operating system.
  }
  return found.type;
}

function commit() {
  try {
    const args = ["--no-optional-locks", "describe", "--always", "--dirty", "--exclude", "*"];
    return execFileSync("git", args, {
      cwd: import.meta.dirname,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "unknown";
  }
}
