import { appendFileSync, readFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { currentTask } from "omniq";

const runLog = process.env["OMNIQ_DEMO_RUN_LOG"];

/**
 * Compresses a file in several ways. Writes nothing; gives its size, the size each way leaves, and how long that took.
 *
 * The way most is spent on, brotli 11, is for files under 64 kB.
 */
export function compress(path: string) {
  if (runLog !== undefined) appendFileSync(runLog, `${currentTask().id}\n`);
  const begunAt = performance.now();
  const data = readFileSync(path);
  const sizes: Record<string, number> = {
    "gzip 6": gzipSync(data, { level: 6 }).length,
    "gzip 9": gzipSync(data, { level: 9 }).length,
    "brotli 5": brotli(data, 5),
  };
  if (data.length < 64 * 1024) sizes["brotli 11"] = brotli(data, 11);
  return { bytes: data.length, sizes, ms: performance.now() - begunAt };
}

function brotli(data: Buffer, quality: number): number {
  const params = { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_SIZE_HINT]: data.length };
  return brotliCompressSync(data, { params }).length;
}
