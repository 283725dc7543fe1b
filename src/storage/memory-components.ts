import type { Payload } from "../task/task.ts";
import { EventLog } from "./memory/event-log.ts";
import type { EventStorage, KeptResult, ResultStorage } from "./components.ts";

/** Results in this thread's memory; gone when it is closed. */
export function memoryResults(): ResultStorage {
  const results = new Map<string, KeptResult>();
  const keyOf = (id: string, attempt: number): string => `${attempt} ${id}`;
  return {
    open: async () => undefined,
    async put(kept) {
      for (const result of kept) results.set(keyOf(result.id, result.attempt), result);
    },
    get: async (id, attempt): Promise<Payload | undefined> => results.get(keyOf(id, attempt))?.result,
    async prune(now, limit) {
      const over = [...results].filter(([, { expiresAt }]) => expiresAt <= now).slice(0, limit);
      for (const [key] of over) results.delete(key);
      return over.length;
    },
    close: async () => results.clear(),
  };
}

/** Events in this thread's memory; gone when it is closed. */
export function memoryEvents(): EventStorage {
  let log = new EventLog();
  return {
    open: async () => undefined,
    async append(events) {
      for (const { sequence: _sequence, ...event } of events) log.append(event, false);
    },
    query: async (query) => log.query({ ...query, limit: Math.min(query.limit, 1_000) }),
    prune: async (upTo, limit) => log.dropUntil(upTo, limit),
    async close() {
      log = new EventLog();
    },
  };
}
