/** How long to wait before the place of a worker is taken by another: longer and longer while none is ready for tasks. */
export class ReplacementPause {
  #failures = 0;

  /** A worker is ready for tasks. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** A worker could not be started, or ended before it was ready for tasks. */
  failed(): void {
    this.#failures += 1;
  }

  get ms(): number {
    return this.#failures === 0 ? 0 : Math.min(firstMs * 2 ** (this.#failures - 1), longestMs);
  }
}

const firstMs = 100;
const longestMs = 5_000;
