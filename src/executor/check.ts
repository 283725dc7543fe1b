import { WorkerCrashError } from "../base/errors.ts";
import { joinPayloads } from "../task/codec.ts";
import type { Payload } from "../task/task.ts";
import type { Death, Work, Worker } from "./worker.ts";
import type { ToWorker, ValidateAnswer } from "./worker-protocol.ts";

/** Arguments that are being checked. */
export class Check implements Work {
  readonly number: number;
  readonly isOver = false;
  readonly message: ToWorker;
  /** Rejects with WorkerCrashError when the worker dies. */
  readonly answer: Promise<ValidateAnswer>;
  worker: Worker | undefined;
  #resolve = (_answer: ValidateAnswer): void => {};
  #reject = (_error: Error): void => {};

  constructor(number: number, name: string, args: readonly Payload[]) {
    this.number = number;
    this.message = { type: "validate", work: number, name, args: joinPayloads(args) };
    this.answer = new Promise((resolve, reject) => ([this.#resolve, this.#reject] = [resolve, reject]));
  }

  done(answer: ValidateAnswer): void {
    this.#resolve(answer);
  }

  lose({ how }: Death): void {
    this.#reject(new WorkerCrashError(how));
  }
}
