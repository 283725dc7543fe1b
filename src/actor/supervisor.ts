import type { Timer } from "../base/clock.ts";
import type { Environment } from "./environment.ts";
import { RestartBudget, restartedWith } from "./supervision.ts";
import type { ChildSpec, Crash, Parent, StopMode, Supervised, SupervisorSpec } from "./supervision.ts";

/** A child and where it is in its life. */
interface Child {
  readonly spec: ChildSpec;
  readonly node: Supervised;
  state: "down" | "starting" | "up" | "stopping";
  /** To be started when it is down. */
  isWanted: boolean;
  /** To be stopped before any child is started. */
  isLeaving: boolean;
  deadline?: Timer;
}

/**
 * Keeps its children as they are wanted. Every event only marks children (wanted, leaving); `#tend` then does the next
 * thing that is due: the lowest leaving child stops, or else the highest wanted child that is down starts. So a crash
 * in the middle of a start, a restart or a stop is no special case.
 */
export class Supervisor implements Supervised, Parent {
  readonly name: string;
  readonly #spec: SupervisorSpec;
  readonly #parent: Parent;
  readonly #isTop: boolean;
  readonly #environment: Environment;
  readonly #children: readonly Child[];
  #budget: RestartBudget;
  #phase: "down" | "starting" | "up" | "ending" = "down";
  #mode: StopMode = "stop";
  #crash: Crash | undefined;

  constructor(options: {
    name: string;
    spec: SupervisorSpec;
    parent: Parent;
    isTop: boolean;
    environment: Environment;
    createChild: (spec: ChildSpec, parent: Parent) => Supervised;
  }) {
    this.name = options.name;
    this.#spec = options.spec;
    this.#parent = options.parent;
    this.#isTop = options.isTop;
    this.#environment = options.environment;
    this.#budget = new RestartBudget(options.spec.maxRestarts, options.spec.perMs);
    this.#children = options.spec.children.map((spec) => {
      return { spec, node: options.createChild(spec, this), state: "down", isWanted: false, isLeaving: false };
    });
  }

  // ------------------------------------------------------------------------------------------------- from above

  start(): void {
    this.#phase = "starting";
    this.#crash = undefined;
    this.#budget = new RestartBudget(this.#spec.maxRestarts, this.#spec.perMs);
    for (const child of this.#children) child.isWanted = true;
    this.#tend();
  }

  stop(mode: StopMode): void {
    this.#leave(mode);
    this.#tend();
  }

  kill(): void {
    this.#phase = "down";
    for (const child of this.#children.toReversed()) {
      child.node.kill();
      this.#markDown(child);
    }
  }

  close(): void {
    for (const child of this.#children) child.node.close();
  }

  // ------------------------------------------------------------------------------------------------- from below

  started(node: Supervised): void {
    const child = this.#childOf(node);
    if (child.state === "starting") child.state = "up";
    this.#tend();
  }

  ended(node: Supervised, crash?: Crash): void {
    const child = this.#childOf(node);
    const wasAsked = child.state === "stopping";
    this.#markDown(child);
    if (!wasAsked && this.#phase !== "ending") this.#decide(child, crash);
    if (!child.isWanted) node.close();
    this.#tend();
  }

  /** A child ended by itself: gone for good, to be restarted, or one time too many. */
  #decide(child: Child, crash: Crash | undefined): void {
    const { restart, name } = child.spec;
    if (restart === "temporary" || (restart === "transient" && crash === undefined)) {
      child.isWanted = false;
    } else if (this.#budget.spend(this.#environment.clock.now())) {
      for (const sibling of restartedWith(this.#spec.strategy, this.#children, child)) {
        sibling.isLeaving = sibling.state !== "down";
        sibling.isWanted = sibling.spec.restart !== "temporary";
      }
    } else {
      this.#fail(crash ?? { cause: new Error(`Actor "${name}" is permanent and stopped by itself too often.`) });
    }
  }

  #fail(crash: Crash): void {
    const { maxRestarts, perMs } = this.#spec;
    const fields = { supervisor: this.name, maxRestarts, perMs, error: crash.cause };
    this.#environment.log.error(fields, "restart budget used up");
    this.#crash = crash;
    // Below the top, the mailboxes stay: the supervisor above may start all of this again.
    this.#leave(this.#isTop ? "stop" : "restart");
  }

  #leave(mode: StopMode): void {
    this.#phase = "ending";
    this.#mode = mode;
    for (const child of this.#children) {
      child.isWanted = mode === "restart";
      child.isLeaving = child.state !== "down";
      if (child.state === "stopping") child.node.stop(mode);
      if (child.state === "down" && !child.isWanted) child.node.close();
    }
  }

  // ------------------------------------------------------------------------------------------------- what is due

  #tend(): void {
    const leaving = this.#children.findLast((child) => child.isLeaving);
    if (leaving !== undefined) {
      if (leaving.state !== "stopping") this.#stopChild(leaving);
      return;
    }
    if (this.#phase === "down") return;
    if (this.#phase === "ending") {
      this.#phase = "down";
      this.#parent.ended(this, this.#crash);
      return;
    }
    const next = this.#children.find((child) => child.isWanted && child.state !== "up");
    if (next?.state === "down") {
      next.state = "starting";
      next.node.start();
    } else if (next === undefined && this.#phase === "starting") {
      this.#phase = "up";
      this.#parent.started(this);
    }
  }

  #stopChild(child: Child): void {
    const { clock, log } = this.#environment;
    const { name, stopWithinMs } = child.spec;
    child.state = "stopping";
    child.deadline = clock.wakeAt(clock.now() + stopWithinMs, () => {
      log.warn({ actor: name, stopWithinMs }, "killed, as it did not stop in time");
      child.node.kill();
      this.ended(child.node);
    });
    child.node.stop(this.#phase === "ending" ? this.#mode : "restart");
  }

  #markDown(child: Child): void {
    child.deadline?.cancel();
    child.state = "down";
    child.isLeaving = false;
  }

  #childOf(node: Supervised): Child {
    const child = this.#children.find((candidate) => candidate.node === node);
    if (child === undefined) throw new RangeError(`"${node.name}" is not a child of "${this.name}".`);
    return child;
  }
}
