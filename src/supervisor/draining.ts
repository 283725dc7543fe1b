import type { Self } from "../actor/actor.ts";
import type { Counts, Storage } from "../storage/storage.ts";
import { nameIn, type StoredTask } from "../task/task.ts";
import type { DrainReport, QueueMessage } from "./protocol.ts";
import type { Inbox, QueueState } from "./queue-state.ts";

/** Waits for the end of all work, as long as the caller does. */
export function drain(
  state: QueueState,
  { waitMs = Number.POSITIVE_INFINITY, reply }: Extract<QueueMessage, { type: "drain" }>,
  self: Self<Inbox>,
): void {
  state.drains.push({ reply, until: self.clock.now() + waitMs });
  armDrainTimer(state, self);
  drained(state, self);
}

export function drainWaitOver(state: QueueState, _message: Inbox, self: Self<Inbox>): void {
  const now = self.clock.now();
  const over = state.drains.filter(({ until }) => until <= now);
  state.drains = state.drains.filter(({ until }) => until > now);
  for (const { reply } of over) reply(undefined);
  armDrainTimer(state, self);
}

function armDrainTimer(state: QueueState, self: Self<Inbox>): void {
  const at = Math.min(...state.drains.map(({ until }) => until));
  if (Number.isFinite(at)) self.setTimer("drainWaitOver", at, { type: "drainWaitOver" });
}

/**
 * Replies to those who wait for the end of all work, if this is it: the last claim found nothing, nothing runs, and
 * nothing that may run is left, be it for those who lease.
 */
export function drained(state: QueueState, self: Self<Inbox>): void {
  if (state.drains.length === 0 || isBusy(state)) return;
  // Who asks while this is being read asks about more than this.
  const asking = [...state.drains];
  self.pipe(
    left(state.storage, state.breakers.openAt(self.clock.now())),
    (report) => ({
      type: "committed",
      next: () => {
        if (report === undefined) return;
        state.drains = state.drains.filter((one) => !asking.includes(one));
        for (const { reply } of asking) reply(report);
      },
    }),
    (error) => ({ type: "crash", error }),
  );
}

const isBusy = (state: QueueState): boolean =>
  state.dispatcherLife === undefined || state.claimed.size > 0 || state.demand.isClaiming || state.demand.isOpen;

/** What is left when nothing may run but the tasks of names that are held; `undefined` while something may. */
async function left(storage: Storage, names: ReadonlySet<string>): Promise<DrainReport | undefined> {
  const [counts, queues] = await Promise.all([storage.counts(), storage.queues()]);
  const paused = new Set(queues.filter(({ isPaused }) => isPaused).map(({ name }) => name));
  const { open, held } = tally(counts, paused);
  if (open.running + held.running + open.retrying > 0) return undefined;
  if (names.size === 0 && open.ready > counts.parked) return undefined;
  // In which queue a parked task stands is known of the task alone.
  const isPlain = counts.parked === 0 || held.ready === 0;
  const parked = isPlain ? { open: counts.parked, held: 0 } : await countParked(storage, paused);
  const heldBack = open.ready > parked.open ? await countReady(storage, names, isPlainly(paused)) : 0;
  if (open.ready > parked.open + heldBack) return undefined;
  return {
    paused: held.ready + held.retrying - parked.held,
    parked: parked.open + parked.held,
    scheduled: open.scheduled + held.scheduled,
    blocked: open.blocked + held.blocked,
    held: heldBack,
  };
}

/** Unfinished tasks by state, in paused queues and in others. */
function tally({ queues }: Counts, paused: ReadonlySet<string>): Record<"open" | "held", Record<Unfinished, number>> {
  const open = { ready: 0, running: 0, retrying: 0, scheduled: 0, blocked: 0 };
  const held = { ...open };
  for (const [queue, counts] of queues) {
    const sum = paused.has(queue) ? held : open;
    for (const state of unfinished) sum[state] += counts[state] ?? 0;
  }
  return { open, held };
}

const unfinished = ["ready", "running", "retrying", "scheduled", "blocked"] as const;
type Unfinished = (typeof unfinished)[number];

async function countParked(storage: Storage, paused: ReadonlySet<string>): Promise<{ open: number; held: number }> {
  const names = new Set(Array.from((await storage.parked()).keys(), nameIn));
  const isParked = ({ life }: StoredTask): boolean => life.parked === true;
  const all = await countReady(storage, names, isParked);
  const held = await countReady(storage, names, (task) => isParked(task) && paused.has(task.request.queue));
  return { open: all - held, held };
}

/** Ready tasks that only their names keep from being run. */
const isPlainly =
  (paused: ReadonlySet<string>) =>
  ({ request, life }: StoredTask): boolean =>
    life.parked !== true && !paused.has(request.queue);

async function countReady(
  storage: Storage,
  names: Iterable<string>,
  isMeant: (task: StoredTask) => boolean,
): Promise<number> {
  let count = 0;
  for (const name of names) {
    for (let cursor: string | undefined, isMore = true; isMore; isMore = cursor !== undefined) {
      const from = cursor === undefined ? {} : { cursor };
      const page = await storage.list({ states: ["ready"], name, limit: 1_000, ...from });
      count += page.tasks.filter(isMeant).length;
      cursor = page.cursor;
    }
  }
  return count;
}
