import type { PayloadBatch } from "../task/codec.ts";
import type { Payload, TaskError, TaskId } from "../task/task.ts";
import type { AttemptNote, Catalogue, CheckpointValue, ChildCall } from "./executor.ts";
import type { InputVerdict } from "./input.ts";
import type { LoadProblem } from "./loader.ts";

/** What every worker has to know. */
export interface WorkerSettings {
  /** The task modules, as file URLs. Nothing else is ever imported. */
  readonly modules: readonly string[];
  /** Of one result, encoded; of the arguments of one task as well, when a schema transforms them. */
  readonly maxResultBytes: number;
  /** Of what one attempt logs. Default 65,536. */
  readonly maxLogBytes?: number | undefined;
}

/** What a worker says. */
export type FromWorker =
  /** It can be given work. */
  | { readonly type: "ready" }
  /** Attempts that ended, as `readReports` reads them; without a frame, it has left them in the outbox of the batch. */
  | { readonly type: "reports"; readonly batch: number; readonly frame?: Uint8Array }
  | { readonly type: "note"; readonly batch: number; readonly note: AttemptNote }
  | AttemptQuestion
  /** It is done with a batch, or with a check of arguments: that has an answer. */
  | { readonly type: "done"; readonly work: number; readonly answer?: ValidateAnswer }
  /** So many tasks of the batch were taken; the others will not be started. */
  | { readonly type: "revoked"; readonly batch: number; readonly taken: number }
  /** With the resident size of its process, in bytes. */
  | { readonly type: "pong"; readonly rss: number }
  /** About to import the file. */
  | { readonly type: "loading"; readonly file: string }
  | { readonly type: "loaded"; readonly catalogue: Catalogue }
  | { readonly type: "notLoaded"; readonly problem: LoadProblem }
  /** Its modules are loaded and its resources set up; some of them may want to be torn down before it ends. */
  | { readonly type: "setUp"; readonly wantsTeardown: boolean }
  | { readonly type: "tornDown"; readonly error?: TaskError }
  /** The worker takes no further task. With an error that no outcome tells of, and the task that left it behind. */
  | { readonly type: "retiring"; readonly error?: TaskError; readonly taskId?: TaskId }
  /** Something was thrown, and nobody knows by which of the attempts: the worker ends itself. */
  | { readonly type: "dying"; readonly error: TaskError };

/** What a running attempt asks. It is answered with the same `question`. */
export type AttemptQuestion = { readonly batch: number; readonly question: number } & (
  | { readonly type: "recall"; readonly id: TaskId; readonly key: string }
  | { readonly type: "keep"; readonly checkpoint: CheckpointValue }
  | { readonly type: "enqueue"; readonly call: ChildCall }
);

/** What a worker is told. */
export type ToWorker =
  | ({ readonly type: "settings" } & WorkerSettings)
  | { readonly type: "load" }
  | ({ readonly type: "answer"; readonly question: number } & AttemptAnswer)
  /** It is at rest, and about to be ended. */
  | { readonly type: "tearDown" }
  | ({ readonly type: "batch" } & BatchMessage)
  | ({ readonly type: "validate"; readonly work: number } & ValidateMessage)
  | StopMessage
  /** Nothing more of the batch is to be started. Only for workers that share no memory with the supervisor. */
  | { readonly type: "revoke"; readonly batch: number; readonly slot: number }
  /** Not to wait any longer for the task, which was asked to stop. */
  | { readonly type: "abandon"; readonly batch: number; readonly index: number };

/** To an `AttemptQuestion`. */
export interface AttemptAnswer {
  /** Of a checkpoint. */
  readonly value?: Payload;
  readonly isKept?: boolean;
  /** Of the task that has what was enqueued. */
  readonly taskId?: TaskId;
  readonly error?: TaskError;
}

/** To ask a task to stop. */
export interface StopMessage {
  readonly type: "stop";
  readonly batch: number;
  readonly slot: number;
  readonly index: number;
  readonly reason: string;
}

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
