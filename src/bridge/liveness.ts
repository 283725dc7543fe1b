/** Silence after which the supervisor is taken for dead. */
const silenceMs = 10_000;
const lookMs = 2_500;

/**
 * Notices a supervisor that hangs. It cannot watch its own commits, which stop its thread, so its caller does: while
 * something is expected of it, it is asked for a sign of life. When nothing is expected, nothing is done.
 */
export class Liveness {
  readonly #ping: () => void;
  readonly #lost: (ms: number) => void;
  #expected = 0;
  #silentMs = 0;
  #lookedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(ping: () => void, lost: (ms: number) => void) {
    this.#ping = ping;
    this.#lost = lost;
  }

  expect(): void {
    this.#expected++;
    if (this.#timer !== undefined) return;
    this.#silentMs = 0;
    this.#lookedAt = performance.now();
    this.#timer = setInterval(() => this.#look(), lookMs);
    this.#timer.unref();
  }

  settle(): void {
    if (--this.#expected === 0) this.stop();
  }

  heard(): void {
    this.#silentMs = 0;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const now = performance.now();
    const passed = now - this.#lookedAt;
    this.#lookedAt = now;
    // The caller's own thread was busy or asleep: an answer may be waiting to be read.
    if (passed > 2 * lookMs) return;
    this.#silentMs += passed;
    if (this.#silentMs >= silenceMs) this.#lost(Math.round(this.#silentMs));
    else this.#ping();
  }
}
