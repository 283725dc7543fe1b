import type { EpochMs } from "../../base/clock.ts";
import { isKept, type TaskEvent, type TaskEventType } from "../../task/event.ts";
import type { TaskState } from "../../task/state.ts";
import type { TaskError, TaskId, TaskLife, TaskRequest } from "../../task/task.ts";
import { Turns } from "../routing.ts";
import type { StorageSettings } from "../storage.ts";
import { isLined } from "../key-lines.ts";
import { Claims } from "./claims.ts";
import { due, dueKey, dedupeIndexKey, numberKey, parkedKey, pruneKey, taskIdOf } from "./keys.ts";
import { Ledger } from "./ledger.ts";
import { Lines } from "./lines.ts";
import { Ready } from "./ready.ts";
import {
  decodeOutcome,
  decodeTask,
  encodeData,
  encodeKeys,
  encodeOutcome,
  encodeTask,
  lifeAfter,
  type OutcomeRow,
  type Place,
  type TaskRow,
} from "./records.ts";
import { Segments, type Member } from "./segments.ts";
import type { Tables } from "./tables.ts";

/** A change, ready to be made: `check` only reads and may refuse, `apply` writes and gives the answer. */
export interface Step<A> {
  /** About how many bytes it adds to the file. */
  readonly bytes?: number;
  readonly addsWork?: boolean;
  check?(): void;
  apply(): A;
}

/** A task on disk, with how it ended if it has. */
export interface Found {
  readonly row: TaskRow;
  /** Where it is, if it has no record of its own. */
  readonly member?: Member;
  readonly outcome?: OutcomeRow;
  /** As it is: with the claim or outcome it has. */
  readonly life: TaskLife;
}

/** What ends a task at a moment, and is shared by every verb that can. */
export interface Ending {
  readonly state: TaskState;
  readonly at: EpochMs;
  readonly reason?: string;
  readonly error?: TaskError;
}

const defaultTtl = (settings: StorageSettings, state: TaskState): number =>
  state === "failed" ? settings.retention.failedMs : settings.retention.completedMs;

/** An open store: its tables, what it knows by heart, and the small moves that the verbs are made of. */
export class Store {
  readonly tables: Tables;
  readonly ledger: Ledger;
  readonly segments: Segments;
  readonly ready: Ready;
  readonly lines: Lines;
  readonly claims: Claims;
  readonly turns: Turns;
  readonly settings: StorageSettings;
  readonly place: Place;
  #toTell: TaskEvent[] = [];
  /** No UUID in the store is greater, so a greater one is new. Our own ids rise. */
  newestId: TaskId;
  /** There is, or was, a note. */
  isNoted: boolean;
  /** Tasks and spans that ended in this transaction, by the moment their records (or results) are forgotten. */
  #toPrune = new Map<EpochMs, { tasks: Buffer[]; results: Buffer[] }>();

  constructor({ tables, settings, place }: Pick<Store, "tables" | "settings" | "place">) {
    this.tables = tables;
    this.ledger = new Ledger(tables.meta, place);
    this.ready = new Ready(tables.ready);
    this.segments = new Segments(tables, this.ledger, this.ready, place);
    this.lines = new Lines(this);
    this.claims = new Claims(settings.names);
    this.turns = new Turns(settings.routing);
    this.settings = settings;
    this.place = place;
    this.newestId = this.#newestId();
    this.isNoted = [...tables.notes.getKeys({ limit: 1 })].length > 0;
  }

  #newestId(): TaskId {
    const last = { start: afterUuids, reverse: true, limit: 1 };
    const [alone] = this.tables.tasks.getKeys(last);
    const [first] = this.tables.segments.getKeys(last);
    const segment = first === undefined ? undefined : this.segments.get(first);
    const ids = [alone === undefined ? "" : taskIdOf(alone), segment?.idOf(segment.count - 1) ?? ""];
    return ids.sort().at(-1) ?? "";
  }

  // ------------------------------------------------------------------------------------------------------ reading

  row(key: Buffer): TaskRow | undefined {
    const bytes = this.tables.tasks.get(key);
    return bytes === undefined ? undefined : decodeTask(bytes, this.place);
  }

  outcome(key: Buffer): OutcomeRow | undefined {
    const bytes = this.tables.outcomes.get(key);
    return bytes === undefined ? undefined : decodeOutcome(bytes, this.place);
  }

  /** Whether there is such a task, published or not. Only reads. */
  exists(key: Buffer): boolean {
    if (this.tables.tasks.doesExist(key)) return true;
    const member = this.segments.find(key);
    return member !== undefined && (this.ledger.isHidden(member.segment.lane) || this.findMember(member) !== undefined);
  }

  /** The task as it is; `undefined` when there is none, or when its stage has not been published. */
  find(key: Buffer): Found | undefined {
    const row = this.row(key);
    if (row === undefined) {
      const member = this.segments.find(key);
      return member === undefined ? undefined : this.findMember(member);
    }
    if (this.ledger.isHidden(row.lane)) return undefined;
    const held = this.claims.get(taskIdOf(key));
    if (held !== undefined) return { row, life: held.life };
    const outcome = this.outcome(key);
    return outcome === undefined ? { row, life: row.life } : { row, outcome, life: lifeAfter(row.life, outcome) };
  }

  /** Likewise, for one that was stored in a segment; `undefined` also when it has left. */
  findMember(member: Member): Found | undefined {
    const { segment, index } = member;
    if (this.ledger.isHidden(segment.lane)) return undefined;
    const row = segment.row(index);
    const held = this.claims.get(segment.idOf(index));
    if (held !== undefined) return { row, member, life: held.life };
    const outcome = this.segments.outcomeOf(member);
    if (outcome !== undefined) return { row, member, outcome, life: lifeAfter(row.life, outcome) };
    return this.segments.isReady(member) ? { row, member, life: row.life } : undefined;
  }

  /** Gives a task that leaves its segment a record of its own. */
  own({ segment, index }: Member): Buffer {
    const key = segment.keyOf(index);
    this.tables.tasks.put(key, encodeTask(segment.row(index)));
    return key;
  }

  // ------------------------------------------------------------------------------------------------------ the order

  /** To its place in the lane of such tasks, or aside. */
  putReady(key: Buffer, row: Pick<TaskRow, "request" | "sequence">): void {
    const { request, sequence } = row;
    if (isLined(request)) this.lines.place(key, row);
    else this.ready.put(this.ledger.lane(request).number, request.priority, sequence, key);
  }

  /** Whether a task that has a record of its own stands in the order, or is aside. */
  isWaiting(row: TaskRow): boolean {
    const { request, sequence, lane } = row;
    const own = this.ledger.knownLane(request)?.number ?? lane;
    return this.ready.has(own, request.priority, sequence) || (isLined(request) && this.lines.isAside(row));
  }

  /** Takes a waiting task out of every index it may stand in. */
  removeWaiting(row: TaskRow): void {
    const { request, sequence, life } = row;
    if (life.state === "scheduled" || life.state === "retrying") {
      this.tables.due.remove(dueKey(life.runAt ?? 0, due.start, row.lane, sequence));
    } else if (life.parked === true) {
      this.tables.parked.remove(parkedKey(request.name, sequence));
      this.ledger.park(request.name, -1);
    } else {
      this.ready.remove(row.lane, request.priority, sequence);
      // A task of a stage stands in its stage's lane until it is first claimed, then in the one of such tasks.
      const own = this.ledger.knownLane(request)?.number ?? row.lane;
      if (own !== row.lane) this.ready.remove(own, request.priority, sequence);
      if (isLined(request)) this.lines.withdraw(row);
    }
  }

  /** Takes a waiting task out of everything, as if it had never been; its record stays. */
  withdraw(row: TaskRow): void {
    this.removeWaiting(row);
    this.letGo(row);
  }

  /** An unfinished task is over: frees its keys, and the next in order. */
  letGo(row: Pick<TaskRow, "request" | "lane" | "sequence">): void {
    this.removeExpiry(row);
    const dedupe = this.dedupeKeyOf(row.request);
    if (dedupe !== undefined) this.tables.dedupe.remove(dedupe);
    if (isLined(row.request)) this.lines.leave(row);
  }

  putDue(key: Buffer, row: Pick<TaskRow, "lane" | "sequence">, life: TaskLife): void {
    this.tables.due.put(dueKey(life.runAt ?? 0, due.start, row.lane, row.sequence), key);
  }

  putExpiry(key: Buffer, row: Pick<TaskRow, "request" | "lane" | "sequence">): void {
    const { expiresAt } = row.request;
    if (expiresAt !== undefined) this.tables.due.put(dueKey(expiresAt, due.expiry, row.lane, row.sequence), key);
  }

  removeExpiry(row: Pick<TaskRow, "request" | "lane" | "sequence">): void {
    const { expiresAt } = row.request;
    if (expiresAt !== undefined) this.tables.due.remove(dueKey(expiresAt, due.expiry, row.lane, row.sequence));
  }

  /** The unfinished task that has this dedupe key. Only reads. */
  holderOf({ queue, dedupeKey }: TaskRequest): TaskId | undefined {
    const known = this.ledger.knownQueue(queue);
    if (known === undefined || dedupeKey === undefined) return undefined;
    const key = this.tables.dedupe.get(dedupeIndexKey(known.number, dedupeKey));
    return key === undefined ? undefined : taskIdOf(key);
  }

  dedupeKeyOf(request: TaskRequest): Buffer | undefined {
    if (request.dedupeKey === undefined) return undefined;
    return dedupeIndexKey(this.ledger.queue(request.queue).number, request.dedupeKey);
  }

  rewrite(key: Buffer, row: TaskRow, life: TaskLife): void {
    this.tables.tasks.put(key, encodeTask({ ...row, life }));
  }

  /** A task that was claimed did not start: rate limits count it no more. */
  unstarted({ queue, name }: TaskRequest): void {
    const { rates } = this.ledger;
    if (this.ledger.knownQueue(queue)?.record.rateLimit !== undefined) rates.started(`queue:${queue}`, -1);
    if (this.settings.names?.get(name)?.rateLimit !== undefined) rates.started(`name:${name}`, -1);
  }

  // ------------------------------------------------------------------------------------------------------ endings

  /** Writes an outcome and what follows from every end: key freed, counters, time to be forgotten, event. */
  end(
    key: Buffer,
    row: Pick<TaskRow, "request" | "lane" | "sequence">,
    from: TaskState,
    outcome: OutcomeRow,
    ending: Ending,
  ): void {
    const { request } = row;
    this.tables.outcomes.put(key, encodeOutcome(outcome));
    this.letGo(row);
    this.ledger.count(request.queue, from, -1);
    this.ledger.count(request.queue, ending.state, 1);
    if (ending.state === "completed" || ending.state === "failed") this.ledger.total(ending.state);
    this.forgetLater(key, request, ending);
    const type = ending.state as TaskEventType;
    if (this.notes(type)) this.event(type, taskIdOf(key), request, outcome.attempt, ending);
  }

  /** Ends a task that waits: it expired, or was cancelled. */
  endWaiting(key: Buffer, row: TaskRow, ending: Ending): void {
    this.removeWaiting(row);
    const { runAt: _runAt, parked: _parked, ...before } = row.life;
    const life: TaskLife = {
      ...before,
      state: ending.state,
      finishedAt: ending.at,
      ...(ending.reason === undefined ? {} : { reason: ending.reason }),
    };
    const outcome: OutcomeRow = { state: ending.state, attempt: life.attempt, finishedAt: ending.at, life };
    this.end(key, row, row.life.state, outcome, ending);
  }

  /** When the record of a task that ended, and its result, are to be forgotten. `key` may be a span's. */
  forgetLater(key: Buffer, request: TaskRequest, ending: Ending): void {
    const kept = defaultTtl(this.settings, ending.state);
    const resultTtl = request.resultTtlMs ?? kept;
    if (resultTtl < kept && ending.state === "completed") this.#pruneAt(ending.at + resultTtl).results.push(key);
    this.#pruneAt(ending.at + Math.max(kept, resultTtl)).tasks.push(key);
  }

  #pruneAt(at: EpochMs): { tasks: Buffer[]; results: Buffer[] } {
    let entry = this.#toPrune.get(at);
    if (entry === undefined) {
      entry = { tasks: [], results: [] };
      this.#toPrune.set(at, entry);
    }
    return entry;
  }

  putPrune(at: EpochMs, kind: PruneKind, keys: readonly Buffer[]): void {
    if (keys.length === 0) return;
    const value = Buffer.concat([Buffer.from([kind]), encodeKeys(keys)]);
    this.tables.prune.put(pruneKey(at, this.ledger.nextSequence()), value);
  }

  // ------------------------------------------------------------------------------------------------------ events

  /** Whether events of this type are kept. Asked first where every task passes, so that no event is made in vain. */
  notes(type: TaskEventType): boolean {
    return isKept(type, this.settings.events);
  }

  event(
    type: TaskEventType,
    id: TaskId,
    request: TaskRequest,
    attempt: number,
    more: Partial<Ending> & { at: EpochMs },
  ): void {
    if (!this.notes(type)) return;
    const event: TaskEvent = {
      sequence: this.ledger.nextEvent(),
      type,
      at: more.at,
      taskId: id,
      name: request.name,
      queue: request.queue,
      attempt,
      ...(more.reason === undefined ? {} : { reason: more.reason }),
      ...(more.error === undefined ? {} : { error: more.error }),
    };
    if (this.settings.onEvents === undefined) this.tables.events.put(numberKey(event.sequence), encodeData(event));
    else this.#toTell.push(event);
  }

  /** After each transaction: events that are kept elsewhere. */
  tell(): void {
    if (this.#toTell.length === 0) return;
    const events = this.#toTell;
    this.#toTell = [];
    this.settings.onEvents?.(events);
  }

  /** At the end of each transaction. */
  finish(): void {
    for (const [at, { tasks, results }] of this.#toPrune) {
      this.putPrune(at, pruneKind.task, tasks);
      this.putPrune(at, pruneKind.result, results);
    }
    this.#toPrune = new Map();
    for (const batch of this.claims.takeChanged()) {
      const key = numberKey(batch.number);
      if (batch.isOver) this.tables.claims.remove(key);
      else this.tables.claims.put(key, batch.encode());
    }
    this.ledger.save();
  }
}

/** Greater than the key of every UUID. */
const afterUuids = Buffer.from([0xfe]);

export const pruneKind = { task: 0, result: 1 } as const;
export type PruneKind = (typeof pruneKind)[keyof typeof pruneKind];
