import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  rmSync,
  statfsSync,
  statSync,
} from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { dirname, join, relative } from "node:path";
import { systemClock, type Clock, type EpochMs } from "../../base/clock.ts";
import { InvalidArgumentError, StoreForeignError, StoreOwnedError } from "../../base/errors.ts";
import { closeNoteFile, markerFile, placeOf, readJson, writeJsonDurably } from "./close-note.ts";

/** The right to use a store, until it is released or this process ends, however it ends. */
export interface Ownership {
  /** The folder's real path. */
  readonly folder: string;
  /** Lets go. A second call does nothing. */
  release(): Promise<void>;
}

interface OwnerNote {
  readonly pid: number;
  readonly owner: string;
  readonly startedAt: EpochMs;
  /** The socket of the owner, which tells it from those who are still trying. */
  readonly socket: string;
}

// Contenders settle within milliseconds; a refusal is promised within a second.
const longestContestMs = 800;
const contestStepMs = 5;
// sun_path holds 108 bytes on Linux, 104 elsewhere; the last is a NUL.
const longestSocketPath = process.platform === "linux" ? 107 : 103;

// statfs types whose locks and shared mappings LMDB cannot rely on.
const remoteFileSystems = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB"],
  [0x5346414f, "AFS"],
  [0x00c36400, "Ceph"],
  [0x0bd00bd0, "Lustre"],
  [0x01021997, "9P"],
  [0x786f4256, "a VirtualBox shared folder"],
]);

/**
 * Takes the store in `folder` for this process, creating the folder (mode 0700) where there is none.
 *
 * Two sockets say that it is taken, and the system closes both when the process ends: one with a name derived from
 * the folder, which is quick and cannot be removed; and a file in the folder, which is seen by containers that share
 * a volume but no network. Nobody has to answer on them, so an owner that is busy is an owner.
 *
 * @param owner shown to whoever else tries.
 * @throws StoreOwnedError within a second when it is taken. StoreForeignError when the folder holds something else.
 *   InvalidArgumentError when the folder cannot be made private to this user, or is on another machine.
 */
export async function takeOwnership(folder: string, owner: string, clock: Clock = systemClock): Promise<Ownership> {
  const path = prepareFolder(folder);
  // Referenced while this goes on, so that the process does not end in the middle.
  const servers: Server[] = [];
  const release = async (): Promise<void> => {
    for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  };
  try {
    const name = nameFor(path);
    if (name !== undefined) servers.push(await listen(name, path));
    if (process.platform === "win32") {
      for (const server of servers) server.unref();
      writeOwnerNote(path, owner, "", clock);
      return { folder: path, release };
    }
    const handle = openSync(path, "r");
    try {
      const file = await takeByFile(path, handle, clock);
      servers.push(file.server);
      for (const server of servers) server.unref();
      writeOwnerNote(path, owner, file.name, clock);
      return {
        folder: path,
        async release() {
          if (servers.length === 0) return;
          await release();
          rmSync(join(path, file.name), { force: true });
          closeSync(handle);
        },
      };
    } catch (error) {
      closeSync(handle);
      throw error;
    }
  } catch (error) {
    await release();
    throw error;
  }
}

/** Makes the folder, or makes sure that the one that is there may be used: ours to write in, and nobody else's. */
function prepareFolder(folder: string): string {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new InvalidArgumentError("path", `${folder} cannot be made a folder (${String(error)}).`, { cause: error });
  }
  const path = realpathSync(folder);
  const remote = remoteFileSystem(statfsSync(path).type);
  if (remote !== undefined) {
    throw new InvalidArgumentError("path", `${path} is on ${remote}. Choose a folder on a disk of this machine.`);
  }
  const foreign = foreignEntry(path);
  if (foreign !== undefined) throw new StoreForeignError(path, `it holds "${foreign}"`);
  const user = process.geteuid?.();
  if (user === undefined) return path;
  const { mode, uid } = statSync(path);
  // Root may use a folder of another user: volumes of containers often belong to one.
  if (uid !== user && user !== 0) {
    throw new InvalidArgumentError(
      "path",
      `${path} belongs to user ${uid}, this process runs as ${user}. Choose another.`,
    );
  }
  if ((mode & 0o077) !== 0) chmodSync(path, 0o700);
  const parent = dirname(path);
  if ((statSync(parent).mode & 0o1002) === 0o0002) {
    throw new InvalidArgumentError(
      "path",
      `${parent} may be written by everyone, who could exchange the store in it. Run "chmod o-w" or "chmod +t" on it.`,
    );
  }
  return path;
}

/** The name of something that is neither part of a store nor beside the point, in a folder without a store. */
export function foreignEntry(folder: string): string | undefined {
  const names = readdirSync(folder);
  if (names.some((name) => name === "data.mdb" || name === closeNoteFile || name === markerFile)) return undefined;
  // A fresh file system has lost+found; tools leave hidden files.
  return names.find((name) => !/^(owner\..+|lock\.mdb|(store|closed)\.json\.tmp|lost\+found|\..+)$/.test(name));
}

/** What a file system that is on another machine is called, by its statfs type; `undefined` for others. */
export const remoteFileSystem = (type: number): string | undefined => remoteFileSystems.get(type >>> 0);

/** A name outside of the file system that one listener at a time can have; `undefined` where there are none. */
function nameFor(path: string): string | undefined {
  const name = `omniq-${createHash("sha256").update(placeOf(path)).digest("hex")}`;
  if (process.platform === "win32") return `\\\\.\\pipe\\${name}`;
  // Versions of Node differ in how they end a name; all 108 bytes given, there is nothing to differ about.
  return process.platform === "linux" ? `\0${name}`.padEnd(108, "\0") : undefined;
}

/**
 * Takes the folder by a socket in it. Everyone who tries listens on a file of its own first and looks at the others
 * after: of two, the one that looks later sees the other. A file that refuses is of a process that ended; as names
 * are never used again, it can be removed without a race. Among those who try at a time the lowest name wins: the
 * others give way to it, and it waits until they did.
 */
async function takeByFile(path: string, handle: number, clock: Clock): Promise<{ server: Server; name: string }> {
  const name = `owner.${randomBytes(8).toString("hex")}.sock`;
  const server = await listen(reach(path, handle, name), path);
  try {
    chmodSync(join(path, name), 0o600);
    for (const deadline = clock.now() + longestContestMs; ;) {
      const rivals = await livingRivals(path, handle, name);
      // Whoever looked before this socket listened may have removed the file.
      const isSeen = lstatSync(join(path, name), { throwIfNoEntry: false }) !== undefined;
      if (rivals.length === 0 && isSeen) return { server, name };
      const settled = (readJson(join(path, "owner.json")) as Partial<OwnerNote> | undefined)?.socket;
      const givesWay = rivals.some((rival) => rival === settled || rival < name);
      if (givesWay || !isSeen || clock.now() >= deadline) throw ownedError(path);
      await new Promise<void>((resolve) => clock.wakeAt(clock.now() + contestStepMs, resolve));
    }
  } catch (error) {
    await new Promise((resolve) => server.close(resolve));
    rmSync(join(path, name), { force: true });
    throw error;
  }
}

async function livingRivals(path: string, handle: number, own: string): Promise<string[]> {
  const names = readdirSync(path).filter((name) => name !== own && /^owner\.[0-9a-f]+\.sock$/.test(name));
  const living: string[] = [];
  for (const name of names) {
    if (await isListening(reach(path, handle, name))) living.push(name);
    else rmSync(join(path, name), { force: true });
  }
  return living;
}

/** A spelling of the file's path that is short enough for a socket. */
function reach(path: string, handle: number, name: string): string {
  const spellings = [
    join(path, name),
    relative(process.cwd(), join(path, name)),
    ...(process.platform === "linux" ? [`/proc/self/fd/${handle}/${name}`] : []),
  ];
  const short = spellings.find((spelling) => Buffer.byteLength(spelling) <= longestSocketPath);
  if (short !== undefined) return short;
  throw new InvalidArgumentError(
    "path",
    `${path} is too long for the socket in it: ${longestSocketPath} bytes. Choose a shorter one.`,
  );
}

function listen(address: string, path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") reject(ownedError(path));
      else
        reject(
          new InvalidArgumentError("path", `no socket can be made in ${path} (${String(error)}).`, { cause: error }),
        );
    });
    // Without "exclusive" the workers of a cluster would share one listener.
    server.listen({ path: address, exclusive: true }, () => resolve(server));
  });
}

/** The system accepts for a process that is too busy to; only an ended one refuses. */
function isListening(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", ({ code }: NodeJS.ErrnoException) => resolve(code !== "ECONNREFUSED" && code !== "ENOENT"));
  });
}

function writeOwnerNote(path: string, owner: string, socket: string, clock: Clock): void {
  const note: OwnerNote = { pid: process.pid, owner, startedAt: clock.now(), socket };
  writeJsonDurably(join(path, "owner.json"), note);
}

function ownedError(path: string): StoreOwnedError {
  const note = readJson(join(path, "owner.json")) as Partial<OwnerNote> | undefined;
  // The note of an owner that ended is not about the present one, which may have had no time yet to write its own.
  const isCurrent = typeof note?.pid === "number" && isAlive(note.pid);
  return new StoreOwnedError(path, isCurrent ? note.pid : undefined, isCurrent ? note.owner : undefined);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
