import type { Payload, TaskId } from "../task/task.ts";
import type { Attempt, AttemptHost } from "./attempt.ts";
import type { Desk } from "./desk.ts";
import type { Equipment } from "./equipment.ts";
import type { AttemptNote, CheckpointValue, ChildCall } from "./executor.ts";
import { ReportWriter, type AttemptEnd } from "./frames.ts";
import type { Outbox } from "./outbox.ts";
import type { RunnerHost } from "./runner.ts";
import type { Slot } from "./slots.ts";
import type { BatchMessage } from "./worker-protocol.ts";

// The supervisor hears of others this late at the latest, unless one task takes longer: what it does not know, it cannot
// store, and a crash of the whole process has it done again.
const longestUntoldMs = 50;

// As it is now: handlers may replace it.
const stopwatch = performance.now.bind(performance);

/** What a batch has of the worker that runs it. */
export interface BatchRunner {
  readonly host: RunnerHost;
  readonly maxResultBytes: number;
  readonly maxLogBytes: number | undefined;
  readonly desk: Desk;
}

/** A batch in a worker: how far it is, and what became of its tasks on its way to the supervisor. */
export class ActiveBatch implements AttemptHost {
  readonly slot: Slot;
  /** The place of the task that is running, or ran last. */
  index = -1;
  attempt: Attempt | undefined;
  equipment: Equipment | undefined;
  flushedAt = stopwatch();
  readonly #writer = new ReportWriter();
  readonly #outbox: Outbox | undefined;
  /** Something lies in the outbox that was not told. */
  #hasLeft = false;
  #toldAt = this.flushedAt;
  readonly #number: number;
  readonly #runner: BatchRunner;

  constructor({ batch, slot }: BatchMessage, runner: BatchRunner) {
    this.#number = batch;
    this.#runner = runner;
    this.slot = runner.host.slot(slot);
    this.#outbox = runner.host.outbox?.(slot);
  }

  get maxResultBytes(): number {
    return this.#runner.maxResultBytes;
  }

  get maxLogBytes(): number | undefined {
    return this.#runner.maxLogBytes;
  }

  note(note: AttemptNote): void {
    this.#runner.desk.note(this.#number, note);
  }

  recall(id: TaskId, key: string): Promise<Payload | undefined> {
    return this.#runner.desk.recall(this.#number, id, key);
  }

  keep(checkpoint: CheckpointValue): Promise<boolean> {
    return this.#runner.desk.keep(this.#number, checkpoint);
  }

  enqueue(call: ChildCall): Promise<TaskId | undefined> {
    return this.#runner.desk.enqueue(this.#number, call);
  }

  poll(): void {
    if (this.slot.isStopAsked(this.index)) this.#runner.host.receiveNow();
  }

  /** Leaves the end of a task where the supervisor can see it, before the next is taken; or keeps it to be told. */
  leave(index: number, startedAt: number, durationMs: number, end: AttemptEnd): void {
    this.#writer.add(index, startedAt, durationMs, end);
    if (this.#outbox?.offer(this.#writer.frame) !== true) return;
    this.#writer.clear();
    this.#hasLeft = true;
  }

  /** Tells what is to be told. */
  flush(): void {
    this.flushLast();
    const isLate = this.flushedAt - this.#toldAt > longestUntoldMs;
    if (this.#hasLeft && (isLate || this.#outbox?.isUrgent === true)) {
      this.#hasLeft = false;
      this.#toldAt = this.flushedAt;
      this.#runner.host.tell({ type: "reports", batch: this.#number });
    }
  }

  /** Likewise, when the supervisor is about to look by itself. */
  flushLast(): void {
    this.flushedAt = stopwatch();
    if (this.#writer.isEmpty) return;
    const frame = this.#writer.frame.slice();
    this.#writer.clear();
    this.#runner.host.tell({ type: "reports", batch: this.#number, frame }, [frame.buffer]);
  }
}
