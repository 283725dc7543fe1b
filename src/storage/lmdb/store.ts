import type { EpochMs } from "../../base/clock.ts";
import type { TaskEventType } from "../../task/event.ts";
import type { TaskState } from "../../task/state.ts";
import { handlerKey, type TaskError, type TaskId, type TaskLife, type TaskRequest } from "../../task/task.ts";
import { Turns } from "../routing.ts";
import type { StorageSettings } from "../storage.ts";
import { isLined } from "../key-lines.ts";
import { Claims } from "./claims.ts";
import { Forgetting } from "./forgetting.ts";
import { Journal } from "./journal.ts";
import type { Standing } from "./key-places.ts";
import { due, dueKey, dedupeIndexKey, parkedKey, taskIdOf } from "./keys.ts";
import { Ledger } from "./ledger.ts";
import { Lines } from "./lines.ts";
import { Ready } from "./ready.ts";
import {
  decodeOutcome,
  decodeTask,
  encodeOutcome,
  encodeTask,
  lifeAfter,
  type OutcomeRow,
  type TaskRow,
} from "./records.ts";
import { Schedules } from "./schedules.ts";
import { Segments, type Member } from "./segments.ts";
import { StoredIds } from "./stored-ids.ts";
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

/** An open store: its tables, what it knows by heart, and the small moves that the verbs are made of. */
export class Store {
  readonly tables: Tables;
  readonly ledger: Ledger;
  readonly segments: Segments;
  readonly ids: StoredIds;
  readonly ready: Ready;
  readonly lines: Lines;
  readonly claims: Claims;
  readonly journal: Journal;
  readonly forgetting: Forgetting;
  readonly schedules: Schedules;
  readonly turns: Turns;
  readonly settings: StorageSettings;
  /** For messages. */
  readonly path: string;
  /** There is, or was, a note. */
  isNoted: boolean;

  constructor({ tables, settings, path }: Pick<Store, "tables" | "settings" | "path">) {
    this.tables = tables;
    this.ledger = new Ledger(tables.meta);
    this.ledger.rates.convertNames(settings.names);
    this.ready = new Ready(tables.ready);
    this.segments = new Segments(tables, this.ledger, this.ready, path);
    this.ids = new StoredIds(tables.tasks, this.segments);
    this.lines = new Lines(this);
    this.claims = new Claims(settings.names);
    this.journal = new Journal(tables.events, this.ledger, settings);
    this.forgetting = new Forgetting(tables.prune, this.ledger, settings.retention);
    this.schedules = new Schedules(tables);
    this.turns = new Turns(settings.routing);
    this.settings = settings;
    this.path = path;
    this.isNoted = [...tables.notes.getKeys({ limit: 1 })].length > 0;
  }

  // ------------------------------------------------------------------------------------------------------ reading

  row(key: Buffer): TaskRow | undefined {
    const bytes = this.tables.tasks.get(key);
    return bytes === undefined ? undefined : decodeTask(bytes);
  }

  outcome(key: Buffer): OutcomeRow | undefined {
    const bytes = this.tables.outcomes.get(key);
    return bytes === undefined ? undefined : decodeOutcome(bytes);
  }

  /** Whether there is such a task, published or not. Only reads. */
  exists(key: Buffer): boolean {
    if (this.tables.tasks.doesExist(key)) return true;
    const member = this.segments.find(key);
    return (
      member !== undefined && (this.ledger.lanes.isHidden(member.segment.lane) || this.findMember(member) !== undefined)
    );
  }

  /** The task as it is; `undefined` when there is none, or when its stage has not been published. */
  find(key: Buffer): Found | undefined {
    const row = this.row(key);
    if (row === undefined) {
      const member = this.segments.find(key);
      return member === undefined ? undefined : this.findMember(member);
    }
    if (this.ledger.lanes.isHidden(row.lane)) return undefined;
    const held = this.claims.get(taskIdOf(key));
    if (held !== undefined) return { row, life: held.life };
    const outcome = this.outcome(key);
    return outcome === undefined ? { row, life: row.life } : { row, outcome, life: lifeAfter(row.life, outcome) };
  }

  /** Likewise, for one that was stored in a segment; `undefined` also when it has left. */
  findMember(member: Member): Found | undefined {
    const { segment, index } = member;
    if (this.ledger.lanes.isHidden(segment.lane)) return undefined;
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
  putReady(key: Buffer, row: Standing): void {
    const { request, sequence } = row;
    if (isLined(request)) this.lines.place(key, row);
    else this.ready.put(this.ledger.lanes.of(request).number, request.priority, sequence, key);
  }

  /** Whether a task that has a record of its own stands in the order, or is aside. */
  isWaiting(row: TaskRow): boolean {
    const { request, sequence, lane } = row;
    const own = this.ledger.lanes.known(request)?.number ?? lane;
    return this.ready.has(own, request.priority, sequence) || (isLined(request) && this.lines.isOut(row));
  }

  /** Takes a waiting task out of every index it may stand in. */
  removeWaiting(row: TaskRow): void {
    const { request, sequence, life } = row;
    if (life.state === "scheduled" || life.state === "retrying") {
      this.tables.due.remove(dueKey(life.runAt ?? 0, due.start, row.lane, sequence));
    } else if (life.parked === true) {
      this.tables.parked.remove(parkedKey(handlerKey(request), sequence));
      this.ledger.park(handlerKey(request), -1);
    } else {
      this.ready.remove(row.lane, request.priority, sequence);
      // A task of a stage stands in its stage's lane until it is first claimed, then in the one of such tasks.
      const own = this.ledger.lanes.known(request)?.number ?? row.lane;
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
  letGo(row: Standing): void {
    this.removeExpiry(row);
    const dedupe = this.dedupeKeyOf(row.request);
    if (dedupe !== undefined) this.tables.dedupe.remove(dedupe);
    if (isLined(row.request)) this.lines.leave(row);
  }

  putDue(key: Buffer, row: Pick<Standing, "lane" | "sequence">, life: TaskLife): void {
    this.tables.due.put(dueKey(life.runAt ?? 0, due.start, row.lane, row.sequence), key);
  }

  putExpiry(key: Buffer, row: Standing): void {
    const { expiresAt } = row.request;
    if (expiresAt !== undefined) this.tables.due.put(dueKey(expiresAt, due.expiry, row.lane, row.sequence), key);
  }

  removeExpiry(row: Standing): void {
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
  unstarted(request: TaskRequest): void {
    const { names } = this.settings;
    this.ledger.rates.unstarted(request, names?.get(request.name), this.ledger.knownQueue(request.queue)?.record);
    // One that waited for the end of the claim could not start before.
    if (isLined(request)) this.lines.freed(request);
  }

  // ------------------------------------------------------------------------------------------------------ endings

  /** Writes an outcome and what follows from every end: key freed, counters, time to be forgotten, event. */
  end(key: Buffer, row: Standing, from: TaskState, outcome: OutcomeRow, ending: Ending): void {
    const { request } = row;
    this.tables.outcomes.put(key, encodeOutcome(outcome));
    this.letGo(row);
    this.ledger.count(request.queue, from, -1);
    this.ledger.count(request.queue, ending.state, 1);
    if (ending.state === "completed" || ending.state === "failed") this.ledger.total(ending.state);
    this.forgetting.later(key, request, ending);
    if (request.schedule !== undefined) this.schedules.taskEnded(request, outcome.life ?? outcome);
    const type = ending.state as TaskEventType;
    if (this.journal.keeps(type)) this.journal.note(type, taskIdOf(key), request, outcome.attempt, ending);
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

  /** At the end of each transaction. */
  finish(): void {
    this.forgetting.save();
    this.claims.save(this.tables.claims);
    this.schedules.save();
    this.ledger.save();
  }
}
