import { setTimeout as pause } from "node:timers/promises";

/**
 * Looks again and again until `look` gives something other than `undefined`, `false` or an error, and gives that.
 *
 * @param withinMs after which the last thing seen is reported as an error.
 */
export async function eventually<T>(
  look: () => T | Promise<T>,
  withinMs = 30_000,
): Promise<Exclude<T, undefined | false>> {
  const until = Date.now() + withinMs;
  for (;;) {
    let seen: unknown;
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>;
      seen = found;
    } catch (error) {
      seen = error;
    }
    if (Date.now() >= until) throw new Error(`It did not happen within ${withinMs} ms.`, { cause: seen });
    await pause(5);
  }
}
