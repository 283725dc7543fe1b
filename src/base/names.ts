/// <reference lib="es2024.string" />
import { InvalidArgumentError } from "./errors.ts";

/** The longest name, in bytes of UTF-8. */
const longestName = 200;

/**
 * `value` as a name of a task, queue, tag …: text of 1 to 200 bytes in UTF-8 without control characters.
 *
 * @param path where it was given, for the message.
 * @throws InvalidArgumentError when it is not a name.
 */
export function checkName(path: string, value: unknown): string {
  if (typeof value !== "string") throw new InvalidArgumentError(path, `${kindOf(value)} is not a name. Give text.`);
  if (value === "") throw new InvalidArgumentError(path, "a name may not be empty.");
  // A name has at most three bytes for each of its units, so nearly all pass without being measured.
  const bytes = value.length * 3 <= longestName ? 0 : Buffer.byteLength(value);
  if (bytes > longestName) {
    throw new InvalidArgumentError(path, `a name of ${bytes} bytes is too long: ${longestName} is the most.`);
  }
  if (/\p{Cc}/u.test(value) || !value.isWellFormed()) {
    throw new InvalidArgumentError(path, `${JSON.stringify(value)} has control characters or halves of characters.`);
  }
  return value;
}

const kindOf = (value: unknown): string =>
  value === null ? "null" : value === undefined ? "undefined" : `a ${typeof value}`;

/**
 * The one of `known` that `name` was probably meant to be: at most a third of its characters, and at most three,
 * are wrong, missing, added or swapped with their neighbour. Upper and lower case count as the same.
 */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const wanted = name.toLowerCase();
  let best: string | undefined;
  let limit = Math.min(3, Math.ceil(name.length / 3)) + 1;
  for (const candidate of known) {
    if (Math.abs(candidate.length - name.length) >= limit) continue;
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance < limit) [best, limit] = [candidate, distance];
  }
  return best;
}

/** Damerau and Levenshtein's: insertions, deletions, replacements and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      const isSwapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current[column] = Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + (isSame ? 0 : 1),
        isSwapped ? at(beforeLast, column - 2) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    [beforeLast, last] = [last, current];
  }
  return at(last, b.length);
}

const at = (row: readonly number[], column: number): number => row[column] ?? Number.POSITIVE_INFINITY;
