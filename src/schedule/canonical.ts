/** Whether two triggers, or other plain data, are equal. */
export const isSame = (one: unknown, other: unknown): boolean => one === other || canonical(one) === canonical(other);

/** As JSON, with the fields of objects in the order of their names. */
export const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  ) ?? "undefined";
