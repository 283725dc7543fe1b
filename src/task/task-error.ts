/// <reference lib="es2024.string" />
import { inspect } from "node:util";
import type { TaskError } from "./task.ts";

/** The most that is kept of a message and of a stack, in UTF-16 units. */
const longestMessage = 16_384;
const longestStack = 32_768;
const longestName = 200;
const deepestCause = 8;

/**
 * What was thrown, as data. Takes anything: what is not an error is described, what cannot be read is left out,
 * what is too long is cut. Never throws.
 */
export const toTaskError = (thrown: unknown): TaskError => describe(thrown, new Set());

function describe(thrown: unknown, outer: Set<unknown>): TaskError {
  outer.add(thrown);
  const message = read(thrown, "message");
  if (typeof message !== "string") return { name: "Error", message: cut(`${show(thrown)} was thrown`, longestMessage) };

  const name = read(thrown, "name");
  const stack = read(thrown, "stack");
  const code = read(thrown, "code");
  const cause = read(thrown, "cause") ?? firstOf(read(thrown, "errors"));
  const goesOn = cause !== undefined && cause !== null && !outer.has(cause) && outer.size < deepestCause;
  return {
    name: typeof name === "string" && name !== "" ? cut(name, longestName) : "Error",
    message: cut(message, longestMessage),
    // The stack starts with the message: a long one would leave no room for the frames.
    ...(typeof stack === "string" && {
      stack: cut(
        stack.replace(message, () => cut(message, longestMessage)),
        longestStack,
      ),
    }),
    ...(typeof code === "string" && { code: cut(code, longestName) }),
    ...(typeof code === "number" && { code }),
    ...(goesOn && { cause: describe(cause, outer) }),
  };
}

/** The property of an object, unless reading it throws. */
function read(holder: unknown, key: string): unknown {
  try {
    return Object(holder) === holder ? Reflect.get(holder as object, key) : undefined;
  } catch {
    return undefined;
  }
}

/** Of an AggregateError without a cause, the first error says most. */
const firstOf = (errors: unknown): unknown => {
  try {
    return Array.isArray(errors) ? errors[0] : undefined;
  } catch {
    return undefined;
  }
};

function show(value: unknown): string {
  try {
    return inspect(value, {
      depth: 1,
      customInspect: false,
      maxArrayLength: 20,
      maxStringLength: 1_000,
      breakLength: Infinity,
    });
  } catch {
    return `A value of type ${typeof value}`;
  }
}

function cut(text: string, longest: number): string {
  const kept = text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
  return kept.toWellFormed();
}

/** The error that was thrown, made anew: an Error with the name, message, stack, `code` and `cause` it had. */
export function fromTaskError({ name, message, stack, code, cause }: TaskError): Error {
  const error = new Error(message, cause === undefined ? undefined : { cause: fromTaskError(cause) });
  const hidden = { writable: true, configurable: true, enumerable: false };
  if (name !== error.name) Object.defineProperty(error, "name", { value: name, ...hidden });
  // Without the stack it had, the place where this one was made would mislead.
  Object.defineProperty(error, "stack", { value: stack ?? `${name}: ${message}`, ...hidden });
  return code === undefined ? error : Object.assign(error, { code });
}
