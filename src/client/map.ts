import { createHash } from "node:crypto";
import { InvalidArgumentError, type TaskFailedError } from "../base/errors.ts";
import { checkName } from "../base/names.ts";
import { readCall } from "../config/call-options.ts";
import type { Outcome } from "./handle.ts";
import type { TaskId } from "../task/task.ts";

export interface MapOptions<I> {
  /** The most items that are stored and not yet yielded. Default 1,000. */
  readonly concurrency?: number | undefined;
  /** Yield in the order of the inputs. Default `false`: as they end. */
  readonly ordered?: boolean | undefined;
  /**
   * Names an item for good. A later run over the same store takes the results that are there already, goes on with
   * what is under way, and tries again what failed.
   */
  readonly key?: ((input: I) => string) | undefined;
  /** `"throw"` (default) ends at the first item that fails; `"yield"` yields its error and goes on. */
  readonly onError?: "throw" | "yield" | undefined;
}

/** An item that succeeded, or with `onError: "yield"`, failed. */
export type MapItem<I, R> =
  | { readonly index: number; readonly input: I; readonly value: R; readonly error?: never }
  | { readonly index: number; readonly input: I; readonly error: TaskFailedError; readonly value?: never };

/** What a map needs of the runtime. */
export interface MapSource {
  /** Stores tasks, resolves with a promise of the outcome of each. */
  start(argsList: readonly (readonly unknown[])[]): Promise<readonly Promise<Outcome>[]>;
  /** The same for items with ids of their own, which may exist. */
  resume(ids: readonly TaskId[], argsList: readonly (readonly unknown[])[]): Promise<readonly Promise<Outcome>[]>;
}

/** An id is a name: 1 to 200 bytes. */
const longestId = 200;
/** The most inputs that are stored with one call. */
const largestPart = 256;
const defaultConcurrency = 1_000;

/**
 * A durable parallel map. Inputs are taken only while fewer than `concurrency` items are open, so an endless source
 * needs no more memory than a short one; each is a stored task, so nothing is lost when the process ends half way.
 */
export async function* mapTasks<I extends readonly unknown[], R>(
  name: string,
  inputs: Iterable<I> | AsyncIterable<I>,
  options: MapOptions<I>,
  source: MapSource,
): AsyncGenerator<MapItem<I, R>, void, undefined> {
  const { concurrency = defaultConcurrency, ordered = false, onError = "throw" } = readCall("map", options);
  const { key } = options;
  const iterator = iteratorOf(inputs);
  const ready = new Ready<MapItem<I, R>>(ordered);
  let next = 0;
  const progress = { isExhausted: false };

  const take = async (most: number): Promise<I[]> => {
    const part: I[] = [];
    while (part.length < most) {
      const step = iterator.next();
      const { done, value } = isPromise(step) ? await step : step;
      if (done === true) {
        progress.isExhausted = true;
        break;
      }
      part.push(value);
      // A source that has to be waited for must not hold up what it has given already.
      if (isPromise(step)) break;
    }
    return part;
  };

  const storePart = async (): Promise<void> => {
    const part = await take(Math.min(largestPart, concurrency - ready.open));
    if (part.length === 0) return;
    const from = next;
    next += part.length;
    ready.opened(part.length);
    const ended =
      key === undefined
        ? await source.start(part)
        : await source.resume(
            part.map((input) => idFor(name, key(input))),
            part,
          );
    ended.forEach((outcome, offset) => {
      const index = from + offset;
      const input = part[offset] as I;
      outcome.then(
        ({ value, error }) =>
          ready.add(index, error === undefined ? { index, input, value: value as R } : { index, input, error }),
        (error: unknown) => ready.fail(error),
      );
    });
  };

  // Storing goes on while the consumer works: it is woken when items were yielded.
  const feed = async (): Promise<void> => {
    while (!progress.isExhausted && !ready.isEnded) {
      if (ready.open >= concurrency) await ready.room();
      else await storePart();
    }
    ready.exhausted();
  };

  void feed().catch((error: unknown) => ready.fail(error));
  try {
    for (;;) {
      const item = await ready.take();
      if (item === undefined) return;
      if (item.error !== undefined && onError === "throw") throw item.error;
      yield item;
    }
  } finally {
    ready.end();
    // Not awaited: a source that is idle answers only when it has something to give.
    if (!progress.isExhausted) void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

/** Items that have ended and wait to be yielded. */
class Ready<T> {
  readonly #isOrdered: boolean;
  readonly #items = new Map<number, T>();
  readonly #arrived: number[] = [];
  #nextIndex = 0;
  #isExhausted = false;
  #failure: { readonly error: unknown } | undefined;
  #wakeTaker: () => void = () => undefined;
  #wakeFeeder: () => void = () => undefined;
  /** Items that were stored and not yet taken. */
  open = 0;
  isEnded = false;

  constructor(isOrdered: boolean) {
    this.#isOrdered = isOrdered;
  }

  opened(count: number): void {
    this.open += count;
  }

  add(index: number, item: T): void {
    this.#items.set(index, item);
    if (!this.#isOrdered) this.#arrived.push(index);
    this.#wakeTaker();
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.end();
  }

  exhausted(): void {
    this.#isExhausted = true;
    this.#wakeTaker();
  }

  end(): void {
    this.isEnded = true;
    this.#wakeTaker();
    this.#wakeFeeder();
  }

  /** Resolves when an item was taken. */
  room(): Promise<void> {
    return new Promise((resolve) => (this.#wakeFeeder = resolve));
  }

  /** The next item; `undefined` when there will be none. */
  async take(): Promise<T | undefined> {
    for (;;) {
      const index = this.#isOrdered ? this.#nextIndex : this.#arrived.shift();
      const item = index === undefined ? undefined : this.#items.get(index);
      if (index !== undefined && item !== undefined) {
        this.#items.delete(index);
        this.#nextIndex++;
        this.open--;
        this.#wakeFeeder();
        return item;
      }
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#isExhausted && this.open === 0) return undefined;
      await new Promise<void>((resolve) => (this.#wakeTaker = resolve));
    }
  }
}

function iteratorOf<I>(inputs: Iterable<I> | AsyncIterable<I>): Iterator<I> | AsyncIterator<I> {
  const given: Partial<Iterable<I> & AsyncIterable<I>> = Object(inputs);
  const iterator = given[Symbol.asyncIterator]?.() ?? given[Symbol.iterator]?.();
  if (iterator !== undefined) return iterator;
  throw new InvalidArgumentError("inputs", "is not iterable. Give an array, a generator, or a stream.");
}

const isPromise = <T>(step: T | Promise<T>): step is Promise<T> => step instanceof Promise;

/** The id of an item: readable where the key is short, a digest of it where it is not. */
function idFor(name: string, key: unknown): TaskId {
  if (typeof key !== "string") throw new InvalidArgumentError("options.key", "did not give text.");
  const id = `${name}/${key}`;
  if (Buffer.byteLength(id) <= longestId && !/\p{Cc}/u.test(id)) return checkName("options.key", id);
  return `${name.slice(0, 60)}/sha256:${createHash("sha256").update(key).digest("hex")}`;
}
