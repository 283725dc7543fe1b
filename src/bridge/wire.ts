import type { MessagePort, Transferable } from "node:worker_threads";

/**
 * One end of a channel between threads. What is sent in one tick travels together: a message costs more than what is in it,
 * and calls come by the hundred when those before them are answered together.
 */
export class Wire<Sent, Received> {
  readonly #port: MessagePort;
  #messages: Sent[] = [];
  #transfer: ArrayBuffer[] = [];

  constructor(port: MessagePort) {
    this.#port = port;
  }

  /** @param transfer memory that belongs to the other side from now on. */
  send(message: Sent, transfer: readonly ArrayBuffer[] = []): void {
    this.#messages.push(message);
    for (const buffer of transfer) this.#transfer.push(buffer);
    if (this.#messages.length === 1) queueMicrotask(this.#flush);
  }

  /** Sends a message that may turn out to be none that can be sent. @throws DataCloneError: nothing was sent. */
  try(message: Sent): void {
    this.#port.postMessage([message]);
  }

  /** May be called more than once: everybody gets everything. */
  listen(hear: (message: Received) => void): void {
    this.#port.on("message", (messages: readonly Received[]) => {
      for (const message of messages) hear(message);
    });
  }

  /** What was sent is on its way; nothing is any more. */
  close(): void {
    this.#flush();
    this.#port.close();
  }

  readonly #flush = (): void => {
    if (this.#messages.length === 0) return;
    const [messages, transfer] = [this.#messages, this.#transfer];
    this.#messages = [];
    this.#transfer = [];
    this.#port.postMessage(messages, transfer as readonly Transferable[]);
  };
}
