import { receiveMessageOnPort, type MessagePort, type Worker as NodeWorker } from "node:worker_threads";
import { Worker, type WorkerObserver } from "./worker.ts";
import type { FromWorker, ToWorker } from "./worker-protocol.ts";

/** A thread of this process, as the supervisor sees it. */
export class Thread extends Worker {
  readonly id: number;
  readonly name: string;
  protected readonly worker: NodeWorker;
  readonly #port: MessagePort;

  /** @param kind what its name begins with. */
  constructor(kind: string, worker: NodeWorker, port: MessagePort, observer: WorkerObserver) {
    super(observer);
    this.id = worker.threadId;
    this.name = `${kind}-${worker.threadId}`;
    this.worker = worker;
    this.#port = port;
    port.on("message", (message: FromWorker) => this.receive(message));
    port.unref();
    worker.once("error", (error: unknown) => this.broke(error));
    worker.once("exit", (code) => {
      this.drain();
      port.close();
      this.exited(`it exited with code ${code}`);
    });
  }

  tell(message: ToWorker, transfer: readonly ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  /** Receives what the thread has said by now, without waiting for the event loop. */
  override drain(): void {
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port)) {
      this.receive(next.message as FromWorker);
    }
  }

  protected kill(): void {
    void this.worker.terminate();
  }
}
