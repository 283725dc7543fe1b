import { InvalidArgumentError } from "../base/errors.ts";
import { isPlainText } from "../task/plain.ts";
import type { Metadata } from "../task/task.ts";
import { asObject, isPlainObject, show, type Reader } from "./read.ts";

const metadataBytes = 16_000;

/** Plain JSON data, copied: at most 16,000 bytes, 32 levels deep. */
export const metadata: Reader<Metadata> = (value, path) => {
  // The copy keeps later changes by the caller out of what is stored.
  const copy = copyJson(asObject(value, path), path, 0) as Metadata;
  const bytes = Buffer.byteLength(JSON.stringify(copy));
  if (bytes <= metadataBytes) return copy;
  throw new InvalidArgumentError(path, `${bytes} bytes are too many: ${metadataBytes} is the most. Use an argument.`);
};

/** JSON has no cycles, so whatever is deeper than this may be one. */
const deepestMetadata = 32;

function copyJson(value: unknown, path: string, depth: number): unknown {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value + 0; // -0 is 0 in JSON
  if (typeof value === "string") return checkText(value, path);
  if (depth > deepestMetadata) throw new InvalidArgumentError(path, `is nested deeper than ${deepestMetadata} levels.`);
  if (Array.isArray(value)) {
    return Object.freeze(Array.from(value, (item, index) => copyJson(item, `${path}[${index}]`, depth + 1)));
  }
  if (!isPlainObject(value)) throw new InvalidArgumentError(path, `${show(value)} is not plain data, as JSON has it.`);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.freeze(
    Object.fromEntries(
      entries.map(([key, item]) => [checkKey(key, path), copyJson(item, `${path}.${key}`, depth + 1)]),
    ),
  );
}

function checkText(text: string, path: string): string {
  if (isPlainText(text)) return text;
  throw new InvalidArgumentError(path, "has halves of characters, or a byte order mark in front.");
}

function checkKey(key: string, path: string): string {
  if (key !== "__proto__") return checkText(key, `${path}: a key`);
  throw new InvalidArgumentError(path, '"__proto__" cannot be a key.');
}
