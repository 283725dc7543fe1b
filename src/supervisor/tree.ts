import type { SupervisorSpec } from "../actor/supervision.ts";
import type { Executor } from "../executor/executor.ts";
import type { Retention, Storage } from "../storage/storage.ts";
import { dispatcherActor } from "./dispatcher.ts";
import type { DispatcherMessage, QueueMessage, SweeperMessage } from "./protocol.ts";
import { queueActor } from "./queue.ts";
import { sweeperActor } from "./sweeper.ts";
import { Waiters } from "./waiters.ts";
import type { ActiveRun } from "./workload.ts";

export interface TreeParts {
  readonly storage: Storage;
  readonly epoch: number;
  readonly executor: Executor;
  readonly names: ReadonlySet<string>;
  readonly retention: Retention;
}

/**
 * Children start top to bottom and stop bottom to top. A crash restarts the child and everything below it: the
 * dispatcher's claims are the queue's, and both rebuild what they know from the store. The sweeper needs nobody.
 */
export function tree({ storage, epoch, executor, names, retention }: TreeParts): SupervisorSpec {
  // What goes on while the actors are restarted.
  const active = new Set<ActiveRun>();
  const waiters = new Waiters();
  return {
    strategy: "restForOne",
    maxRestarts: 5,
    perMs: 60_000,
    children: [
      {
        name: "queue",
        restart: "permanent",
        stopWithinMs: 30_000,
        actor: (ref) =>
          queueActor({
            storage,
            epoch,
            names,
            retention,
            waiters,
            owner: "dispatcher",
            dispatcher: () => ref<DispatcherMessage>("dispatcher"),
            sweeper: () => ref<SweeperMessage>("sweeper"),
          }),
      },
      {
        name: "dispatcher",
        restart: "permanent",
        stopWithinMs: 30_000,
        actor: (ref) => dispatcherActor({ executor, active, queue: () => ref<QueueMessage>("queue") }),
      },
      { name: "sweeper", restart: "permanent", stopWithinMs: 5_000, actor: () => sweeperActor(storage) },
    ],
  };
}
