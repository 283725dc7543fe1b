import type { SupervisorSpec } from "../actor/supervision.ts";
import type { Retention, Storage } from "../storage/storage.ts";
import { dispatcherActor } from "./dispatcher.ts";
import type { DispatcherMessage, Executors, QueueMessage, SweeperMessage } from "./protocol.ts";
import { Followers } from "./followers.ts";
import { queueActor } from "./queue.ts";
import { sweeperActor } from "./sweeper.ts";
import { Waiters } from "./waiters.ts";
import type { ActiveRun } from "./workload.ts";

export interface TreeParts {
  readonly storage: Storage;
  readonly epoch: number;
  readonly executors: Executors;
  readonly names: ReadonlySet<string>;
  readonly retention: Retention;
}

/**
 * Children start top to bottom and stop bottom to top. A crash restarts the child and everything below it: the
 * dispatcher's claims are the queue's, and both rebuild what they know from the store. The sweeper needs nobody.
 */
export function tree({ storage, epoch, executors, names, retention }: TreeParts): SupervisorSpec {
  // What goes on while the actors are restarted.
  const active = new Map(Array.from(executors.all.keys(), (name) => [name, new Set<ActiveRun>()]));
  const waiters = new Waiters();
  const followers = new Followers();
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
            followers,
            owner: "dispatcher",
            defaultExecutor: executors.byDefault,
            dispatcher: () => ref<DispatcherMessage>("dispatcher"),
            sweeper: () => ref<SweeperMessage>("sweeper"),
          }),
      },
      {
        name: "dispatcher",
        restart: "permanent",
        stopWithinMs: 30_000,
        actor: (ref) => dispatcherActor({ executors, active, queue: () => ref<QueueMessage>("queue") }),
      },
      { name: "sweeper", restart: "permanent", stopWithinMs: 5_000, actor: () => sweeperActor(storage) },
    ],
  };
}
