import type { MessagePort } from "node:worker_threads";
import type { PayloadBatch } from "../task/codec.ts";
import type { TaskError, TaskId } from "../task/task.ts";
import type { Catalogue } from "./executor.ts";
import type { InputVerdict } from "./input.ts";
import type { LoadProblem } from "./loader.ts";

/** What every thread of a pool is given. */
export interface ThreadData {
  readonly modules: readonly string[];
  readonly maxResultBytes: number;
  /** One `Slot` for each batch in flight. */
  readonly memory: SharedArrayBuffer;
  /** Proves that a greeting is our own and not a message of some handler. */
  readonly token: string;
}

/**
 * The first message of a thread, before any task module is loaded: it hands over the port that everything else goes
 * through, which handlers cannot reach.
 */
export interface Greeting {
  readonly token: string;
  readonly threadId: number;
  readonly port: MessagePort;
}

/** What a thread says through its port. */
export type FromThread =
  /** Attempts that ended, as `readReports` reads them. */
  | { readonly type: "reports"; readonly batch: number; readonly frame: Uint8Array }
  /** About to import the file. */
  | { readonly type: "loading"; readonly file: string }
  | { readonly type: "loaded"; readonly catalogue: Catalogue }
  | { readonly type: "notLoaded"; readonly problem: LoadProblem }
  /** The thread takes no further task. With an error that no outcome tells of, and the task that left it behind. */
  | { readonly type: "retiring"; readonly error?: TaskError; readonly taskId?: TaskId }
  /** Something was thrown, and nobody knows by which of the attempts: the thread ends itself. */
  | { readonly type: "dying"; readonly error: TaskError };

/** What a thread is told through its port. */
export type ToThread =
  | { readonly type: "load" }
  | { readonly type: "stop"; readonly batch: number; readonly index: number; readonly reason: string };

/** A batch to run. */
export interface BatchMessage {
  readonly batch: number;
  readonly slot: number;
  /** As `packHeaders` makes them. */
  readonly headers: string;
  /** The arguments of each. */
  readonly args: PayloadBatch;
}

/** Arguments to check. */
export interface ValidateMessage {
  readonly name: string;
  readonly args: PayloadBatch;
}

export type ValidateAnswer = InputVerdict | { readonly type: "unknown" };
