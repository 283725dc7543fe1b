import { fromTaskError } from "../task/task-error.ts";
import type { Payload } from "../task/task.ts";
import type { AttemptNote, CheckpointValue, ChildCall } from "./executor.ts";
import type { AttemptAnswer, FromWorker } from "./worker-protocol.ts";

/** Where attempts of a worker leave notes for the supervisor, and get answers to what they ask. */
export class Desk {
  readonly #tell: (message: FromWorker) => void;
  readonly #questions = new Map<number, (answer: AttemptAnswer) => void>();
  #lastQuestion = 0;

  constructor(tell: (message: FromWorker) => void) {
    this.#tell = tell;
  }

  note(batch: number, note: AttemptNote): void {
    this.#tell({ type: "note", batch, note });
  }

  /** The stored value of a checkpoint. */
  async recall(batch: number, id: string, key: string): Promise<Payload | undefined> {
    const { value } = await this.#ask((question) => ({ type: "recall", batch, question, id, key }));
    return value;
  }

  /** Stores the value of a checkpoint. Resolves when it is on disk; with `false` when the attempt is over. */
  async keep(batch: number, checkpoint: CheckpointValue): Promise<boolean> {
    const { isKept } = await this.#ask((question) => ({ type: "keep", batch, question, checkpoint }));
    return isKept === true;
  }

  /** Stores a task. Resolves when it is on disk. */
  async enqueue(batch: number, call: ChildCall): Promise<string | undefined> {
    const { taskId } = await this.#ask((question) => ({ type: "enqueue", batch, question, call }));
    return taskId;
  }

  receive({ question, error, ...answer }: AttemptAnswer & { readonly question: number }): void {
    this.#questions.get(question)?.({ ...answer, ...(error === undefined ? undefined : { error }) });
    this.#questions.delete(question);
  }

  #ask(message: (question: number) => FromWorker): Promise<AttemptAnswer> {
    const question = (this.#lastQuestion += 1);
    return new Promise((resolve, reject) => {
      this.#questions.set(question, (answer) => {
        if (answer.error === undefined) resolve(answer);
        else reject(fromTaskError(answer.error));
      });
      this.#tell(message(question));
    });
  }
}
