import { statfsSync } from "node:fs";
import { systemClock, type Clock } from "../../base/clock.ts";
import { StoreFullError } from "../../base/errors.ts";

/** Keeps a store from filling its disk: a write that finds no space may crash the process inside LMDB. */
export interface SpaceGuard {
  /**
   * To be called before every transaction.
   *
   * @param bytes the most that the transaction is about to write.
   * @param mayUseReserve for what ends work that was accepted: it only has to fit.
   * @throws StoreFullError when too little would be left. The same call succeeds when there is space again.
   */
  check(bytes: number, mayUseReserve?: boolean): void;
}

/** Bytes that this user may still write to the file system that `folder` is on. */
export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

const leastReserve = 1024 ** 2;
// Written pages are whole, and so are the pages on the way to them.
const writtenPerByte = 2;
const writtenPerTransaction = 256 * 1024;
const plentyBytes = 1024 ** 3;
const longestTrustMs = 1_000;
const trustedPart = 1 / 8;

/**
 * A guard that leaves a reserve free: `reserveBytes`, or twice the largest transaction seen where that is more, and
 * never below 1 MiB. Which pages inside of the file are free is not known, so every transaction is taken to make the
 * file grow by all that it writes.
 *
 * The file system is asked before every transaction. Only while there is more than 1 GiB beyond the reserve, an
 * answer is trusted for a second, or until an eighth of that space was written; others write to the disk as well.
 */
export function createSpaceGuard(
  folder: string,
  reserveBytes: number,
  measure: (folder: string) => number = freeBytes,
  clock: Clock = systemClock,
): SpaceGuard {
  let largest = 0;
  let trusted = { free: 0, budget: 0, until: 0 };

  const free = (needed: number, reserve: number): number => {
    const now = clock.now();
    const isTrusted = needed <= trusted.budget && now < trusted.until && now >= trusted.until - longestTrustMs;
    if (!isTrusted) {
      const measured = measure(folder);
      const isPlenty = measured - reserve > plentyBytes;
      trusted = { free: measured, budget: isPlenty ? measured * trustedPart : 0, until: now + longestTrustMs };
    }
    return trusted.free;
  };

  return {
    check(bytes, mayUseReserve = false) {
      const written = bytes * writtenPerByte + writtenPerTransaction;
      const reserve = Math.max(reserveBytes, leastReserve, 2 * Math.max(largest, written));
      const needed = mayUseReserve ? written : written + reserve;
      const found = free(written, reserve);
      if (found < needed) throw new StoreFullError(folder, found, needed);
      largest = Math.max(largest, written);
      trusted.free -= written;
      trusted.budget -= written;
    },
  };
}
