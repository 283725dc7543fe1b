import type { EpochMs } from "../../base/clock.ts";
import { Heap } from "../heap.ts";
import type { KeyLine } from "../key-lines.ts";
import type { KeyRates } from "../key-rates.ts";
import type { Lane, Version } from "./ledger.ts";

/** Unfinished tasks with one key. */
interface Line {
  size: number;
  running: number;
  /** Of a line in strict order: all of them. */
  readonly members: Heap<Version>;
  /** By lane, ready ones that a claim found it did not admit. Whenever something leaves the line, the first come back. */
  readonly aside: Map<Lane, Heap<Version>>;
}

const isCurrent = (version: Version): boolean => version.isCurrent;
const isOlder = (a: Version, b: Version): boolean => a.sequence < b.sequence;
const isReadyBefore = (a: Version, b: Version): boolean =>
  a.task.request.priority === b.task.request.priority
    ? isOlder(a, b)
    : a.task.request.priority > b.task.request.priority;

/** Lines of tasks with one key, some of which wait aside until their line admits them. */
export class Lines {
  readonly #lines = new Map<string, Line>();
  readonly #rates: KeyRates;
  /** The lines of a task, with their limits as they are now. */
  readonly #keysOf: (version: Version) => readonly KeyLine[];

  constructor(rates: KeyRates, keysOf: (version: Version) => readonly KeyLine[]) {
    this.#rates = rates;
    this.#keysOf = keysOf;
  }

  /** An unfinished task is there. */
  enter(version: Version, isRunning: boolean): void {
    for (const { line, isOrdered } of this.#linesOf(version)) {
      line.size += 1;
      if (isRunning) line.running += 1;
      if (isOrdered) line.members.push(version);
    }
  }

  /** It is there no more, or not as it was. */
  leave(version: Version, isRunning: boolean): void {
    for (const { line, name, isOrdered } of this.#linesOf(version)) {
      line.size -= 1;
      if (isRunning) line.running -= 1;
      if (isOrdered) line.members.forget();
      bringBack(line);
      if (line.size === 0) this.#lines.delete(name);
    }
  }

  /** Whether a ready task may be claimed, as far as those with its keys are concerned; one that may not is put aside. */
  admit(lane: Lane, version: Version, now: EpochMs): boolean {
    const lines = this.#linesOf(version);
    const full = lines.find(({ line, name, isOrdered, capacity, rateLimit }) => {
      if (line.running >= capacity || (isOrdered && line.members.peek() !== version)) return true;
      if (rateLimit === undefined || this.#rates.left(name, rateLimit, now) > 0) return false;
      this.#rates.hold(name);
      return true;
    });
    if (full === undefined) return true;
    lane.ready.shift(version);
    let aside = full.line.aside.get(lane);
    if (aside === undefined) {
      aside = new Heap(full.isOrdered ? isOlder : isReadyBefore, isCurrent);
      full.line.aside.set(lane, aside);
    }
    aside.push(version);
    // It leaves a place in its other lines to the next.
    for (const { line, name, isOrdered, capacity } of lines) {
      if (!isOrdered && line.running < capacity && !this.#rates.isHeld(name)) bringBack(line);
    }
    return false;
  }

  /** A task was claimed. */
  started(version: Version, now: EpochMs): void {
    for (const { name, rateLimit } of this.#keysOf(version)) {
      if (rateLimit !== undefined) this.#rates.started(name, rateLimit, now);
    }
  }

  /** Brings back what rate limits have held until now; gives whether there was any. */
  release(now: EpochMs): boolean {
    const names = this.#rates.release(now);
    for (const name of names) {
      const line = this.#lines.get(name);
      if (line !== undefined) bringBack(line);
    }
    return names.length > 0;
  }

  /** Limits may have been raised. */
  reconfigured(): void {
    for (const line of this.#lines.values()) while (bringBack(line));
    this.#rates.releaseAll();
  }

  #linesOf(version: Version): readonly (KeyLine & { readonly line: Line })[] {
    return this.#keysOf(version).map((key) => {
      let line = this.#lines.get(key.name);
      if (line === undefined) {
        line = { size: 0, running: 0, members: new Heap(isOlder, isCurrent), aside: new Map() };
        this.#lines.set(key.name, line);
      }
      return { ...key, line };
    });
  }
}

/** The first of each lane may have room now. Gives whether there was any. */
function bringBack({ aside }: Line): boolean {
  for (const [lane, versions] of aside) {
    const version = versions.pop();
    if (version === undefined) aside.delete(lane);
    else lane.ready.push(version);
  }
  return aside.size > 0;
}
