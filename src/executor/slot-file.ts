import { randomUUID } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Slot, slotBytes } from "./slots.ts";

const bytesPerSlot = slotBytes(1);
const nothing = new Uint8Array(bytesPerSlot);

/**
 * Where the supervisor sees what its children are doing, since processes share no memory: a file without a name. Each
 * child writes there which task it begins, before it begins it, so that this is known even when it is killed.
 */
export class SlotFile {
  readonly fd: number;

  constructor(slots: number) {
    this.fd = openNameless(new Uint8Array(slotBytes(slots)));
  }

  /** Makes the slot ready for a batch; no child uses it any more. */
  clear(number: number): void {
    writeSync(this.fd, nothing, 0, bytesPerSlot, slotBytes(number));
  }

  /** The slot as it is now. */
  read(number: number): Slot {
    let [last, before] = [new SharedArrayBuffer(bytesPerSlot), new SharedArrayBuffer(bytesPerSlot)];
    // A child may be writing: what was read twice is whole.
    do {
      [last, before] = [before, last];
      readSync(this.fd, new Uint8Array(last), 0, bytesPerSlot, slotBytes(number));
    } while (Buffer.compare(new Uint8Array(last), new Uint8Array(before)) !== 0);
    return new Slot(last, 0);
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** A slot of a child: what happens in it can be seen in the file. */
export class PublishedSlot extends Slot {
  readonly #bytes: Uint8Array;
  readonly #fd: number;
  readonly #at: number;

  constructor(memory: SharedArrayBuffer, number: number, fd: number) {
    super(memory, number);
    this.#fd = fd;
    this.#at = slotBytes(number);
    this.#bytes = new Uint8Array(memory, this.#at, bytesPerSlot);
  }

  override begin(index: number, startedAt: number): void {
    super.begin(index, startedAt);
    this.#publish();
  }

  override blame(isGuilty: boolean): void {
    super.blame(isGuilty);
    this.#publish();
  }

  #publish(): void {
    writeSync(this.#fd, this.#bytes, 0, bytesPerSlot, this.#at);
  }
}

/**
 * A file with these contents that has no name any more: in memory where the system has a folder for that, so that no
 * disk makes a child wait.
 */
function openNameless(contents: Uint8Array): number {
  try {
    return openIn("/dev/shm", contents);
  } catch {
    return openIn(tmpdir(), contents);
  }
}

function openIn(folder: string, contents: Uint8Array): number {
  const path = join(folder, `omniq-${randomUUID()}`);
  const fd = openSync(path, "wx+", 0o600);
  try {
    unlinkSync(path);
    // Takes the room that it needs now, when it can still be refused.
    writeSync(fd, contents);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
