import * as errors from "../base/errors.ts";
import { OmniqError } from "../base/errors.ts";

/** An error as it crosses between threads: an error of ours comes out as the class it was. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: string | undefined;
  /** Own fields of the class: `path`, `existingId` … */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly cause: WireError | undefined;
}

const classes = new Map<string, { readonly prototype: object }>(
  Object.values(errors)
    .filter((value) => typeof value === "function" && value.prototype instanceof OmniqError)
    .map((value) => [value.name, value]),
);

const deepestCause = 8;

export function toWireError(thrown: unknown, depth = 0): WireError {
  if (!(thrown instanceof Error)) {
    return { name: "Error", message: String(thrown), stack: undefined, code: undefined, fields: {}, cause: undefined };
  }
  const { name, message, stack, cause } = thrown;
  const isOurs = thrown instanceof OmniqError;
  const code = "code" in thrown && typeof thrown.code === "string" ? thrown.code : undefined;
  const fields = isOurs ? Object.fromEntries(Object.entries(thrown).filter(([key]) => key !== "cause")) : {};
  const next = cause === undefined || depth === deepestCause ? undefined : toWireError(cause, depth + 1);
  return { name, message, stack, code, fields, cause: next };
}

export function fromWireError({ name, message, stack, code, fields, cause }: WireError): Error {
  const known = classes.get(name);
  // Not constructed: the message is there already, and constructors make it from other things.
  const error = known === undefined ? new Error(message) : (Object.create(known.prototype) as Error);
  const hidden = { enumerable: false, configurable: true, writable: true };
  Object.defineProperty(error, "message", { ...hidden, value: message });
  Object.defineProperty(error, "stack", { ...hidden, value: stack });
  if (known === undefined) Object.defineProperty(error, "name", { ...hidden, value: name });
  if (cause !== undefined) Object.defineProperty(error, "cause", { ...hidden, value: fromWireError(cause) });
  if (code !== undefined) Object.assign(error, { code });
  return Object.assign(error, fields);
}
