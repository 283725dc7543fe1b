import { InvalidArgumentError, type InvalidInputError } from "../base/errors.ts";
import { decode, encodePooled, joinPayloads, splitPayloads, type PayloadBatch } from "../task/codec.ts";
import type { StandardSchemaIssue } from "../task/standard-schema.ts";
import { toTaskError } from "../task/task-error.ts";
import type { Payload, TaskError } from "../task/task.ts";
import type { LoadedTask } from "./loader.ts";

type Issue = InvalidInputError["issues"][number];

/** What the `input` schema of a task says of arguments. */
export type InputVerdict =
  | { readonly type: "accepted"; readonly args: PayloadBatch }
  | { readonly type: "refused"; readonly issues: readonly Issue[] }
  /** The schema threw, or gave what cannot be stored. */
  | { readonly type: "error"; readonly error: TaskError };

/**
 * Checks lists of arguments, in order, up to the first that is refused.
 *
 * @returns what the schema made of them; they are unchanged when the task has none. Never rejects.
 */
export async function checkInput(task: LoadedTask, args: PayloadBatch, maxBytes: number): Promise<InputVerdict> {
  const schema = task.options.input?.["~standard"];
  if (schema === undefined) return { type: "accepted", args };
  const accepted: Payload[] = [];
  try {
    for (const payload of splitPayloads(args)) {
      const result = await schema.validate(decode(payload));
      if (result.issues !== undefined) return { type: "refused", issues: result.issues.map(readIssue) };
      if (!Array.isArray(result.value))
        throw new InvalidArgumentError("input", "the schema gave no list of arguments.");
      accepted.push(encodePooled(result.value, "args", { maxBytes }));
    }
    return { type: "accepted", args: joinPayloads(accepted) };
  } catch (error) {
    return { type: "error", error: toTaskError(error) };
  }
}

/** With the path as text, `[0].size.width`. Schemas are code of the user: the message may be anything. */
const readIssue = ({ message, path = [] }: { message: unknown; path?: StandardSchemaIssue["path"] }): Issue => ({
  message: String(message),
  path: path
    .map((part) => step(typeof part === "object" ? part.key : part))
    .join("")
    .replace(/^\./, ""),
});

const step = (key: PropertyKey): string =>
  typeof key === "number" || /^\d+$/.test(String(key)) ? `[${String(key)}]` : `.${String(key)}`;
