import type { AnyActor, Reply } from "../../src/actor/actor.ts";
import { defineActor } from "../../src/actor/actor.ts";
import { seededRandom } from "../../src/actor/seeded-random.ts";
import { SeededTurns } from "../../src/actor/seeded-turns.ts";
import type { ChildSpec, SupervisorSpec } from "../../src/actor/supervision.ts";
import type { RunningTree } from "../../src/actor/system.ts";
import { createSystem } from "../../src/actor/system.ts";
import { VirtualClock } from "../../src/base/clock.ts";

export interface TestTree {
  readonly tree: RunningTree;
  readonly clock: VirtualClock;
  readonly turns: SeededTurns;
  readonly log: readonly LogEntry[];
  /** Lets the actors finish everything they can do without time passing. */
  readonly settle: () => Promise<string[]>;
  /** Moves the clock by `ms`, letting the actors finish at every moment at which a timer fires. */
  readonly advance: (ms: number) => Promise<void>;
}

export interface LogEntry {
  readonly level: "warn" | "error";
  readonly message: string;
  readonly fields: object;
}

/** Starts a tree with a virtual clock and seeded turns. */
export function startTree(spec: SupervisorSpec, seed = 1): TestTree {
  const clock = new VirtualClock(1_000);
  const turns = new SeededTurns(seed);
  const log: LogEntry[] = [];
  const write = (level: LogEntry["level"]) => (fields: object, message: string) =>
    void log.push({ level, fields, message });
  const system = createSystem({
    clock,
    turns,
    random: seededRandom(seed),
    log: { warn: write("warn"), error: write("error") },
  });
  const settle = (): Promise<string[]> => turns.runUntilIdle(100_000);
  const advance = async (ms: number): Promise<void> => {
    const end = clock.now() + ms;
    await settle();
    for (let next = clock.next(); next !== undefined && next <= end; next = clock.next()) {
      clock.advance(Math.max(0, next - clock.now()));
      await settle();
    }
    clock.advance(end - clock.now());
  };
  return { tree: system.start(spec), clock, turns, log, settle, advance };
}

/** A tree that restarts its children one by one, a hundred times a second. */
export function oneForOne(...children: ChildSpec[]): SupervisorSpec {
  return { strategy: "oneForOne", maxRestarts: 100, perMs: 1_000, children };
}

export function child(
  name: string,
  actor: ChildSpec["actor"] | AnyActor,
  options: Partial<Pick<ChildSpec, "restart" | "stopWithinMs">> = {},
): ChildSpec {
  const factory = "start" in actor ? () => actor : actor;
  return { name, actor: factory, restart: "permanent", stopWithinMs: 1_000, ...options };
}

export type NotebookMessage =
  | { readonly type: "note"; readonly text: string }
  | { readonly type: "crash"; readonly error?: Error; readonly reply?: Reply<void> }
  | { readonly type: "leave" }
  | { readonly type: "wait"; readonly until: Promise<void>; readonly reply?: Reply<void> }
  | { readonly type: "echo"; readonly text: string; readonly reply: Reply<string> };

/** An actor that writes into `journal` what happens to it, each line beginning with its name. */
export const notebook = (journal: string[], overrides: Partial<AnyActor> = {}): AnyActor => ({
  ...defineActor<NotebookMessage, { notes: number }>({
    start(self) {
      journal.push(`${self.name} starts`);
      return { notes: 0 };
    },
    on: {
      note: (state, { text }, self) => void journal.push(`${self.name} notes ${text} as ${++state.notes}`),
      crash(_state, { error }) {
        throw error ?? new Error("crashed on purpose");
      },
      leave: (_state, _message, self) => self.stop(),
      wait: (_state, { until }) => until,
      echo: (_state, { text, reply }) => reply(text),
    },
    stop: (_state, self) => void journal.push(`${self.name} stops`),
  }),
  ...overrides,
});

export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

/** A promise that the test settles. */
export function gate(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

/** The error with which `promise` rejects; fails when it resolves. */
export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`Expected a rejection, got ${String(value)}.`);
}
