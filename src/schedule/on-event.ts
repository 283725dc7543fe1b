import { checkName } from "../base/names.ts";
import { readFields } from "./given.ts";
import { readTimezone } from "./zone.ts";

/** Whenever an event of this name is emitted; never by time. */
export interface EventTrigger {
  readonly type: "onEvent";
  readonly event: string;
  readonly timezone?: string;
}

/**
 * Whenever `emit(event, …)` is called: `onEvent("inventory.low_stock")`. It has no slots.
 *
 * @throws InvalidArgumentError when it is not a name: 1 to 200 bytes without control characters.
 */
export const onEvent = (event: string, options: { readonly timezone?: string | undefined } = {}): EventTrigger =>
  readOnEvent({ ...options, type: "onEvent", event }, "onEvent");

export function readOnEvent(value: unknown, path: string): EventTrigger {
  const { event, timezone } = readFields(value, path, ["type", "event", "timezone"]);
  return {
    type: "onEvent",
    event: checkName(`${path}.event`, event),
    ...readTimezone(timezone, `${path}.timezone`),
  };
}
