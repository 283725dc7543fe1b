import type { SupervisorSpec } from "../actor/supervision.ts";
import type { ChildCall } from "../executor/executor.ts";
import type { Retention, Storage } from "../storage/storage.ts";
import type { Breakers } from "./breakers.ts";
import { dispatcherActor } from "./dispatcher.ts";
import type {
  ChildTask,
  DispatcherMessage,
  Executors,
  QueueMessage,
  SchedulerMessage,
  SweeperMessage,
} from "./protocol.ts";
import { Followers } from "./followers.ts";
import { queueActor } from "./queue.ts";
import { schedulerActor } from "./scheduler.ts";
import type { SchedulerParts } from "./scheduler-state.ts";
import { sweeperActor } from "./sweeper.ts";
import { Waiters } from "./waiters.ts";
import type { ActiveRun } from "./workload.ts";

export interface TreeParts {
  readonly storage: Storage;
  readonly epoch: number;
  readonly executors: Executors;
  readonly names: ReadonlySet<string>;
  readonly retention: Retention;
  readonly breakers: Breakers;
  /** Checks what running attempts want stored. */
  readonly newChild: (call: ChildCall) => Promise<ChildTask>;
  readonly scheduler: Omit<SchedulerParts, "storage" | "queue">;
}

/**
 * Children start top to bottom and stop bottom to top. A crash restarts the child and everything below it: the
 * dispatcher's claims are the queue's, and both rebuild what they know from the store. The sweeper needs nobody, and
 * nobody needs the scheduler.
 */
export function tree({
  storage,
  epoch,
  executors,
  names,
  retention,
  breakers,
  newChild,
  scheduler,
}: TreeParts): SupervisorSpec {
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
            breakers,
            owner: "dispatcher",
            defaultExecutor: executors.byDefault,
            dispatcher: () => ref<DispatcherMessage>("dispatcher"),
            sweeper: () => ref<SweeperMessage>("sweeper"),
            scheduler: () => ref<SchedulerMessage>("scheduler"),
          }),
      },
      {
        name: "dispatcher",
        restart: "permanent",
        stopWithinMs: 30_000,
        actor: (ref) =>
          dispatcherActor({ executors, names, active, newChild, queue: () => ref<QueueMessage>("queue") }),
      },
      { name: "sweeper", restart: "permanent", stopWithinMs: 5_000, actor: () => sweeperActor(storage) },
      {
        name: "scheduler",
        restart: "permanent",
        stopWithinMs: 5_000,
        actor: (ref) => schedulerActor({ ...scheduler, storage, queue: () => ref<QueueMessage>("queue") }),
      },
    ],
  };
}
