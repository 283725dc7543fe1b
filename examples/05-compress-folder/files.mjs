import { createHash } from "node:crypto";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

const largest = 1_000_000;
const most = 2_000;

/**
 * The files below `folder`, each with the id of its task: made from path, size and time of change, so that a file that
 * changed is a new task. Without `all`, those up to 1 MB, and of these 2,000 from everywhere, the same ones each time;
 * `count` is how many there are in all. Links and empty files are left out, and so is the folder `except`.
 */
export async function findFiles(folder, { all, except }) {
  const files = [];
  const unreadable = [];
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    const entries = await readdir(next, { withFileTypes: true }).catch((error) => {
      if (next === folder) throw error;
      unreadable.push({ path: next, why: error.code });
      return [];
    });
    for (const entry of entries) {
      const path = join(next, entry.name);
      if (entry.isDirectory() && path !== except) folders.push(path);
      if (entry.isFile()) files.push(path);
    }
  }
  const found = (await Promise.all(files.map(fileAt))).filter((file) => file !== undefined && file.bytes > 0);
  const inOrder = found.sort((a, b) => (a.place < b.place ? -1 : 1));
  const chosen = all ? inOrder : inOrder.filter(({ bytes }) => bytes <= largest).slice(0, most);
  return { files: chosen, count: found.length, unreadable };
}

async function fileAt(path) {
  // One that has vanished since its folder was read is no file of this run.
  const status = await lstat(path).catch(() => undefined);
  if (status === undefined) return undefined;
  const { size, mtimeMs } = status;
  return { path, bytes: size, place: digest(path), id: digest(`${path}\n${size}\n${mtimeMs}`) };
}

const digest = (text) => createHash("sha256").update(text).digest("hex");
