import type { Log } from "../actor/environment.ts";
import type { Storage } from "./storage.ts";

export interface Components {
  readonly tasks: Storage;
  readonly results: Storage;
  readonly events: Storage;
}

export function combinedStorage({ tasks }: Components, _log: Log): Storage {
  return tasks;
}
