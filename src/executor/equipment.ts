import { ResourceSetupError } from "../base/errors.ts";
import type { Middleware } from "../task/middleware.ts";
import type { ResourcesDefinition } from "../task/resources.ts";

/** What the handlers of a worker find around them. */
export class Equipment {
  readonly middleware: readonly Middleware[];
  readonly resources: Record<string, unknown> = {};
  readonly #definitions: readonly ResourcesDefinition[];
  readonly #teardowns: (() => unknown)[] = [];

  constructor(middleware: readonly Middleware[], definitions: readonly ResourcesDefinition[]) {
    this.middleware = [...middleware];
    this.#definitions = [...definitions];
  }

  get needsSetup(): boolean {
    return this.#definitions.length > 0;
  }

  get needsTeardown(): boolean {
    return this.#teardowns.length > 0;
  }

  /** @throws ResourceSetupError; what was set up before is torn down then. */
  async setUp(): Promise<void> {
    try {
      for (const { setup, teardown } of this.#definitions) {
        const given = await setup();
        if (typeof given !== "object" || given === null) throw new TypeError("setup gave no object.");
        Object.assign(this.resources, given);
        if (teardown !== undefined) this.#teardowns.unshift(() => teardown(given as never));
      }
      Object.freeze(this.resources);
    } catch (error) {
      // Why the setup failed is what there is to tell.
      await this.tearDown().catch(() => undefined);
      throw new ResourceSetupError(error);
    }
  }

  /** Tears down everything, last first. @throws what the first of them threw that threw. */
  async tearDown(): Promise<void> {
    const failures: unknown[] = [];
    for (const teardown of this.#teardowns.splice(0)) {
      try {
        await teardown();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
